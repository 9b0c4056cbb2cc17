"""How many training rows the threshold takes, from the rounds so far."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.records import VerdictRow
from core.reports.learning import LearningCurve, LearningPoint
from core.reports.rates import SplitName

_Floats = npt.NDArray[np.float64]

_RESAMPLES = 1000
_REACH = 100  # times the rows seen: beyond, the curve is a guess
_MIN_PROMPTS = 10
_TAIL = 2.5  # percent on either side of the interval


class Estimate(NamedTuple):
    """Rows to the threshold with their 95 % interval; an end that is None is beyond any bound."""

    rows: int | None
    low: int | None
    high: int | None


def learning_curve(
    points: Sequence[LearningPoint],
    verdicts: Sequence[Sequence[VerdictRow]],
    *,
    split: SplitName,
    threshold_percent: float,
) -> LearningCurve:
    """Put rounds in the order of their rows, and estimate the rows that the threshold takes.

    Args:
        points: The rounds.
        verdicts: Of each round, the verdict rows that its rate counts.
        split: Whose they are.
        threshold_percent: The rate to reach.
    """
    ordered = sorted(points, key=lambda point: (point.rows, point.round))
    curve = LearningCurve(
        split=split, threshold_percent=threshold_percent, points=tuple(ordered), conclusion=""
    )
    reached = [point for point in ordered if point.rate.rate_percent >= threshold_percent]
    if reached:
        return _concluded(
            curve, f"The threshold was reached with {reached[0].rows:,} training rows."
        )
    if len({point.rows for point in points}) < 2:
        count = "one round" if len(points) == 1 else "rounds with equally many training rows"
        return _concluded(curve, f"The rows to the threshold cannot be estimated from {count}.")
    shares = _shares(verdicts)
    if shares.shape[1] < _MIN_PROMPTS:
        return _concluded(
            curve,
            "The rows to the threshold cannot be estimated: the rounds have fewer than "
            f"{_MIN_PROMPTS} prompts in common.",
        )
    rows = np.array([point.rows for point in points], dtype=float)
    return _with_estimate(curve, rows_to(threshold_percent / 100, rows, shares))


def rows_to(threshold: float, rows: _Floats, shares: _Floats) -> Estimate:
    """Fit logit(rate) = a + b log(rows), and read off where it reaches a threshold.

    Args:
        threshold: The rate to reach, 0 to 1.
        rows: Training rows by round, at least two different numbers.
        shares: By round and prompt, the share of the answers that are covered.

    Returns:
        The rows, with a bootstrap interval over prompts. All rounds answer the same prompts, so
        they are drawn together. Luck of the training is not in it.

    Reference:
        B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    prompts = shares.shape[1]
    drawn = np.random.default_rng(0).integers(0, prompts, size=(_RESAMPLES, prompts))
    # The first one is what was observed.
    counts = np.vstack([shares.sum(axis=1), shares[:, drawn].sum(axis=2).T])
    found = _crossings(counts, prompts, np.log(rows), threshold)
    limit = _REACH * float(rows.max())
    low, high = np.percentile(found[1:], [_TAIL, 100 - _TAIL], method="nearest")
    return Estimate(*(_whole(value, limit) for value in (found[0], low, high)))


def _crossings(counts: _Floats, prompts: int, log_rows: _Floats, threshold: float) -> _Floats:
    """Return the rows at which each line of counts reaches the threshold; infinity for never."""
    rates = (counts + 0.5) / (prompts + 1)  # the empirical logit, finite at 0 and 1
    logits = np.log(rates / (1 - rates))
    weights = rates * (1 - rates)
    weights /= weights.sum(axis=1, keepdims=True)
    x_mean = weights @ log_rows
    y_mean = (weights * logits).sum(axis=1)
    spread = log_rows[None, :] - x_mean[:, None]
    slope = (weights * spread * logits).sum(axis=1) / (weights * spread**2).sum(axis=1)
    wanted = math.log(threshold / (1 - threshold)) if threshold < 1 else math.inf
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        crossing = np.exp(x_mean + (wanted - y_mean) / slope)
    return np.where(slope > 0, crossing, math.inf)


def _shares(verdicts: Sequence[Sequence[VerdictRow]]) -> _Floats:
    """Return the covered share by round and prompt, of the prompts that all rounds answered."""
    by_round = []
    for rows in verdicts:
        found: defaultdict[str, list[bool]] = defaultdict(list)
        for row in rows:
            found[row.id].append(row.covered)
        by_round.append(found)
    ids = sorted(set.intersection(*(set(found) for found in by_round)))
    return np.array([[float(np.mean(found[key])) for key in ids] for found in by_round])


def _whole(rows: float, limit: float) -> int | None:
    return math.ceil(rows) if rows <= limit else None


def _concluded(curve: LearningCurve, conclusion: str) -> LearningCurve:
    return curve.model_copy(update={"conclusion": conclusion})


def _with_estimate(curve: LearningCurve, estimate: Estimate) -> LearningCurve:
    most = max(point.rows for point in curve.points)
    threshold = f"{curve.threshold_percent:.1f} %"
    if estimate.rows is None:
        return _concluded(
            curve,
            f"More rows did not raise the rate, or so little that {threshold} would take more than "
            f"{_REACH} times the {most:,} rows of the largest round. Change something else.",
        )
    low = estimate.low if estimate.low is not None else estimate.rows
    high = f"to {estimate.high:,}" if estimate.high is not None else "and no upper bound"
    return curve.model_copy(
        update={
            "rows_to_threshold": estimate.rows,
            "low_rows": low,
            "high_rows": estimate.high,
            "conclusion": f"{threshold} would take about {estimate.rows:,} training rows (95 % "
            f"interval from {low:,} {high}), if more of the same rows go on helping as they "
            "did. The interval reflects the choice of prompts, not the luck of a training.",
        }
    )
