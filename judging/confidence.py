"""Choose the confidence threshold above which answers are right at a stated rate."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from core.reports.confidence import KeptShare
from core.reports.rates import RateEstimate
from judging.rates import percent, wilson

ALPHA = 0.05
# Where the search begins, as shares of all answers: the more, the fewer errors each may make.
_STARTS = (0.25, 0.5, 1.0)


class Graded(NamedTuple):
    """An answer, how sure the model was of it, and whether it is right."""

    confidence: float
    right: bool


class Choice(NamedTuple):
    """A threshold and why.

    Attributes:
        kept: What is kept at the threshold; None where none can be shown to do.
        reason: In words.
    """

    kept: KeptShare | None
    reason: str


def curve(answers: Sequence[Graded]) -> tuple[KeptShare, ...]:
    """Return what is kept at every threshold, from the surest answers to all of them."""
    ordered = sorted(answers, key=lambda each: -each.confidence)
    counts = itertools.accumulate(each.right for each in ordered)
    return tuple(
        _kept(kept, right, len(ordered), each.confidence)
        for kept, (right, each) in enumerate(zip(counts, ordered, strict=True), start=1)
        # Answers of the same confidence are kept together.
        if kept == len(ordered) or ordered[kept].confidence != each.confidence
    )


def choose(answers: Sequence[Graded], wanted_percent: float) -> Choice:
    """Choose the lowest threshold above which answers are right at a rate.

    With a probability of 95 % the true rate above the chosen threshold is at least the wanted one,
    although the threshold is chosen on these answers: thresholds are tested in a fixed order, from
    each of a few starting points downwards, and the search from a point ends at the first that
    fails.

    Args:
        answers: To prompts that nobody trained on.
        wanted_percent: The rate, above 0 and below 100.

    Reference:
        A. N. Angelopoulos and others, Learn then test: calibrating predictive algorithms to
        achieve risk control (2021), arXiv 2110.01052: fixed sequence testing with several starts,
        with the exact binomial p-value.
    """
    points = curve(answers)
    size, wanted = len(answers), wanted_percent / 100
    each = ALPHA / len(_STARTS)
    best: KeptShare | None = None
    for start in _STARTS:
        for point in points:
            if point.kept < start * size:
                continue
            right = round(point.kept * point.right.rate_percent / 100)
            if binomial_tail(right, point.kept, wanted) > each:
                break
            if best is None or point.kept > best.kept:
                best = point
    if best is not None:
        right_rate = best.right
        return Choice(
            best,
            f"Of the {best.kept} surest of {size} answers {right_rate.rate_percent:.1f} % are "
            f"right ({right_rate.low_percent:.1f} to {right_rate.high_percent:.1f} %).",
        )
    needed = math.ceil(math.log(each) / math.log(wanted))
    if size < needed:
        why = f"with {size} answers it cannot be shown; {needed} that are all right are the least"
    else:
        why = "the surest answers are not right that often"
    return Choice(
        None,
        f"No threshold is known above which {wanted_percent:g} % are right: {why}. Lower "
        "serving.confidence.right_percent, or add coverage rows to the holdout.",
    )


def binomial_tail(right: int, size: int, share: float) -> float:
    """Return the probability of at least so many right answers if each is right with `share`."""
    logs = [
        math.lgamma(size + 1)
        - math.lgamma(count + 1)
        - math.lgamma(size - count + 1)
        + count * math.log(share)
        + (size - count) * math.log1p(-share)
        for count in range(right, size + 1)
    ]
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def _kept(kept: int, right: int, size: int, threshold: float) -> KeptShare:
    interval = wilson(right / kept, kept)
    return KeptShare(
        threshold=threshold,
        kept=kept,
        kept_percent=percent(kept / size),
        right=RateEstimate(
            rate_percent=percent(right / kept),
            low_percent=percent(interval.low),
            high_percent=percent(interval.high),
        ),
    )
