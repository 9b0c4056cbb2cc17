"""Draws the DAG of a round from the code: `python -m docs.dag` writes docs/images/dag.svg."""

import dataclasses
import html
import itertools
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from tfx.dsl.components.base.base_node import BaseNode

from docs.layout import Edge, Layout, Point, layered
from pipeline.config import load_config
from pipeline.pipeline import create_pipeline

DIAGRAM = Path(__file__).with_name("images") / "dag.svg"

# What `run_rounds` hands to a later round, and which node's output it is.
_HANDED_ON = {
    "history_uri": "SynthDataGen",
    "report_uri": "LLMEvaluator",
    "warm_start_uri": "Trainer",
}

_WIDTH, _HEIGHT, _GAP, _LAYER_GAP = 200.0, 58.0, 16.0, 34.0
_LINE_CHARACTERS = 32
_MARGIN, _LOOP_MARGIN, _LEGEND_HEIGHT = 14.0, 64.0, 56.0
_CUSTOM, _STOCK, _LINE, _LOOP = "#e8eaf6", "#f5f5f5", "#546e7a", "#c2185b"
_STYLE = f"""\
text {{ font: 13px system-ui, sans-serif; fill: #212121; }}
.small {{ font-size: 11px; fill: #455a64; }}
.loop-text {{ font-size: 11px; fill: {_LOOP}; }}
.box {{ stroke: {_LINE}; }}
.edge {{ fill: none; stroke: {_LINE}; marker-end: url(#arrow); }}
.order {{ stroke-dasharray: 2 4; }}
.loop {{ fill: none; stroke: {_LOOP}; stroke-dasharray: 6 4; marker-end: url(#loop-arrow); }}"""


@dataclasses.dataclass(frozen=True)
class Node:
    """A component of the pipeline, as far as it is drawn.

    Attributes:
        id: Its id in the pipeline.
        outputs: Names of the types of its outputs' artifacts.
        is_custom: Whether it is of this repository.
        asks: Whether it asks the service LLM.
        takes: Parameters that an earlier round gives values to.
    """

    id: str
    outputs: tuple[str, ...]
    is_custom: bool
    asks: bool
    takes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Graph:
    """The DAG of one round.

    Attributes:
        nodes: In the order of the pipeline.
        edges: From and to, where an artifact is passed.
        order: From and to, where one node only waits for another.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    order: tuple[Edge, ...]


def read_graph() -> Graph:
    """The graph of what `create_pipeline` returns for the default preset."""
    marks = {name: f"<{name}>" for name in _HANDED_ON}
    pipeline = create_pipeline(
        load_config("offline", environ={}),
        pipeline_root="root",
        journal_uri="journal",
        checkpoint_uri="checkpoints",
        coverage_dir="coverage",
        schema_file="schema",
        round=2,
        **marks,
    )
    components = pipeline.components
    edges = dict.fromkeys(
        (channel.producer_component_id, component.id)
        for component in components
        for channel in component.inputs.values()
    )
    waits = ((up.id, component.id) for component in components for up in component.upstream_nodes)
    return Graph(
        nodes=tuple(_node(component, marks) for component in components),
        edges=tuple(sorted(edges)),
        order=tuple(sorted(set(waits) - edges.keys())),
    )


def _node(component: BaseNode, marks: dict[str, str]) -> Node:
    values = component.exec_properties
    return Node(
        id=component.id,
        outputs=tuple(channel.type.__name__ for channel in component.outputs.values()),
        is_custom=type(component).__module__.startswith("components."),
        asks="service_llm" in values,
        takes=tuple(name for name, mark in marks.items() if values.get(name) == mark),
    )


def draw(graph: Graph) -> str:
    """The graph as SVG."""
    layout = layered(
        [node.id for node in graph.nodes],
        [*graph.edges, *graph.order],
        width=_WIDTH,
        height=_HEIGHT,
        gap=_GAP,
        layer_gap=_LAYER_GAP,
    )
    width = layout.width + 2 * _MARGIN + _LOOP_MARGIN
    height = layout.height + 2 * _MARGIN + _LEGEND_HEIGHT
    parts = [
        *(_edge(layout.routes[edge], "edge") for edge in graph.edges),
        *(_edge(layout.routes[edge], "edge order") for edge in graph.order),
        *_loops(graph, layout),
        *(_box(node, layout.centers[node.id]) for node in graph.nodes),
        *_legend(layout.height + 2 * _MARGIN),
    ]
    markers = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z" fill="{color}"/></marker>'
        for name, color in (("arrow", _LINE), ("loop-arrow", _LOOP))
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'role="img" aria-label="The DAG of one round">',
            f"<style>\n{_STYLE}\n</style>",
            f"<defs>{markers}</defs>",
            '<rect width="100%" height="100%" fill="white"/>',
            f'<g transform="translate({_MARGIN:.0f},{_MARGIN:.0f})">',
            *parts,
            "</g>",
            "</svg>\n",
        ]
    )


def _box(node: Node, center: Point) -> str:
    x, y = center[0] - _WIDTH / 2, center[1] - _HEIGHT / 2
    outputs = textwrap.wrap(f"→ {', '.join(dict.fromkeys(node.outputs))}", _LINE_CHARACTERS)
    lines = [("", node.id), *(("small", line) for line in outputs)]
    if node.asks:
        lines.append(("small", "asks the service LLM"))
    first = center[1] - 8 * (len(lines) - 1) + 4
    texts = "".join(
        f'<text class="{css}" x="{center[0]:.1f}" y="{first + 16 * number:.1f}" '
        f'text-anchor="middle">{html.escape(text)}</text>'
        for number, (css, text) in enumerate(lines)
    )
    fill = _CUSTOM if node.is_custom else _STOCK
    return (
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" '
        f'rx="6" fill="{fill}"/>{texts}'
    )


def _edge(route: Sequence[Point], css: str) -> str:
    """A curve between layers, and a straight line where the edge passes one."""
    half = _HEIGHT / 2
    path = f"M{route[0][0]:.1f},{route[0][1] + half:.1f}"
    for (x, y), (to_x, to_y) in itertools.pairwise(route):
        middle, end = (y + to_y) / 2, to_y - half
        path += f" C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{end:.1f}"
        if (to_x, to_y) != route[-1]:
            path += f" V{to_y + half:.1f}"
    return f'<path class="{css}" d="{path}"/>'


def _loops(graph: Graph, layout: Layout) -> Iterable[str]:
    """From what a round hands on, along the right-hand margin, to who takes it later."""
    outside = layout.width + _LOOP_MARGIN / 2
    for node in graph.nodes:
        for name in node.takes:
            source, target = layout.centers[_HANDED_ON[name]], layout.centers[node.id]
            lane = outside + 12 * (list(_HANDED_ON).index(name) - 1)
            start, end = source[1] + 12, target[1] - 12
            from_x, to_x = source[0] + _WIDTH / 2, target[0] + _WIDTH / 2
            yield (
                f'<path class="loop" d="M{from_x:.1f},{start:.1f} L{lane:.1f},{start:.1f} '
                f'L{lane:.1f},{end:.1f} L{to_x:.1f},{end:.1f}"/>'
            )


def _legend(top: float) -> Iterable[str]:
    for number, (fill, text) in enumerate(
        ((_CUSTOM, "component of this repository"), (_STOCK, "component of TFX"))
    ):
        y = top + 20 * number
        yield f'<rect class="box" x="0" y="{y:.0f}" width="22" height="12" fill="{fill}"/>'
        yield f'<text class="small" x="30" y="{y + 10:.0f}">{text}</text>'
    entries = (("edge", "artifact"), ("edge order", "waits for"), ("loop", "of an earlier round"))
    for number, (css, text) in enumerate(entries):
        x, y = 240 + (number // 2) * 150, top + 20 * (number % 2) + 6
        yield f'<path class="{css}" d="M{x},{y:.0f} L{x + 36},{y:.0f}"/>'
        yield f'<text class="small" x="{x + 44}" y="{y + 4:.0f}">{text}</text>'


def main() -> None:
    """Write the diagram."""
    DIAGRAM.write_text(draw(read_graph()), encoding="utf-8")


if __name__ == "__main__":
    main()
