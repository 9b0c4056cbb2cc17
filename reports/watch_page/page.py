"""Renders the page of a watched service and its tuned model."""

from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from core.reports.watch import WatchReport
from reports.theme import render_page
from reports.watch_page.control_chart import Limits, draw_control_chart

_TEMPLATE = Path(__file__).parent / "templates" / "watch.html.j2"


class Watched(NamedTuple):
    """The service or the model: its title, its chart, and whether limits could be drawn."""

    title: str
    noun: str
    has_limits: bool
    chart: Markup


def render_watch(report: WatchReport, service: Limits | None, model: Limits | None) -> str:
    """Render the page.

    Args:
        report: At least one look.
        service: The limits of the service's newest rate; None before there are enough looks.
        model: Those of the tuned model's.
    """
    parts = (
        ("The service", "service", service),
        ("The tuned model", "model", model),
    )
    return render_page(
        _TEMPLATE,
        report=report,
        newest=report.looks[-1],
        watched=[
            Watched(
                title,
                noun,
                limits is not None,
                draw_control_chart(title, report.looks, limits, is_service=noun == "service"),
            )
            for title, noun, limits in parts
        ],
    )
