"""Places the nodes of a directed acyclic graph in layers, so that edges run downwards.

Source: Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures", IEEE Transactions on Systems, Man, and Cybernetics 11 (1981): layers by longest path,
bends where an edge passes a layer, order by barycenters.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

_SWEEPS = 12
_BEND_WIDTH = 12.0

Edge = tuple[str, str]
Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where things are, in the units of the given sizes.

    Attributes:
        centers: Center of each node.
        routes: For each edge the points that it runs through, its two nodes' centers included.
        width: Of the whole.
        height: Of the whole.
    """

    centers: Mapping[str, Point]
    routes: Mapping[Edge, Sequence[Point]]
    width: float
    height: float


def layered(
    nodes: Sequence[str],
    edges: Sequence[Edge],
    *,
    width: float,
    height: float,
    gap: float,
    layer_gap: float,
) -> Layout:
    """Lay a graph out.

    Args:
        nodes: Decides between equals, so that the same graph is always laid out the same way.
        edges: From and to.
        width: Of a node.
        height: Of a node.
        gap: Between neighbours in a layer.
        layer_gap: Between layers.

    Raises:
        ValueError: The graph has a cycle.
    """
    layer_of = _layers(nodes, edges)
    items, chains = _with_bends(nodes, edges, layer_of)
    widths = {item: width if item in layer_of else _BEND_WIDTH for row in items for item in row}
    links = [link for chain in chains.values() for link in itertools.pairwise(chain)]
    rows = _ordered(items, links)
    xs = _positions(rows, links, widths, gap)
    left = min(xs[item] - widths[item] / 2 for row in rows for item in row)
    centers = {
        item: (xs[item] - left, number * (height + layer_gap) + height / 2)
        for number, row in enumerate(rows)
        for item in row
    }
    return Layout(
        centers={node: centers[node] for node in nodes},
        routes={edge: [centers[item] for item in chain] for edge, chain in chains.items()},
        width=max(centers[item][0] + widths[item] / 2 for item in centers),
        height=len(rows) * (height + layer_gap) - layer_gap,
    )


def _layers(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    layer_of: dict[str, int] = {}
    waiting = list(nodes)
    while waiting:
        ready = [n for n in waiting if all(a in layer_of for a, b in edges if b == n)]
        if not ready:
            raise ValueError(f"These nodes are on a cycle or behind one: {waiting}.")
        for node in ready:
            above = [layer_of[a] for a, b in edges if b == node]
            layer_of[node] = max(above, default=-1) + 1
        waiting = [node for node in waiting if node not in layer_of]
    # What nothing leads to stands just above what it leads to, not at the top.
    for node in nodes:
        below = [layer_of[b] for a, b in edges if a == node]
        if below and not any(b == node for _, b in edges):
            layer_of[node] = min(below) - 1
    return layer_of


def _with_bends(
    nodes: Sequence[str], edges: Sequence[Edge], layer_of: Mapping[str, int]
) -> tuple[list[list[str]], dict[Edge, list[str]]]:
    rows: list[list[str]] = [[] for _ in range(max(layer_of.values()) + 1)]
    for node in nodes:
        rows[layer_of[node]].append(node)
    chains = {}
    for start, end in edges:
        between = range(layer_of[start] + 1, layer_of[end])
        bends = [f"{start}>{end}@{layer}" for layer in between]
        for layer, bend in zip(between, bends, strict=True):
            rows[layer].append(bend)
        chains[start, end] = [start, *bends, end]
    return rows, chains


def _ordered(rows: list[list[str]], links: Sequence[Edge]) -> list[list[str]]:
    best, fewest = rows, _crossings(rows, links)
    for sweep in range(_SWEEPS):
        rows = _sweep(rows, links, downwards=sweep % 2 == 0)
        crossings = _crossings(rows, links)
        if crossings < fewest:
            best, fewest = rows, crossings
    return _exchanged(best, links)


def _exchanged(rows: list[list[str]], links: Sequence[Edge]) -> list[list[str]]:
    """Neighbours trade places as long as that leaves fewer crossings."""
    fewest, improved = _crossings(rows, links), True
    while improved:
        improved = False
        for row in rows:
            for at in range(len(row) - 1):
                row[at], row[at + 1] = row[at + 1], row[at]
                if (crossings := _crossings(rows, links)) < fewest:
                    fewest, improved = crossings, True
                else:
                    row[at], row[at + 1] = row[at + 1], row[at]
    return rows


def _sweep(rows: list[list[str]], links: Sequence[Edge], *, downwards: bool) -> list[list[str]]:
    pairs = [(a, b) if downwards else (b, a) for a, b in links]
    place: dict[str, float] = {}
    swept = []
    for row in rows if downwards else rows[::-1]:
        known = {item: [place[a] for a, b in pairs if b == item and a in place] for item in row}
        means = {
            item: sum(known[item]) / len(known[item]) if known[item] else float(row.index(item))
            for item in row
        }
        ordered = sorted(row, key=lambda item, means=means, row=row: (means[item], row.index(item)))
        place |= {item: float(index) for index, item in enumerate(ordered)}
        swept.append(ordered)
    return swept if downwards else swept[::-1]


def _crossings(rows: list[list[str]], links: Sequence[Edge]) -> int:
    place = {item: index for row in rows for index, item in enumerate(row)}
    layer = {item: number for number, row in enumerate(rows) for item in row}
    return sum(
        layer[a] == layer[c] and (place[a] - place[c]) * (place[b] - place[d]) < 0
        for number, (a, b) in enumerate(links)
        for c, d in links[:number]
    )


def _positions(
    rows: list[list[str]], links: Sequence[Edge], widths: Mapping[str, float], gap: float
) -> dict[str, float]:
    neighbours: dict[str, list[str]] = {item: [] for row in rows for item in row}
    for a, b in links:
        neighbours[a].append(b)
        neighbours[b].append(a)
    xs: dict[str, float] = {}
    for row in rows:
        wanted = dict.fromkeys(row, 0.0)
        xs |= _apart(row, wanted, widths, gap)
    for _ in range(_SWEEPS):
        for row in rows:
            wanted = {i: sum(xs[n] for n in neighbours[i]) / len(neighbours[i]) for i in row}
            xs |= _apart(row, wanted, widths, gap)
    return xs


def _apart(
    row: Sequence[str], wanted: Mapping[str, float], widths: Mapping[str, float], gap: float
) -> dict[str, float]:
    """The wanted places, moved as little as it takes for neighbours not to touch.

    It is a least-squares fit with a fixed order, by pooling neighbours that are too close.
    """
    offsets, offset = [], 0.0
    for before, item in zip([None, *row], row, strict=False):
        offset += (widths[before] + widths[item]) / 2 + gap if before is not None else 0.0
        offsets.append(offset)
    pools: list[list[float]] = []
    for item, shift in zip(row, offsets, strict=True):
        pools.append([wanted[item] - shift])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    starts = [_mean(pool) for pool in pools for _ in pool]
    return {i: start + shift for i, start, shift in zip(row, starts, offsets, strict=True)}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
