"""The map of prompts in two dimensions: training rows and coverage prompts, failures marked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from reports import charts

ROW: Final = "training row"
COVERED: Final = "covered prompt"
FAILED: Final = "prompt not covered"
UNJUDGED: Final = "coverage prompt"

_HEIGHT, _HEIGHT_NARROW = 520, 320  # pixels
_MARGINS = 40  # pixels left and right of the drawing
_COLORS = {
    ROW: "var(--soft)",
    UNJUDGED: "var(--blue)",
    COVERED: "var(--teal)",
    FAILED: "var(--red)",
}
_SHAPES = {ROW: "circle", UNJUDGED: "square", COVERED: "square", FAILED: "diamond"}
_SIZES = {ROW: 22, UNJUDGED: 34, COVERED: 34, FAILED: 90}
_OPACITIES = {ROW: 0.4, UNJUDGED: 0.9, COVERED: 0.9, FAILED: 1.0}


class MapPoint(NamedTuple):
    """A prompt on the map; its place has no unit."""

    x: float
    y: float
    kind: str


class Gap(NamedTuple):
    """A coverage prompt that was not covered, and the training row that is nearest to it.

    Attributes:
        coverage_id: Its id.
        prompt: The prompt of a seed; empty for the holdout, which nobody is to write rows for.
        similarity: Of the two, 0 to 1.
        nearest: The training row's prompt.
    """

    coverage_id: str
    prompt: str
    similarity: float
    nearest: str


class PromptMap(NamedTuple):
    """The map, and the failures that have the least similar training rows, the farthest first."""

    points: Sequence[MapPoint]
    gaps: Sequence[Gap] = ()

    @property
    def is_judged(self) -> bool:
        """Whether an evaluation says which coverage prompts were covered."""
        return any(point.kind in (COVERED, FAILED) for point in self.points)


def draw_map(points: Sequence[MapPoint]) -> Markup:
    """Draw the map."""
    counts = Counter(point.kind for point in points)
    text = ", ".join(f"{counts[kind]} x {kind}" for kind in _COLORS if counts[kind])
    return charts.draw(lambda width: map_spec(points, width), "Map of prompts", f"{text}.")


def map_spec(points: Sequence[MapPoint], width: int) -> charts.Spec:
    """Make the Vega-Lite specification; see `draw_map`."""
    is_wide = width == charts.WIDTHS["wide"]
    present = {point.kind for point in points}
    order = [kind for kind in _COLORS if kind in present]  # the last ones are drawn on top
    rows = sorted(points, key=lambda point: order.index(point.kind))
    legend = {} if is_wide else {"columns": 2}
    color = charts.kinds({kind: _COLORS[kind] for kind in order}, legend=True)

    def by_kind(values: Mapping[str, object], legend: Mapping[str, int] | None) -> dict[str, Any]:
        scale = {"domain": order, "range": [values[kind] for kind in order]}
        return {"field": "kind", "title": None, "legend": legend, "scale": scale}

    axis = {"axis": None, "type": "quantitative", "scale": {"zero": False, "nice": False}}
    return {
        "width": width - _MARGINS,
        "height": _HEIGHT if is_wide else _HEIGHT_NARROW,
        "padding": {"left": 12, "top": 4, "bottom": 12, "right": 12},
        "data": {
            "values": [{"x": round(p.x, 4), "y": round(p.y, 4), "kind": p.kind} for p in rows]
        },
        "mark": {"type": "point", "filled": True},
        "encoding": {
            "x": {"field": "x", **axis},
            "y": {"field": "y", **axis},
            "color": color | {"legend": legend},
            "shape": by_kind(_SHAPES, legend),
            "size": by_kind(_SIZES, None),
            "opacity": by_kind(_OPACITIES, None),
        },
    }
