"""Geometry of the chart "coverage by share kept"; the template draws it."""

import dataclasses
from collections.abc import Sequence

from core.reports.confidence import ConfidenceReport, KeptShare

WIDTH, HEIGHT = 560, 260  # units of the SVG; it scales with the page
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 44  # margins for the axes
_TICKS = (0, 20, 40, 60, 80, 100)  # percent, on both axes
_MAX_POINTS = 200  # more cannot be seen at this size


@dataclasses.dataclass(frozen=True)
class ConfidenceChart:
    """All that is drawn.

    Attributes:
        line: Points of the rate.
        band: Points around its interval, a closed shape.
        chosen: Place of the chosen threshold, and its text; None where there is none.
        wanted: Height of the wanted rate.
        xs: Share kept and place of the ticks below.
        ys: Rate and place of the ticks on the left.
        description: The same in words.
    """

    line: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float], ...]
    chosen: tuple[float, float, str] | None
    wanted: float
    xs: tuple[tuple[int, float], ...]
    ys: tuple[tuple[int, float], ...]
    description: str


def make_confidence_chart(report: ConfidenceReport | None) -> ConfidenceChart | None:
    """Place the curve; None where nothing was measured."""
    if report is None or not report.curve:
        return None
    points = _thinned(report.curve)
    upper = [(_x(p.kept_percent), _y(p.right.high_percent)) for p in points]
    lower = [(_x(p.kept_percent), _y(p.right.low_percent)) for p in reversed(points)]
    chosen = report.chosen
    return ConfidenceChart(
        line=tuple((_x(p.kept_percent), _y(p.right.rate_percent)) for p in points),
        band=(*upper, *lower),
        chosen=(_x(chosen.kept_percent), _y(chosen.right.rate_percent), report.reason)
        if chosen
        else None,
        wanted=_y(report.wanted_percent),
        xs=tuple((tick, _x(tick)) for tick in _TICKS),
        ys=tuple((tick, _y(tick)) for tick in _TICKS),
        description=report.reason,
    )


def _thinned(curve: Sequence[KeptShare]) -> Sequence[KeptShare]:
    step = -(-len(curve) // _MAX_POINTS)
    return [*curve[:-1:step], curve[-1]]


def _x(percent: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * percent / 100


def _y(percent: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - percent / 100)
