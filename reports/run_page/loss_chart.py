"""The chart "loss by step": a panel for each round, on one scale of losses."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from core.reports.training import TrainingRecord
from reports import charts

_MAX_POINTS = 480  # of all panels in a row: more cannot be seen
_MIN_POINTS = 60  # of a panel
_HEIGHT, _HEIGHT_SMALL = 240, 130  # pixels; small where there are several rows of panels
_KINDS = {
    "training loss": "var(--blue)",
    "eval loss": "var(--amber)",
    "step whose weights were kept": "var(--soft)",
}
_TRAIN, _EVAL, _KEPT = _KINDS

Pair = tuple[float, float]  # step and loss
Rows = list[dict[str, object]]


def draw_losses(trainings: Mapping[int, TrainingRecord]) -> Markup | None:
    """Draw the rounds whose losses are known; None where there are none.

    Args:
        trainings: By round.
    """
    known = {number: training for number, training in trainings.items() if training.losses}
    if not known:
        return None
    return charts.draw(
        lambda width: loss_spec(known, width),
        "Loss by step",
        " ".join(f"{_name(number)}: {_describe(training)}" for number, training in known.items()),
    )


def loss_spec(trainings: Mapping[int, TrainingRecord], width: int) -> charts.Spec:
    """Make the Vega-Lite specification; see `draw_losses`."""
    is_wide = width == charts.WIDTHS["wide"]
    panels = charts.Panels.fit(len(trainings), width)
    points = max(_MIN_POINTS, _MAX_POINTS // panels.columns)
    x = {
        "field": "step",
        "type": "quantitative",
        "title": None,
        "scale": {"domainMin": 0, "nice": False},
        "axis": {
            "grid": False,
            "format": "d",
            "tickMinStep": 1,
            "tickCount": 4 if is_wide else 2,
            "labelOverlap": "greedy",
        },
    }
    y = {
        "field": "loss",
        "type": "quantitative",
        "title": None,
        "scale": {"domainMin": 0},
        "axis": {"tickCount": 4},
    }
    color = charts.kinds(_KINDS, legend=True)
    if not is_wide:
        color["legend"] = {"columns": 1}
    legend = {"x": x, "color": color}
    return {
        "padding": {"left": 12, "top": 4, "bottom": 0, "right": 24},
        "data": {"values": [row for item in trainings.items() for row in _rows(*item, points)]},
        "columns": panels.columns,
        "spacing": {"row": 28, "column": charts.PANEL_GAP},
        "facet": {
            "field": "round",
            "type": "nominal",
            "title": None,
            "sort": [_name(number) for number in trainings],
            "header": {"labelAnchor": "start"},
        },
        "resolve": {"scale": {"x": "independent"}},  # rounds have different numbers of steps
        "spec": {
            "width": panels.width,
            "height": _HEIGHT if len(trainings) <= panels.columns else _HEIGHT_SMALL,
            "layer": [
                {
                    "transform": [{"filter": f"datum.kind == '{_KEPT}'"}],
                    "mark": {"type": "rule", "strokeDash": [6, 4], "strokeWidth": 1.5},
                    "encoding": legend,
                },
                {
                    "transform": [{"filter": "datum.joined"}],
                    "mark": {"type": "line", "strokeWidth": 1.5},
                    "encoding": {**legend, "y": y},
                },
                {
                    "transform": [
                        {"filter": f"datum.kind != '{_KEPT}'"},
                        {"filter": f"datum.kind == '{_EVAL}' || !datum.joined"},
                    ],
                    "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                    "encoding": {**legend, "y": y},
                },
            ],
        },
    }


def _rows(number: int, training: TrainingRecord, points: int) -> Rows:
    """Return the points of a panel; two points alone are not joined by a line."""
    rows: Rows = []
    curves = ((_TRAIN, _thinned(training.losses, points)), (_EVAL, training.eval_losses))
    for kind, pairs in curves:
        joined = len(pairs) >= charts.FEWEST_FOR_A_LINE
        rows += [
            {"round": _name(number), "kind": kind, "step": step, "loss": loss, "joined": joined}
            for step, loss in pairs
        ]
    if training.eval_losses:
        rows.append(
            {"round": _name(number), "kind": _KEPT, "step": training.best_step, "joined": False}
        )
    return rows


def _name(number: int) -> str:
    return f"Round {number}"


def _thinned(losses: Sequence[float], points: int) -> list[Pair]:
    """Return means of equal stretches of the steps, in the middle of each."""
    size = -(-len(losses) // points)
    parts = [losses[start : start + size] for start in range(0, len(losses), size)]
    return [
        (index * size + (len(part) + 1) / 2, sum(part) / len(part))
        for index, part in enumerate(parts)
    ]


def _describe(training: TrainingRecord) -> str:
    losses, eval_losses = training.losses, training.eval_losses
    text = f"training loss from {losses[0]:.3g} to {losses[-1]:.3g} in {len(losses)} steps."
    if not eval_losses:
        return text
    first, last = eval_losses[0][1], eval_losses[-1][1]
    return (
        f"{text} Eval loss from {first:.3g} to {last:.3g}. "
        f"The weights of step {training.best_step} were kept."
    )
