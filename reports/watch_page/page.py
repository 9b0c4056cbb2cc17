"""Renders the control chart of a watched service and its tuned model."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from core.reports.watch import WatchLook, WatchReport, same_model, same_service
from reports.theme import render_page

_TEMPLATE = Path(__file__).parent / "templates" / "watch.html.j2"
WIDTH, HEIGHT = 560, 220  # units of the SVG; it scales with the page
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 30
_TICKS = (0, 20, 40, 60, 80, 100)

Limits = tuple[float, float, float]  # low, center and high, as shares


class Dot(NamedTuple):
    """A look in the chart: its place, and its text."""

    x: float
    y: float
    text: str


class Chart(NamedTuple):
    """One control chart.

    Attributes:
        title: What it is of.
        kind: Of the series, for its color.
        dots: The looks.
        begins: Where the looks at the present service or model begin, to which the limits belong.
        band: Top and bottom of the limits; None before there are enough looks.
        center: Height of the usual rate; None likewise.
        ticks: Rates and their heights.
    """

    title: str
    kind: str
    dots: tuple[Dot, ...]
    begins: float
    band: tuple[float, float] | None
    center: float | None
    ticks: tuple[tuple[int, float], ...]


def render_watch(report: WatchReport, service: Limits | None, model: Limits | None) -> str:
    """Render the page.

    Args:
        report: At least one look.
        service: The limits of the service's newest rate; None before there are enough looks.
        model: Those of the tuned model's.
    """
    return render_page(
        _TEMPLATE,
        report=report,
        newest=report.looks[-1],
        charts=(
            _chart("The service", "eval", report.looks, service),
            _chart("The tuned model", "", report.looks, model),
        ),
        geometry={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT},
    )


def _chart(title: str, kind: str, looks: Sequence[WatchLook], limits: Limits | None) -> Chart:
    rates = [look.service if kind else look.model for look in looks]
    step = (WIDTH - LEFT - RIGHT) / max(1, len(looks) - 1)
    dots = tuple(
        Dot(
            round(LEFT + number * step, 1),
            _y(rate.percent),
            f"{look.time}: {rate.covered} of {rate.total}",
        )
        for number, (look, rate) in enumerate(zip(looks, rates, strict=True))
    )
    same = same_service(looks) if kind else same_model(looks)
    begins = next(dot.x for dot, look in zip(dots, looks, strict=True) if look is same[0])
    band = None if limits is None else (_y(100 * limits[2]), _y(100 * limits[0]))
    center = None if limits is None else _y(100 * limits[1])
    return Chart(
        title, kind, dots, begins, band, center, tuple((tick, _y(tick)) for tick in _TICKS)
    )


def _y(percent: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - percent / 100), 1)
