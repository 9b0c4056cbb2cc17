"""Renders the verdict on a switch, with the pairs that differ."""

from pathlib import Path

from core.reports.switch import MAKE_PAIRS, NO_PAIRS, NOT_YET, SAFE, SwitchReport
from reports.theme import render_page
from reports.verdict_page.scale_chart import draw_scale

_TEMPLATE = Path(__file__).parent / "templates" / "verdict.html.j2"
_SHOWN_PAIRS = 500  # more make a page that browsers open slowly


def render_verdict(report: SwitchReport) -> str:
    """Render the page.

    Args:
        report: The verdict.
    """
    return render_page(
        _TEMPLATE,
        make_pairs=MAKE_PAIRS,
        report=report,
        headline=headline(report),
        chart=report.overall and draw_scale(report.overall, report.margin_points),
        pairs=report.differing[:_SHOWN_PAIRS],
        hidden=max(0, len(report.differing) - _SHOWN_PAIRS),
    )


def headline(report: SwitchReport) -> str:
    """Return the verdict as a sentence."""
    found, margin = report.overall, f"{report.margin_points:g} points"
    if found is None:
        return NO_PAIRS
    if found.state == SAFE:
        return f"Safe to switch: the model is less than {margin} worse than the service."
    if found.state != NOT_YET:
        return f"Worse: the model is more than {margin} worse than the service."
    if report.more_requests is None:
        return "Not yet: the model is so near the margin that no number of requests decides it."
    return f"Not yet: about {report.more_requests:,} more requests decide it."
