"""The chart of rates by tag, the worst first, next to the service LLM's."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from core.reports.coverage import BASE, SERVICE, TUNED, CoverageReport
from core.reports.rates import Rate
from reports import charts

_STEP = 30  # pixels from tag to tag
_MOST = 30  # more are in the table
_RIGHT = 44  # pixels, for the half of the last number of the axis


class TagLine(NamedTuple):
    """A tag with the rates of three models; None where one was not judged."""

    tag: str
    tuned: Rate
    base: Rate | None
    service: Rate | None


def tag_lines(report: CoverageReport) -> list[TagLine]:
    """Return a line for each tag, the one with the lowest rate first."""
    base, service = report.models.get(BASE), report.models.get(SERVICE)
    tuned = report.models[TUNED].tags
    worst = sorted(tuned.items(), key=lambda item: (item[1].rate_percent, -item[1].total, item[0]))
    return [
        TagLine(
            tag, rate, base.tags.get(tag) if base else None,
            service.tags.get(tag) if service else None,
        )
        for tag, rate in worst
    ]  # fmt: skip


def draw_tags(lines: Sequence[TagLine]) -> Markup:
    """Draw the tags with the lowest rates."""
    shown = lines[:_MOST]
    rates = ", ".join(f"{line.tag} {line.tuned.rate_percent:.1f} %" for line in shown)
    return charts.draw(lambda width: tag_spec(shown, width), "Coverage rate by tag", rates)


def tag_spec(lines: Sequence[TagLine], width: int) -> charts.Spec:
    """Make the Vega-Lite specification; see `draw_tags`."""
    models = {"tuned model": "var(--blue)", "service LLM": "var(--amber)"}
    rows = [
        {"tag": line.tag, "model": model, **charts.interval(rate)}
        for line in lines
        for model, rate in zip(models, (line.tuned, line.service), strict=True)
        if rate is not None and rate.total
    ]
    legend = {
        "title": None,
        "orient": "top",
        "labelColor": "var(--ink)",
        "labelFontSize": 13,
        "columnPadding": 28,
    }
    scale = {"domain": list(models), "range": list(models.values())}
    labels = charts.label_width([line.tag for line in lines], width)
    encoding = {
        "y": {
            "field": "tag", "type": "nominal", "sort": None, "title": None,
            "axis": {**charts.label_axis(labels), "grid": True},
        },
        "yOffset": {"field": "model", "sort": list(models)},
        "color": {"field": "model", "scale": scale, "legend": legend},
    }  # fmt: skip
    x = {"type": "quantitative", "title": None, "scale": {"domain": [0, 100]}}
    axis = charts.PERCENT_AXIS if width > 500 else {**charts.PERCENT_AXIS, "values": [0, 50, 100]}
    shape = {"field": "model", "sort": list(models), "legend": None}
    return {
        "width": width - labels - _RIGHT,
        "padding": {"left": 8, "top": 0, "bottom": 0, "right": 12},
        "height": {"step": _STEP, "for": "position"},
        "data": {"values": rows},
        "encoding": encoding,
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": {**x, "field": "low", "axis": axis}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {
                    "x": {**x, "field": "rate"},
                    "shape": shape,
                },
            },
        ],
    }
