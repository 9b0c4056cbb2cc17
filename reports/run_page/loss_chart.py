"""Geometry of the charts "loss by step", one for each round; the template draws them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from core.reports.training import TrainingRecord

WIDTH, HEIGHT = 560, 260  # units of the SVG; it scales with the page
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 44  # margins for the axes
_MAX_POINTS = 240  # more cannot be seen at this size
_TICKS = 4  # of losses, about
_MAX_STEPS = 6  # ticks

Pair = tuple[float, float]  # step and loss


@dataclasses.dataclass(frozen=True)
class LossChart:
    """All that is drawn of a round.

    Attributes:
        round: Its number.
        train: Points of the training loss in units of the SVG.
        eval: Points of the eval loss, each with its text.
        kept: Where the step of the kept weights is, and its text; None where it is not known.
        xs: Step and place of the ticks below.
        ys: Loss and place of the ticks on the left.
        description: The same in words.
    """

    round: int
    train: tuple[Pair, ...]
    eval: tuple[tuple[float, float, str], ...]
    kept: tuple[float, str] | None
    xs: tuple[tuple[int, float], ...]
    ys: tuple[tuple[str, float], ...]
    description: str


def make_loss_charts(trainings: Mapping[int, TrainingRecord]) -> tuple[LossChart, ...]:
    """Make the charts of the rounds whose losses are known, on one scale of losses.

    Args:
        trainings: By round.
    """
    known = {number: training for number, training in trainings.items() if training.losses}
    highest = max((_highest(training) for training in known.values()), default=0.0)
    step = _nice(highest / _TICKS)
    top = step * math.ceil(highest / step) if highest else 1.0
    return tuple(_chart(number, training, top, step) for number, training in known.items())


def _highest(training: TrainingRecord) -> float:
    return max([*training.losses, *(loss for _, loss in training.eval_losses)])


def _chart(number: int, training: TrainingRecord, top: float, tick: float) -> LossChart:
    losses, eval_losses = training.losses, training.eval_losses
    steps = len(losses)

    def place(step: float, loss: float) -> Pair:
        x = LEFT + (WIDTH - LEFT - RIGHT) * step / steps
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (1 - loss / top)

    every = max(1, int(_nice(steps / _MAX_STEPS)))
    best = training.best_step if eval_losses else None
    return LossChart(
        round=number,
        train=tuple(place(*point) for point in _thinned(losses)),
        eval=tuple((*place(at, loss), f"Step {at}: {loss:.4g}") for at, loss in eval_losses),
        kept=None if best is None else (place(best, 0)[0], f"Kept: the weights of step {best}"),
        xs=tuple((at, place(at, 0)[0]) for at in range(0, steps + 1, every)),
        ys=tuple((f"{i * tick:g}", place(0, i * tick)[1]) for i in range(round(top / tick) + 1)),
        description=_describe(losses, eval_losses, best),
    )


def _thinned(losses: Sequence[float]) -> list[Pair]:
    """Return means of equal stretches of the steps, in the middle of each."""
    size = -(-len(losses) // _MAX_POINTS)
    parts = [losses[start : start + size] for start in range(0, len(losses), size)]
    return [
        (index * size + (len(part) + 1) / 2, sum(part) / len(part))
        for index, part in enumerate(parts)
    ]


def _nice(value: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(f * power for f in (1.0, 2.0, 5.0, 10.0) if f * power >= value * (1 - 1e-9))


def _describe(losses: Sequence[float], eval_losses: Sequence[Pair], best: int | None) -> str:
    text = f"Training loss from {losses[0]:.3g} to {losses[-1]:.3g} in {len(losses)} steps."
    if eval_losses:
        first, last = eval_losses[0][1], eval_losses[-1][1]
        text += f" Eval loss from {first:.3g} to {last:.3g}."
    return text if best is None else f"{text} The weights of step {best} were kept."
