"""The chart "coverage rate by round"."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from core.reports.coverage import TUNED, CoverageReport
from core.reports.loop import RoundSummary
from core.reports.rates import Rate, SplitName
from reports import charts
from reports.run_page.one_round_chart import one_round_spec, rate_lines
from reports.wording import model_name

_HEIGHT = 320  # pixels
_LABELS, _LABELS_NARROW = 190, 128  # pixels to the right of the drawing
_LABEL_GAP = 6.0  # percent, of which the height has 100: a line of text
_LABEL_WIDTH = 26  # pixels of a round's number
_AXIS = 66  # pixels to the left
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
_SHORT_NAMES = {"base": "untuned", "few_shot": "untuned + examples", "service": "service"}
_NARROW_NAMES = {"untuned + examples": "with examples"}

Rows = list[dict[str, object]]


class _Level(NamedTuple):
    """A rate with a label of its own: of the last round, of a baseline, or the threshold."""

    kind: str
    name: str
    rate: float


def draw_coverage(rounds: Sequence[RoundSummary], best: CoverageReport) -> Markup:
    """Draw the tuned model's rates by round, the baselines and the threshold.

    Args:
        rounds: The rounds.
        best: The report whose baselines are drawn.
    """
    if len(rounds) == 1:
        lines = rate_lines(best, _SHORT_NAMES)
        rates = ", ".join(f"{line.name} {line.rate.rate_percent:.1f} %" for line in lines)
        return charts.draw(
            lambda width: one_round_spec(lines, best.gate, width),
            "Coverage rate",
            f"Round {rounds[0].round}: {rates}. "
            f"Threshold on {best.gate.split}: {best.gate.threshold_percent:.1f} %.",
        )
    return charts.draw(
        lambda width: coverage_spec(rounds, best, width),
        "Coverage rate by round",
        _describe(rounds, best),
    )


def coverage_spec(rounds: Sequence[RoundSummary], best: CoverageReport, width: int) -> charts.Spec:
    """Make the Vega-Lite specification; see `draw_coverage`."""
    points, levels = _points(rounds, best.gate.split), _levels(best)
    named = [*_levels_of_round(rounds[-1], best.gate.split), *levels]
    digits = 1 if width == charts.WIDTHS["wide"] else 0
    places = charts.spread([level.rate for level in named], _LABEL_GAP)
    labels = [
        {"kind": level.kind, "at": at, "text": f"{_name(level, digits)} {level.rate:.{digits}f} %"}
        for level, at in zip(named, places, strict=True)
    ]
    inner = width - (_LABELS if digits else _LABELS_NARROW) - _AXIS
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
        if len(rounds) >= charts.FEWEST_FOR_A_LINE:
            line = {"type": "line", **moved}
            marks.insert(0, {"mark": line, "encoding": {"x": x, "y": charts.RATE}})
        data = {"values": [point for point in points if point["split"] == split]}
        layers += [{"data": data, **mark} for mark in marks]
    return {
        "width": inner,
        "height": _HEIGHT,
        "padding": {"left": 12, "top": 8, "bottom": 0, "right": 24},
        "encoding": {"color": color},
        "layer": [
            {
                "data": {"values": [level._asdict() for level in levels]},
                "mark": {"type": "rule", "strokeDash": [6, 4], "strokeWidth": 1.5},
                "encoding": {"y": charts.RATE},
            },
            *layers,
            {
                "data": {"values": labels},
                "mark": {"type": "text", "align": "left", "baseline": "middle"},
                "encoding": {
                    "x": {"value": inner + 10},
                    "y": charts.RATE | {"field": "at"},
                    "text": {"field": "text"},
                },
            },
        ],
    }


def _splits(gated: SplitName) -> tuple[SplitName, ...]:
    splits: tuple[SplitName, ...] = ("holdout", "seed")
    return splits if gated in splits else (gated, *splits)


def _levels_of_round(entry: RoundSummary, gated: SplitName) -> list[_Level]:
    found = ((split, _rate(entry, split)) for split in _splits(gated))
    return [
        _Level(split, f"tuned, {split}", rate.rate_percent) for split, rate in found if rate.total
    ]


def _points(rounds: Sequence[RoundSummary], gated: SplitName) -> Rows:
    return [
        {"round": entry.round, "split": split, "kind": split, **charts.interval(rate)}
        for split in _splits(gated)
        for entry in rounds
        if (rate := _rate(entry, split)).total
    ]


def _name(level: _Level, digits: int) -> str:
    return level.name if digits else _NARROW_NAMES.get(level.name, level.name)


def _levels(best: CoverageReport) -> list[_Level]:
    levels = [_Level("threshold", "threshold", best.gate.threshold_percent)]
    levels += [
        _Level(model, _SHORT_NAMES.get(model, model), rates[best.gate.split].rate_percent)
        for model, rates in best.models.items()
        if model != TUNED
    ]
    return levels


def _rate(entry: RoundSummary, split: SplitName) -> Rate:
    return entry.report.models[TUNED][split]


def _describe(rounds: Sequence[RoundSummary], best: CoverageReport) -> str:
    split = best.gate.split
    by_round = ", ".join(
        f"round {entry.round} {_rate(entry, split).rate_percent:.1f} %" for entry in rounds
    )
    others = ", ".join(
        f"{'threshold' if level.kind == 'threshold' else model_name(level.kind).lower()} "
        f"{level.rate:.1f} %"
        for level in _levels(best)
    )
    return f"Tuned model on {split}: {by_round}. For comparison: {others}."
