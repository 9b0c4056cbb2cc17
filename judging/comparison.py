"""Paired comparisons of two models on the same prompts: is a change more than noise?"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from core.reports.coverage import Change
from core.reports.rates import RelativeRate
from judging.rates import Interval, Judged, Observed, observed, percent, wilson

_ALPHA = 0.05


def mcnemar_exact(gained: int, lost: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Args:
        gained: Pairs that changed for the better.
        lost: Pairs that changed for the worse. Pairs without change say nothing.

    Reference:
        Q. McNemar, Note on the sampling error of the difference between correlated proportions,
        Psychometrika 12 (1947), 153-157, with the binomial distribution in place of chi-squared.
    """
    changed = gained + lost
    tail = sum(math.comb(changed, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2**changed)


def compare(before: Iterable[Judged], now: Iterable[Judged]) -> Change:
    """Compare two sets of verdicts prompt by prompt.

    With several samples of a prompt, its share of covered samples counts, and the test is the
    exact sign test, which for one sample is McNemar's.

    Args:
        before: Verdicts on the earlier or reference model.
        now: Verdicts on the model of interest. Prompts of only one set are left out.
    """
    old, new = _shares(before), _shares(now)
    both = sorted(old.keys() & new.keys())
    gained = tuple(key for key in both if new[key] > old[key])
    lost = tuple(key for key in both if new[key] < old[key])
    difference = sum(new[key] - old[key] for key in both) / (len(both) or 1)
    p_value = mcnemar_exact(len(gained), len(lost))
    return Change(
        prompts=len(both),
        gained=len(gained),
        lost=len(lost),
        difference_points=percent(difference),
        p_value=round(p_value, 6),
        significant=p_value < _ALPHA,
        gained_ids=gained,
        lost_ids=lost,
    )


def relative_rate(rows: Iterable[Judged], reference: Iterable[Judged]) -> RelativeRate:
    """Divide one model's rate by another's on the same prompts.

    The interval takes into account that both rates come from the same prompts: where they rise and
    fall together, it is narrower.

    Args:
        rows: Verdicts on the model of interest.
        reference: Verdicts on the model that counts as 100 %.

    Reference:
        A. Donner and G. Y. Zou, Closed-form confidence intervals for functions of the normal mean
        and standard deviation, Statistical Methods in Medical Research 21 (2012), 347-359: the
        ratio from the limits of its parts, here Wilson's, and from the correlation of the parts.
    """
    own, other = list(rows), list(reference)
    both = sorted({row.id for row in own} & {row.id for row in other})
    over, under = (observed(r for r in part if r.id in both) for part in (own, other))
    if under.share == 0:
        return RelativeRate(prompts=len(both))
    shares = [[found[key] for key in both] for found in (_shares(own), _shares(other))]
    limits = ratio_limits(over, under, _correlation(*shares))
    return RelativeRate(
        prompts=len(both),
        percent=percent(over.share / under.share),
        low_percent=percent(limits.low),
        high_percent=percent(limits.high),
    )


def ratio_limits(over: Observed, under: Observed, correlation: float) -> Interval:
    """Return the 95 % interval of a ratio of two shares; see `relative_rate`.

    Args:
        over: The share above the line.
        under: The share below it, not 0.
        correlation: How far the two rise and fall together from prompt to prompt, -1 to 1.
    """
    top, bottom = over.share, under.share
    own, other = wilson(*over), wilson(*under)
    lower = own.low * (2 * top - own.low)
    product = top * bottom - correlation * (top - own.low) * (other.high - bottom)
    root = math.sqrt(max(0.0, product**2 - lower * other.high * (2 * bottom - other.high)))
    # The textbook's form divides by a factor that may be 0; this one is the same fraction.
    low = lower / (product + root) if product + root > 0 else 0.0
    scale = other.low * (2 * bottom - other.low)
    product = top * bottom - correlation * (own.high - top) * (bottom - other.low)
    root = math.sqrt(max(0.0, product**2 - own.high * (2 * top - own.high) * scale))
    return Interval(low, (product + root) / scale)


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    try:
        return statistics.correlation(one, other)
    except statistics.StatisticsError:  # one prompt, or all of one model's alike
        return 0.0


def _shares(rows: Iterable[Judged]) -> dict[str, float]:
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        outcomes[row.id].append(row.covered)
    return {key: sum(values) / len(values) for key, values in outcomes.items()}
