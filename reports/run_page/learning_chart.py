"""The chart "rate by training rows"."""

from typing import Any

from markupsafe import Markup

from core.reports.learning import LearningCurve
from reports import charts

_HEIGHT = 240  # pixels
_COLORS = {"gate": "var(--blue)", "strict": "var(--teal)", "threshold": "var(--red)"}
_MAX_STRETCH = 4  # of the axis beyond the estimate, where the interval has no upper bound


def draw_learning(curve: LearningCurve | None) -> Markup | None:
    """Draw the rounds, and the rows to the threshold; None without two different numbers of rows.

    Args:
        curve: The rounds.
    """
    if curve is None or len({point.rows for point in curve.points}) < 2:
        return None
    return charts.draw(
        lambda width: learning_spec(curve, width), "Rate by training rows", _describe(curve)
    )


def learning_spec(curve: LearningCurve, width: int) -> charts.Spec:
    """Make the Vega-Lite specification; see `draw_learning`."""
    values = _values(curve)
    is_course = len(curve.points) >= charts.FEWEST_FOR_A_LINE
    rows = sorted({point.rows for point in curve.points})
    found, low, high = curve.rows_to_threshold, curve.low_rows, curve.high_rows
    ticks = sorted({rows[0], rows[-1], *([found] if found else [])})
    x = {
        "field": "rows",
        "type": "quantitative",
        "title": "Training rows",
        "scale": {"type": "log", "nice": False},
        "axis": {"values": ticks, "grid": False, "format": ","},
    }
    layers: list[dict[str, Any]] = []
    if found and low:
        end = min(high or _MAX_STRETCH * found, _MAX_STRETCH * found)
        layers = [
            {
                "data": {"values": [{"rows": low, "end": end}]},
                "mark": {"type": "rect", "color": "var(--blue)", "opacity": 0.15},
                "encoding": {"x": x, "x2": {"field": "end"}},
            },
            {
                "data": {"values": [{"rows": found}]},
                "mark": {"type": "rule", "color": "var(--soft)", "strokeDash": [6, 4]},
                "encoding": {"x": x},
            },
        ]
    color = {
        "field": "kind",
        "scale": {"domain": list(_COLORS), "range": list(_COLORS.values())},
        "legend": None,
    }
    return {
        "width": width - charts.MARGINS,
        "height": _HEIGHT,
        "padding": {"left": 12, "top": 8, "bottom": 0, "right": 24},
        "data": {"values": values},
        "layer": [
            *layers,
            {
                "data": {"values": [{"rate": curve.threshold_percent, "kind": "threshold"}]},
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {"y": charts.RATE, "color": color},
            },
            *(
                layer
                for kind in ("strict", "gate")
                for layer in _rate_layers(kind, x, color, is_course=is_course)
            ),
        ],
    }


def _rate_layers(
    kind: str, x: dict[str, Any], color: dict[str, Any], *, is_course: bool
) -> list[dict[str, Any]]:
    """Return the line, bars and points of one kind.

    The strict ones are drawn first and larger, so that they are seen around equal rates, too.
    """
    is_strict = kind == "strict"
    y = {"x": x, "y": charts.RATE, "color": color}
    bars = {**y, "y": charts.RATE | {"field": "low"}, "y2": {"field": "high"}}
    thick = {"strokeWidth": 5, "opacity": 0.45} if is_strict else {"strokeWidth": 1.5}
    point = {"filled": False, "size": 240, "strokeWidth": 2} if is_strict else {
        "filled": True, "size": 70
    }  # fmt: skip
    marks = [
        *([{"mark": {"type": "line", **thick}, "encoding": y}] if is_course else []),
        {"mark": {"type": "rule", **thick}, "encoding": bars},
        {"mark": {"type": "point", "opacity": 1, **point}, "encoding": y},
    ]
    return [{"transform": [{"filter": {"field": "kind", "equal": kind}}], **mark} for mark in marks]


def _values(curve: LearningCurve) -> list[dict[str, Any]]:
    kinds = (("strict", "strict"), ("gate", "rate"))
    return [
        {"rows": point.rows, "kind": kind, **charts.interval(value)}
        for kind, name in kinds
        for point in curve.points
        if (value := getattr(point, name)) is not None
    ]


def _describe(curve: LearningCurve) -> str:
    names = (("", "rate"), (", strict", "strict"))
    points = [
        f"Round {point.round}{kind}, {point.rows:,} rows: {value.rate_percent:.1f} % "
        f"({value.low_percent:.1f} to {value.high_percent:.1f} %)."
        for kind, name in names
        for point in curve.points
        if (value := getattr(point, name)) is not None
    ]
    return " ".join([*points, curve.conclusion])
