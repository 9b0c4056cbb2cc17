"""The control chart: rates by look, with the limits within which chance keeps the newest."""

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from core.reports.watch import WatchLook, same_model, same_service
from reports import charts

_HEIGHT = 220  # pixels
_LABELS, _LABELS_NARROW = 8, 3  # dates below the drawing

Limits = tuple[float, float, float]  # low, center and high, as shares


def draw_control_chart(
    title: str, looks: Sequence[WatchLook], limits: Limits | None, *, is_service: bool
) -> Markup:
    """Draw a chart.

    Args:
        title: What it is of.
        looks: At least one.
        limits: Of the newest rate; None before there are enough looks.
        is_service: Whether the rates are the service's, not the tuned model's.
    """
    newest = looks[-1].service if is_service else looks[-1].model
    description = f"{len(looks)} checks; the newest covers {newest.covered} of {newest.total}."
    if limits:
        low, center, high = (100 * share for share in limits)
        description += f" Usual: {center:.1f} %, by chance {low:.1f} to {high:.1f} %."
    return charts.draw(
        lambda width: control_spec(looks, limits, width, is_service=is_service),
        f"{title}: control chart",
        description,
    )


def control_spec(
    looks: Sequence[WatchLook], limits: Limits | None, width: int, *, is_service: bool
) -> charts.Spec:
    """Make the Vega-Lite specification; see `draw_control_chart`."""
    rates = [look.service if is_service else look.model for look in looks]
    values = [{"look": n, "rate": rate.percent} for n, rate in enumerate(rates, 1)]
    is_wide = width == charts.WIDTHS["wide"]
    every = -(-len(looks) // (_LABELS if is_wide else _LABELS_NARROW))
    dates = json.dumps([look.time[:10] for look in looks])
    x = {
        "field": "look",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [1, max(2, len(looks))], "nice": False},
        "axis": {
            "grid": False,
            "values": list(range(1, len(looks) + 1, every)),
            "labelExpr": f"{dates}[datum.value - 1]",
        },
    }
    mark = {"color": "var(--amber)" if is_service else "var(--blue)"}
    encoding = {"x": x, "y": charts.RATE}
    layers: list[dict[str, Any]] = _limit_layers(looks, limits, x, is_service=is_service)
    if len(looks) >= charts.FEWEST_FOR_A_LINE:
        layers.append({"mark": {"type": "line", **mark}, "encoding": encoding})
    point = {"type": "point", "filled": True, "size": 70, "opacity": 1, **mark}
    return {
        "width": width - charts.MARGINS,
        "height": _HEIGHT,
        "padding": {"left": 12, "top": 8, "bottom": 0, "right": 40},
        "data": {"values": values},
        "layer": [*layers, {"mark": point, "encoding": encoding}],
    }


def _limit_layers(
    looks: Sequence[WatchLook], limits: Limits | None, x: dict[str, Any], *, is_service: bool
) -> list[dict[str, Any]]:
    if limits is None:
        return []
    # The looks at the present service or model, to which the limits belong.
    same = same_service(looks) if is_service else same_model(looks)
    begins = next(n for n, look in enumerate(looks, 1) if look is same[0])
    low, center, high = (100 * share for share in limits)
    band = {"look": begins, "end": len(looks), "low": low, "rate": center, "high": high}
    data = {"values": [band]}
    ends = {"x": x, "x2": {"field": "end"}}
    return [
        {
            "data": data,
            "mark": {"type": "rect", "color": "var(--blue)", "opacity": 0.15},
            "encoding": {**ends, "y": charts.RATE | {"field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": data,
            "mark": {"type": "rule", "color": "var(--soft)", "strokeDash": [6, 4]},
            "encoding": {**ends, "y": charts.RATE},
        },
    ]
