"""Draws charts with Vega-Lite when a page is written: the page holds images and runs no library."""

import base64
import functools
import importlib.util
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from core.reports.rates import RateEstimate

Spec = Mapping[str, object]

WIDTHS = {"wide": 1100, "narrow": 340}  # pixels; the browser takes the one that fits the screen
_NARROW_SCREEN = "(max-width: 720px)"
COLORS = Path(__file__).parent / "templates" / "colors.css"
_SIZE = re.compile(r'<svg [^>]*?\bwidth="([\d.]+)" height="([\d.]+)"')
_NO_LIBRARY = (
    "The chart is not drawn: vl-convert-python is not installed. Run: pip install '.[serve,charts]'"
)
_FONT = {"labelFontSize": 13, "titleFontSize": 13, "labelColor": "var(--soft)"}
_CONFIG = {
    "aria": False,  # the image has its text
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
    "header": {"labelFontSize": 13, "labelColor": "var(--ink)", "title": None},
    "legend": {
        "title": None,
        "orient": "top",
        "labelColor": "var(--ink)",
        "labelFontSize": 13,
        "columnPadding": 28,
        "labelLimit": 0,
    },
    "text": {"fontSize": 12.5},
}
FEWEST_FOR_A_LINE = 3  # points; two alone are not joined
MARGINS = 90  # pixels left and right of the drawing
PANEL_GAP = 24  # pixels between panels
_PANELS, _PANELS_NARROW = 4, 2  # in a row
_MAX_LABELS = 240  # pixels of names to the left
_CHARACTER = 8  # pixels, at most
_LABEL_SHARE = 0.85  # of their room: a browser's font may be wider than the one that is measured
_AXIS = 60  # pixels to the left of the first panel
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

    A chart is one element of the page, however much it shows: its SVG is an image.

    Args:
        spec_for: Makes the Vega-Lite specification for a width in pixels. Its colors may be
            variables of the style, such as `var(--blue)`.
        title: What the chart shows, for people who do not see it.
        description: Its figures, for the same people.
    """
    label = escape(f"{title}. {description}")
    if not can_draw():
        return Markup(f'<p class="soft">{label}</p><p class="soft">{escape(_NO_LIBRARY)}</p>')
    wide, narrow = (_Image(svg(spec_for(width))) for width in WIDTHS.values())
    return Markup(
        '<figure class="chart"><picture>'
        f'<source media="{_NARROW_SCREEN}" srcset="{narrow.address}" {narrow.size}>'
        f'<img alt="{label}" src="{wide.address}" {wide.size} decoding="async">'
        "</picture></figure>"
    )


def label_width(names: Collection[str], width: int) -> int:
    """Return the pixels that names to the left of a chart of a width take, at most two fifths."""
    longest = max((len(name) for name in names), default=0)
    return min(2 * width // 5, _MAX_LABELS, _CHARACTER * (longest + 2))


def label_axis(width: int) -> dict[str, Any]:
    """Return an axis of names that takes so many pixels, whatever fonts the browser has."""
    return {
        "minExtent": width,
        "maxExtent": width,
        "labelLimit": round(_LABEL_SHARE * width),
        "labelColor": "var(--ink)",
    }


class Panels(NamedTuple):
    """How the panels of a chart stand: how many in a row, each of how many pixels."""

    columns: int
    width: int

    @classmethod
    def fit(cls, count: int, width: int) -> "Panels":
        """Return how a number of panels fits a width in pixels."""
        columns = min(count, _PANELS if width == WIDTHS["wide"] else _PANELS_NARROW)
        return cls(columns, (width - _AXIS) // columns - PANEL_GAP)


def can_draw() -> bool:
    """Whether the library is installed; where only the gateway is, it is an extra."""
    return importlib.util.find_spec("vl_convert") is not None


class _Image:
    def __init__(self, text: str) -> None:
        encoded = base64.b64encode(text.encode()).decode()
        self.address = f"data:image/svg+xml;base64,{encoded}"
        found = _SIZE.search(text)
        width, height = found.groups() if found else ("", "")
        self.size = f'width="{float(width):.0f}" height="{float(height):.0f}"' if found else ""


def svg(spec: Spec) -> str:
    """Return the drawing, with the style's colors in it: an image knows nothing of its page."""
    import vl_convert

    whole = {"background": None, "config": _CONFIG, **spec}
    text = vl_convert.vegalite_to_svg(whole)
    head, end, drawing = text.partition(">")
    return f"{head}{end}<style>{_colors()}</style>{drawing}"


@functools.cache
def _colors() -> str:
    return " ".join(COLORS.read_text("utf-8").split())


def kinds(colors: Mapping[str, str], *, legend: bool = False) -> dict[str, Any]:
    """Return the encoding of the field `kind` as a color.

    Args:
        colors: By kind.
        legend: Whether a legend names the kinds.
    """
    scale = {"domain": list(colors), "range": list(colors.values())}
    return {"field": "kind", "type": "nominal", "scale": scale} | (
        {"title": None} if legend else {"legend": None}
    )


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
