"""Draws charts with Vega-Lite when a page is written: the page holds SVG and runs no library."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from core.reports.rates import RateEstimate

Spec = Mapping[str, Any]

WIDTHS = {"wide": 1100, "narrow": 340}  # pixels; the style shows the one that fits the screen
_NAMESPACES = re.compile(r' xmlns(:\w+)?="[^"]*"')  # SVG within HTML needs none
_FONT = {"labelFontSize": 13, "titleFontSize": 13, "labelColor": "var(--soft)"}
_CONFIG = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        **_FONT,
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "gridColor": "var(--line)",
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
    },
    "text": {"fontSize": 12.5},
}
PERCENT_AXIS = {"values": [0, 20, 40, 60, 80, 100], "labelExpr": "datum.value + ' %'"}
RATE = {
    "field": "rate",
    "type": "quantitative",
    "title": None,
    "scale": {"domain": [0, 100]},
    "axis": PERCENT_AXIS,
}


def draw(spec_for: Callable[[int], Spec], title: str, description: str) -> Markup:
    """Draw a chart for wide and for narrow screens.

    Args:
        spec_for: Makes the Vega-Lite specification for a width in pixels. Its colors may be
            variables of the style, such as `var(--blue)`.
        title: What the chart shows, for people who do not see it.
        description: Its figures, for the same people.
    """
    drawings = "".join(
        f'<div class="{kind}-chart" aria-hidden="true">{_svg(spec_for(width))}</div>'
        for kind, width in WIDTHS.items()
    )
    label = escape(f"{title}. {description}")
    return Markup(f'<figure class="chart" role="img" aria-label="{label}">{drawings}</figure>')


def _svg(spec: Spec) -> str:
    import vl_convert

    whole = {"background": None, "config": _CONFIG, **spec}
    return _NAMESPACES.sub("", vl_convert.vegalite_to_svg(whole))


def interval(rate: RateEstimate) -> dict[str, float]:
    """Return a rate and its interval as fields of a row of data."""
    return {"rate": rate.rate_percent, "low": rate.low_percent, "high": rate.high_percent}


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Move values between 0 and 100 apart, so that labels at their heights do not overlap.

    Args:
        values: In any order.
        gap: Least distance, in the same unit.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    placed = [0.0] * len(values)
    top = 100.0
    for index in reversed(order):  # downwards from the highest
        placed[index] = top = min(values[index], top)
        top -= gap
    bottom = 0.0
    for index in order:  # back up from the lowest
        placed[index] = bottom = max(placed[index], bottom)
        bottom += gap
    return placed
