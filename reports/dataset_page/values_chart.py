"""The charts of output values by round: a panel for each of the most frequent values."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from core.reports.synthesis import DatasetFigures
from reports import charts

_MAX_FIELDS = 8
_MAX_PANELS = 8
_HEIGHT = 90  # pixels
_LABEL_WIDTH = 22  # pixels of a round's number
_STEP = 26  # pixels from bar to bar, where there is one round
_RIGHT = 96  # pixels, of the text after a bar
_MAX_BARS = 20


class FieldShares(NamedTuple):
    """A field's values by round.

    Attributes:
        field: Its name.
        rounds: The rounds that added rows.
        lines: By value the share of each round's rows, in percent; the most frequent first.
        seeds: By value its share of the seeds, in percent; empty where that is not known.
        chart: The most frequent values.
    """

    field: str
    rounds: Sequence[int]
    lines: Mapping[str, Sequence[float]]
    seeds: Mapping[str, float]
    chart: Markup


def field_shares(figures: DatasetFigures, rows: Mapping[int, int]) -> list[FieldShares]:
    """Draw each field.

    Args:
        figures: By field, how often each value appears in each round and in the seeds.
        rows: Rows by the round that added them.
    """
    found = []
    for field, by_round in list(figures.outputs_by_round.items())[:_MAX_FIELDS]:
        of_seeds = figures.seed_outputs.get(field, {})
        rounds = [number for number in sorted(by_round) if rows.get(number)]
        totals: Counter[str] = Counter()
        for values in by_round.values():
            totals.update(values)
        totals.update(dict.fromkeys(of_seeds, 0))  # what no round has is what is missing
        lines: dict[str, list[float]] = {}
        seeds: dict[str, float] = {}
        for value, _ in totals.most_common():
            name = _shown(value)
            shares = [100 * by_round[n].get(value, 0) / rows[n] for n in rounds]
            name = value if name in lines else name  # "1" is not 1
            lines[name] = shares
            if of_seeds:
                seeds[name] = 100 * of_seeds.get(value, 0) / figures.seeds
        found.append(FieldShares(field, rounds, lines, seeds, _draw(field, rounds, lines)))
    return found


def _draw(field: str, rounds: Sequence[int], lines: Mapping[str, Sequence[float]]) -> Markup:
    last = ", ".join(f"{value} {shares[-1]:.1f} %" for value, shares in lines.items())
    if len(rounds) == 1:
        only = {value: share for value, (share,) in list(lines.items())[:_MAX_BARS]}
        return charts.draw(lambda width: bars_spec(only, width), f"Values of {field}", f"{last}.")
    return charts.draw(
        lambda width: values_spec(rounds, lines, width),
        f"Values of {field} by round",
        f"Round {rounds[-1]}: {last}.",
    )


def bars_spec(shares: Mapping[str, float], width: int) -> charts.Spec:
    """Make the Vega-Lite specification of a field's values in a single round.

    Args:
        shares: Percent of the rows by value, the most frequent first.
        width: Of the chart in pixels.
    """
    labels = charts.label_width(shares, width)
    rows = [
        {"value": value, "share": share, "text": f"{share:.1f} %"}
        for value, share in shares.items()
    ]
    y = {
        "field": "value", "type": "nominal", "sort": None, "title": None,
        "axis": charts.label_axis(labels),
    }  # fmt: skip
    x = {
        "field": "share", "type": "quantitative", "axis": None,
        "scale": {"domain": [0, max([1.0, *shares.values()])]},
    }  # fmt: skip
    label = {"type": "text", "align": "left", "baseline": "middle", "dx": 6, "color": "var(--ink)"}
    return {
        "width": width - labels - _RIGHT,
        "height": {"step": _STEP},
        "padding": {"left": 4, "top": 0, "bottom": 0, "right": 24},
        "data": {"values": rows},
        "encoding": {"y": y, "x": x},
        "layer": [
            {"mark": {"type": "bar", "color": "var(--blue)"}},
            {"mark": label, "encoding": {"text": {"field": "text"}}},
        ],
    }


def _top(lines: Mapping[str, Sequence[float]], shown: Sequence[str]) -> int:
    """Return the end of the axis: the next ten percent above the highest share."""
    highest = max((share for value in shown for share in lines[value]), default=0.0)
    return max(10, math.ceil(highest / 10) * 10)


def values_spec(
    rounds: Sequence[int], lines: Mapping[str, Sequence[float]], width: int
) -> charts.Spec:
    """Make the Vega-Lite specification of a field; see `FieldShares` for the arguments."""
    shown = list(lines)[:_MAX_PANELS]
    panels = charts.Panels.fit(len(shown), width)
    every = -(-len(rounds) * _LABEL_WIDTH // panels.width)
    top = _top(lines, shown)
    values: list[dict[str, Any]] = [
        {"value": value, "round": number, "share": share}
        for value in shown
        for number, share in zip(rounds, lines[value], strict=True)
    ]
    return {
        "padding": {"left": 12, "top": 4, "bottom": 0, "right": 24},
        "data": {"values": values},
        "columns": panels.columns,
        "spacing": {"row": 20, "column": charts.PANEL_GAP},
        "resolve": {"axis": {"x": "independent"}},  # the last row of panels may be short
        "facet": {
            "field": "value",
            "type": "nominal",
            "sort": shown,
            "title": None,
            "header": {"labelAnchor": "start", "labelLimit": panels.width},
        },
        "spec": {
            "width": panels.width,
            "height": _HEIGHT,
            "mark": {"type": "bar", "color": "var(--blue)"},
            "encoding": {
                "x": {
                    "field": "round",
                    "type": "ordinal",
                    "title": None,
                    "axis": {"labelAngle": 0, "values": list(rounds)[every - 1 :: every]},
                },
                "y": {
                    "field": "share",
                    "type": "quantitative",
                    "title": None,
                    "scale": {"domain": [0, top]},
                    "axis": {"values": [0, top / 2, top], "labelExpr": "datum.value + ' %'"},
                },
            },
        },
    }


def _shown(value: str) -> str:
    """Return a value as text: it is JSON where outputs are JSON objects."""
    try:
        found = json.loads(value)
    except ValueError:
        found = value
    return found if isinstance(found, str) else value
