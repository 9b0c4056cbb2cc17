"""How far two ways of deciding agree: share of equal decisions and Cohen's kappa."""

import dataclasses
import math
from collections.abc import Sequence

from components.llm_evaluator.rates import Z_95


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Two raters on the same rows.

    Attributes:
        rows: Rows that both decided.
        both: Rows that both counted as covered.
        neither: Rows that neither counted as covered.
        only_first: Rows that only the first counted as covered.
        only_second: Rows that only the second counted as covered.
        agree_percent: Equal decisions in percent of the rows; None without rows.
        kappa: Cohen's kappa, -1 to 1; None without rows or where both raters always say the same
            one thing, so that agreement by chance is certain.
        kappa_low: Lower end of its 95 % interval.
        kappa_high: Upper end of its 95 % interval.
    """

    rows: int
    both: int
    neither: int
    only_first: int
    only_second: int
    agree_percent: float | None
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None


def agreement(first: Sequence[bool], second: Sequence[bool]) -> Agreement:
    """Compares two raters' decisions on the same rows, given in the same order.

    Reference:
        J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological
        Measurement 20 (1960), 37-46; the interval uses its large-sample standard error.
    """
    pairs = list(zip(first, second, strict=True))
    both = pairs.count((True, True))
    neither = pairs.count((False, False))
    counts = (len(pairs), both, neither, pairs.count((True, False)), pairs.count((False, True)))
    if not pairs:
        return Agreement(*counts, None, None, None, None)
    size = len(pairs)
    observed = (both + neither) / size
    yes = (sum(first) / size, sum(second) / size)
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    agree_percent = round(100 * observed, 2)
    if chance == 1:
        return Agreement(*counts, agree_percent, None, None, None)
    kappa = (observed - chance) / (1 - chance)
    spread = Z_95 * math.sqrt(observed * (1 - observed) / size) / (1 - chance)
    return Agreement(
        *counts,
        agree_percent,
        round(kappa, 4),
        round(max(-1.0, kappa - spread), 4),
        round(min(1.0, kappa + spread), 4),
    )
