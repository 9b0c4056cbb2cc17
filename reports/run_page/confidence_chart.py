"""The chart "coverage by share kept"."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from core.reports.confidence import ConfidenceReport, KeptShare
from reports import charts

_HEIGHT = 260  # pixels
_MAX_POINTS = 200  # more cannot be seen at this size
_KINDS = {"share": "var(--blue)", "wanted": "var(--red)"}
_LABEL_EDGE = 50  # percent; labels are written toward the middle


def draw_confidence(report: ConfidenceReport | None) -> Markup | None:
    """Draw the curve; None where nothing was measured."""
    if report is None or not report.curve:
        return None
    return charts.draw(
        lambda width: confidence_spec(report, width),
        "Coverage by the share of answers that is kept",
        _describe(report),
    )


def confidence_spec(report: ConfidenceReport, width: int) -> charts.Spec:
    """Make the Vega-Lite specification; see `draw_confidence`."""
    x = {
        "field": "kept",
        "type": "quantitative",
        "title": "Share kept, from the surest answer to all",
        "scale": {"domain": [0, 100]},
        "axis": {**charts.PERCENT_AXIS, "grid": False},
    }
    color = charts.kinds(_KINDS)
    wanted = {"rate": report.wanted_percent, "kind": "wanted", "text": "wanted", "kept": 0}
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "area", "opacity": 0.15},
            "encoding": {
                "x": x,
                "y": charts.RATE | {"field": "low"},
                "y2": {"field": "high"},
                "color": color,
            },
        },
        {
            "data": {"values": [wanted]},
            "mark": {"type": "rule", "strokeWidth": 1.5},
            "encoding": {"y": charts.RATE, "color": color},
        },
        {
            "data": {"values": [wanted]},
            "mark": {"type": "text", "align": "left", "dx": 4, "dy": 12},
            "encoding": {"x": x, "y": charts.RATE, "text": {"field": "text"}, "color": color},
        },
        {"mark": "line", "encoding": {"x": x, "y": charts.RATE, "color": color}},
    ]
    if report.chosen:
        layers += _chosen(report.chosen, x)
    return {
        "width": width - charts.MARGINS,
        "height": _HEIGHT,
        "padding": {"left": 12, "top": 8, "bottom": 0, "right": 24},
        "data": {"values": [_row(share) for share in _thinned(report.curve)]},
        "layer": layers,
    }


def _chosen(share: KeptShare, x: dict[str, Any]) -> list[dict[str, Any]]:
    row = _row(share) | {"text": f"{share.kept_percent:.0f} % kept"}
    is_right = share.kept_percent > _LABEL_EDGE
    data, encoding = {"values": [row]}, {"x": x, "y": charts.RATE}
    label = {"align": "right" if is_right else "left", "dx": -8 if is_right else 8, "dy": 18}
    return [
        {
            "data": data,
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1,
                     "color": "var(--blue)"},
            "encoding": encoding,
        },
        {
            "data": data,
            "mark": {"type": "text", "color": "var(--ink)", **label},
            "encoding": {**encoding, "text": {"field": "text"}},
        },
    ]  # fmt: skip


def _row(share: KeptShare) -> dict[str, Any]:
    return {"kept": share.kept_percent, "kind": "share", **charts.interval(share.right)}


def _thinned(curve: Sequence[KeptShare]) -> Sequence[KeptShare]:
    step = -(-len(curve) // _MAX_POINTS)
    return [*curve[:-1:step], curve[-1]]


def _describe(report: ConfidenceReport) -> str:
    last = report.curve[-1]
    return (
        f"{report.reason} Of all answers {last.right.rate_percent:.1f} % are right; wanted are "
        f"{report.wanted_percent:g} %."
    )
