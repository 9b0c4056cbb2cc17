"""The difference between the model and the service with its interval, on a line with the margin."""

from typing import Any

from markupsafe import Markup

from core.reports.switch import SwitchDecision
from reports import charts
from reports.typeset import typeset

_HEIGHT = 64  # pixels
_MARGINS = {"wide": 80, "narrow": 60}  # pixels left and right of the drawing
_ROOM = 1.1  # a tenth more than what is farthest from 0


def draw_scale(found: SwitchDecision, margin: float) -> Markup:
    """Draw the chart.

    Args:
        found: The difference of all pairs.
        margin: How much worse the model may be, in points.
    """
    return charts.draw(
        lambda width: scale_spec(found, margin, width),
        "The model's rate minus the service's",
        typeset(
            f"{found.difference_points:+.1f} points, {found.low_points:+.1f} to "
            f"{found.high_points:+.1f}; margin {margin:g} points."
        ),
    )


def scale_spec(found: SwitchDecision, margin: float, width: int) -> charts.Spec:
    """Make the Vega-Lite specification; see `draw_scale`."""
    end = _ROOM * max(2 * margin, abs(found.low_points), abs(found.high_points))
    x = {
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [-end, end], "nice": False},
        "axis": {"labelExpr": "datum.value ? format(datum.value, '+~g') : '0'", "tickCount": 5},
    }
    kind = "wide" if width == charts.WIDTHS["wide"] else "narrow"
    interval = {
        "difference": found.difference_points,
        "low": found.low_points,
        "high": found.high_points,
    }
    blue = {"color": "var(--blue)"}
    return {
        "width": width - _MARGINS[kind],
        "height": _HEIGHT,
        "padding": {"left": 20, "top": 8, "bottom": 0, "right": 20},
        "layer": [
            *_level(0.0, "as good", x, color="var(--soft)"),
            *_level(-margin, "margin", x, color="var(--red)"),
            {
                "data": {"values": [interval]},
                "mark": {"type": "errorbar", "ticks": {"size": 14, **blue}, "thickness": 2, **blue},
                "encoding": {
                    "x": {**x, "field": "low"},
                    "x2": {"field": "high"},
                    "y": {"value": _HEIGHT / 2},
                },
            },
            {
                "data": {"values": [interval]},
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, **blue},
                "encoding": {"x": {**x, "field": "difference"}, "y": {"value": _HEIGHT / 2}},
            },
        ],
    }


def _level(value: float, name: str, x: dict[str, Any], *, color: str) -> list[dict[str, Any]]:
    """Return a line across the drawing, with its name at the upper end."""
    data = {"values": [{"level": value, "name": name}]}
    at = {**x, "field": "level"}
    # The margin is left of 0, and so is its name.
    aside = {"align": "right", "dx": -6} if value < 0 else {"align": "left", "dx": 6}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "color": color, "strokeWidth": 1.5},
            "encoding": {"x": at},
        },
        {
            "data": data,
            "mark": {"type": "text", "color": "var(--soft)", "baseline": "top", **aside},
            "encoding": {"x": at, "y": {"value": 0}, "text": {"field": "name"}},
        },
    ]
