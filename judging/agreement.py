"""How far two raters agree: share of equal decisions and Cohen's kappa."""

import math
from collections.abc import Sequence

from core.reports.coverage import Agreement
from judging.rates import Z_95


def agreement(first: Sequence[bool], second: Sequence[bool]) -> Agreement:
    """Compare two raters' decisions on the same rows, given in the same order.

    Reference:
        J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological
        Measurement 20 (1960), 37-46; the interval uses its large-sample standard error.
    """
    pairs = list(zip(first, second, strict=True))
    size = len(pairs)
    counts = Agreement(
        rows=size,
        both=pairs.count((True, True)),
        neither=pairs.count((False, False)),
        only_first=pairs.count((True, False)),
        only_second=pairs.count((False, True)),
    )
    if not pairs:
        return counts
    observed = (counts.both + counts.neither) / size
    found: dict[str, float] = {"agree_percent": round(100 * observed, 2)}
    yes = (sum(first) / size, sum(second) / size)
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    if chance < 1:
        kappa = (observed - chance) / (1 - chance)
        spread = Z_95 * math.sqrt(observed * (1 - observed) / size) / (1 - chance)
        found |= {
            "kappa": round(kappa, 4),
            "kappa_low": round(max(-1.0, kappa - spread), 4),
            "kappa_high": round(min(1.0, kappa + spread), 4),
        }
    return counts.model_copy(update=found)
