"""The chart of coverage rates where there is one round: a line for each model and split."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core.records import TEST_SPLIT
from core.reports.coverage import SERVICE, TUNED, CoverageReport, Gate
from core.reports.rates import Rate, SplitName
from reports import charts

_STEP = 34  # pixels from line to line
_LABELS = {"wide": 164, "narrow": 144}  # pixels to the left of the drawing
_RIGHT = 64  # pixels, of a rate that ends at 100 %
_MIDDLE = 50  # percent: a text next to a line ends there, where it is on the right
_SPLITS: tuple[SplitName, ...] = ("holdout", "seed")
COLORS = {"tuned": "var(--blue)", "other": "var(--amber)"}


class RateLine(NamedTuple):
    """A rate with its interval: of what, and whether the tuned model's."""

    name: str
    kind: str
    rate: Rate


def rate_lines(report: CoverageReport, names: Mapping[str, str]) -> list[RateLine]:
    """Return what is drawn: the tuned model by split, then the other models.

    Args:
        report: The evaluation of the round.
        names: What other models are called.
    """
    gated = report.gate.split
    look, tuned = report.last_look, report.models[TUNED]
    splits = _SPLITS if gated in _SPLITS else (gated, *_SPLITS)
    lines = [RateLine(f"tuned, {split}", "tuned", tuned[split]) for split in splits]
    if look:
        lines.insert(0, RateLine(f"tuned, {TEST_SPLIT}", "tuned", look.models[TUNED]))
        if SERVICE in look.models:
            name = f"{names.get(SERVICE, SERVICE)}, {TEST_SPLIT}"
            lines.append(RateLine(name, "other", look.models[SERVICE]))
    lines += [
        RateLine(_name(model, names, gated if look else None), "other", report.models[model][gated])
        for model in reversed(list(report.models))
        if model != TUNED
    ]
    return [line for line in lines if line.rate.total]


def _name(model: str, names: Mapping[str, str], split: str | None) -> str:
    name = names.get(model, model)
    return f"{name}, {split}" if model == SERVICE and split else name


def one_round_spec(lines: Sequence[RateLine], gate: Gate, width: int) -> charts.Spec:
    """Make the Vega-Lite specification.

    Args:
        lines: See `rate_lines`.
        gate: Its threshold is drawn.
        width: Of the chart in pixels.
    """
    is_wide = width == charts.WIDTHS["wide"]
    labels = _LABELS["wide" if is_wide else "narrow"]
    ticks = [0, 20, 40, 60, 80, 100] if is_wide else [0, 50, 100]
    axis = {**charts.PERCENT_AXIS, "values": ticks}
    x = {"type": "quantitative", "title": None, "scale": {"domain": [0, 100]}}
    rows = [
        {"name": line.name, "kind": line.kind, **charts.interval(line.rate),
         "text": f"{line.rate.rate_percent:.1f} %"}
        for line in lines
    ]  # fmt: skip
    y = {
        "field": "name", "type": "nominal", "sort": None, "title": None,
        "axis": {**charts.label_axis(labels), "labelLimit": labels, "grid": True},
    }  # fmt: skip
    threshold = {"values": [{"rate": gate.threshold_percent}]}
    side = "right" if gate.threshold_percent > _MIDDLE else "left"
    return {
        "width": width - labels - _RIGHT,
        "height": {"step": _STEP},
        "padding": {"left": 4, "top": 4, "bottom": 0, "right": 12},
        "layer": [
            {
                "data": threshold,
                "mark": {"type": "rule", "strokeDash": [6, 4], "strokeWidth": 1.5,
                         "color": "var(--red)"},
                "encoding": {"x": {**x, "field": "rate", "axis": axis}},
            },
            {
                "data": threshold,
                "mark": {"type": "text", "align": side, "baseline": "bottom", "dy": -4,
                         "color": "var(--red)",
                         "text": f"threshold on {gate.split}, {gate.threshold_percent:.1f} %"},
                "encoding": {"x": {**x, "field": "rate"}, "y": {"value": 0}},
            },
            *(
                {
                    "data": {"values": rows},
                    "mark": mark,
                    "encoding": {"y": y, "color": charts.kinds(COLORS), **encoding},
                }
                for mark, encoding in (
                    ({"type": "rule", "strokeWidth": 2},
                     {"x": {**x, "field": "low"}, "x2": {"field": "high"}}),
                    ({"type": "point", "filled": True, "size": 70, "opacity": 1},
                     {"x": {**x, "field": "rate"}}),
                    ({"type": "text", "align": "left", "baseline": "middle", "dx": 8},
                     {"x": {**x, "field": "high"}, "text": {"field": "text"}}),
                )
            ),
        ],
    }  # fmt: skip
