"""The chart "coverage rate by round"."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from core.reports.coverage import TUNED, CoverageReport
from core.reports.loop import RoundSummary
from core.reports.rates import Rate, SplitName
from reports import charts
from reports.wording import model_name

_HEIGHT = 320  # pixels
_LABELS, _LABELS_NARROW = 150, 100  # pixels to the right of the drawing
_LABEL_GAP = 6.0  # percent, of which the height has 100: a line of text
_LABEL_WIDTH = 26  # pixels of a round's number
_AXIS = 66  # pixels to the left
_FEWEST_FOR_A_LINE = 3
_ASIDE = 7  # pixels
_SHAPES = ("circle", "square", "diamond")
_COLORS = {
    "holdout": "var(--blue)",
    "seed": "var(--teal)",
    "overall": "var(--violet)",
    "threshold": "var(--red)",
    "base": "var(--soft)",
    "few_shot": "var(--violet)",
    "service": "var(--amber)",
}
_SHORT_NAMES = {"base": "untuned", "few_shot": "examples", "service": "service"}

Rows = list[dict[str, Any]]


def draw_coverage(rounds: Sequence[RoundSummary], best: CoverageReport) -> Markup:
    """Draw the tuned model's rates by round, the baselines and the threshold.

    Args:
        rounds: The rounds.
        best: The report whose baselines are drawn.
    """
    return charts.draw(
        lambda width: coverage_spec(rounds, best, width),
        "Coverage rate by round",
        _describe(rounds, best),
    )


def coverage_spec(rounds: Sequence[RoundSummary], best: CoverageReport, width: int) -> charts.Spec:
    """Make the Vega-Lite specification; see `draw_coverage`."""
    points, levels = _points(rounds, best.gate.split), _levels(best)
    ends = [point for point in points if point["round"] == rounds[-1].round]
    is_wide = width == charts.WIDTHS["wide"]
    named = [{"name": end["split"], "rate": end["rate"]} for end in ends] + levels
    for label, at in zip(
        named, charts.spread([label["rate"] for label in named], _LABEL_GAP), strict=True
    ):
        label |= {"at": at, "text": f"{label['name']} {label['rate']:.{1 if is_wide else 0}f} %"}
    inner = width - (_LABELS if is_wide else _LABELS_NARROW) - _AXIS
    color = {
        "field": "kind",
        "scale": {"domain": list(_COLORS), "range": list(_COLORS.values())},
        "legend": None,
    }
    every = -(-len(rounds) * _LABEL_WIDTH // inner)
    shown = [entry.round for entry in rounds[every - 1 :: every]]
    x = {
        "field": "round",
        "type": "ordinal",
        "title": "Round",
        "axis": {"labelAngle": 0, "grid": False, "values": shown},
    }
    layers = []
    splits = list(dict.fromkeys(point["split"] for point in points))
    for place, split in enumerate(splits):
        aside = min(_ASIDE, inner / len(rounds) / 5)  # keeps the bars of two splits apart
        moved = {"xOffset": aside * (2 * place - len(splits) + 1)}
        bar = {"x": x, "y": charts.RATE | {"field": "low"}, "y2": {"field": "high"}}
        marks: Rows = [
            {"mark": {"type": "rule", "strokeWidth": 1.5, **moved}, "encoding": bar},
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1,
                         "shape": _SHAPES[place], **moved},
                "encoding": {"x": x, "y": charts.RATE},
            },
        ]  # fmt: skip
        if len(rounds) >= _FEWEST_FOR_A_LINE:
            line = {"mark": {"type": "line", **moved}, "encoding": {"x": x, "y": charts.RATE}}
            marks.insert(0, line)
        data = {"values": [point for point in points if point["split"] == split]}
        layers += [{"data": data, **mark} for mark in marks]
    return {
        "width": inner,
        "height": _HEIGHT,
        "padding": {"left": 12, "top": 8, "bottom": 0, "right": 24},
        "encoding": {"color": color},
        "layer": [
            {
                "data": {"values": levels},
                "mark": {"type": "rule", "strokeDash": [6, 4], "strokeWidth": 1.5},
                "encoding": {"y": charts.RATE},
            },
            *layers,
            {
                "data": {"values": [label | {"kind": _kind(label)} for label in named]},
                "mark": {"type": "text", "align": "left", "baseline": "middle"},
                "encoding": {
                    "x": {"value": inner + 10},
                    "y": charts.RATE | {"field": "at"},
                    "text": {"field": "text"},
                },
            },
        ],
    }


def _kind(label: dict[str, Any]) -> str:
    return str(label.get("kind", label["name"]))


def _points(rounds: Sequence[RoundSummary], gated: SplitName) -> Rows:
    splits: tuple[SplitName, ...] = ("holdout", "seed")
    if gated not in splits:
        splits = (gated, *splits)
    return [
        {"round": entry.round, "split": split, "kind": split, **charts.interval(rate)}
        for split in splits
        for entry in rounds
        if (rate := _rate(entry, split)).total
    ]


def _levels(best: CoverageReport) -> Rows:
    levels = [("threshold", "threshold", best.gate.threshold_percent)]
    levels += [
        (model, _SHORT_NAMES.get(model, model), rates[best.gate.split].rate_percent)
        for model, rates in best.models.items()
        if model != TUNED
    ]
    return [{"kind": kind, "name": name, "rate": rate} for kind, name, rate in levels]


def _rate(entry: RoundSummary, split: SplitName) -> Rate:
    return entry.report.models[TUNED][split]


def _describe(rounds: Sequence[RoundSummary], best: CoverageReport) -> str:
    split = best.gate.split
    by_round = ", ".join(
        f"round {entry.round} {_rate(entry, split).rate_percent:.1f} %" for entry in rounds
    )
    others = ", ".join(
        f"{'threshold' if level['kind'] == 'threshold' else model_name(level['kind']).lower()} "
        f"{level['rate']:.1f} %"
        for level in _levels(best)
    )
    return f"Tuned model on {split}: {by_round}. For comparison: {others}."
