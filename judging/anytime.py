"""Bounds of a mean that hold at every look: a confidence sequence, by betting."""

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from judging.rates import Interval

ALPHA = 0.05

# Shares of the wealth that are bet. Small ones find out small differences in many observations,
# large ones large differences in few.
_BETS = np.geomspace(0.01, 0.7, 12)
_HALVINGS = 50  # of the interval in which a bound is searched: finer than any float is printed
_MAX_MORE = 10_000_000

Floats = npt.NDArray[np.float64]


class Bounded:
    """Observations between -1 and 1, such as differences of two outcomes between 0 and 1.

    Somebody who bets against "the mean is at most m" at fair odds cannot expect to gain if that
    is true, and the chance that the wealth ever reaches 1/alpha is at most alpha (Ville's
    inequality). So the means against which the wealth is below 1/alpha hold the true one at
    every look at once, however long the observations go on. The wealth is spread evenly over bets
    of fixed size, so the order of the observations does not count.

    Args:
        values: The observations, each between -1 and 1. Their mean may be anything; the expected
            value given those before has to be the same for each.

    Raises:
        ValueError: A value is out of bounds.

    Reference:
        I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting,
        Journal of the Royal Statistical Society B 86 (2024), 1-27, arXiv 2010.09686, theorem 3
        and the diversified bets of its section 5; J. Ville, Étude critique de la notion de
        collectif (1939).
    """

    def __init__(self, values: Iterable[float]) -> None:
        counted = Counter(values)
        wrong = [value for value in counted if not -1 <= value <= 1]
        if wrong:
            raise ValueError(f"observations must be between -1 and 1; received {wrong[0]}")
        self._values: Floats = np.array(list(counted), np.float64)
        self._counts: Floats = np.array(list(counted.values()), np.float64)

    @property
    def size(self) -> int:
        """Number of observations."""
        return int(self._counts.sum())

    @property
    def mean(self) -> float:
        """Mean of the observations; 0 without any."""
        return float(self._values @ self._counts / self.size) if self.size else 0.0

    def interval(self, alpha: float = ALPHA) -> Interval:
        """Return the interval that holds the true mean at every look, but for a share of alpha."""
        return Interval(self.low(alpha / 2), self.high(alpha / 2))

    def low(self, alpha: float) -> float:
        """Return the bound below which the true mean never is, but for a share of alpha."""
        if not self.size:
            return -1.0
        return _low(self._values, self._counts, alpha)

    def high(self, alpha: float) -> float:
        """Return the bound above which the true mean never is, but for a share of alpha."""
        if not self.size:
            return 1.0
        return -_low(-self._values, self._counts, alpha)

    def is_above(self, mean: float, alpha: float) -> bool:
        """Whether the true mean is above one, but for a share of alpha."""
        return log_wealth(self._values, self._counts, mean) >= -math.log(alpha)

    def is_below(self, mean: float, alpha: float) -> bool:
        """Whether the true mean is below one, but for a share of alpha."""
        return log_wealth(-self._values, self._counts, -mean) >= -math.log(alpha)

    def more_until_decided(self, mean: float, alpha: float) -> int | None:
        """Estimate how many more observations like these decide on which side of a mean they are.

        Half an observation of -1 and of 1 are added: a few equal observations do not mean that
        all will be equal.

        Args:
            mean: The mean.
            alpha: Of each side.

        Returns:
            0 where it is decided; None where it would take more than ten million.
        """
        if self.is_above(mean, alpha) or self.is_below(mean, alpha):
            return 0
        values = np.append(self._values, [-1.0, 1.0])
        counts = np.append(self._counts, [0.5, 0.5])
        sides = ((values, mean), (-values, -mean))
        needed = [_size_needed(side, counts, bound, alpha) for side, bound in sides]
        found = [size for size in needed if size is not None]
        return max(1, math.ceil(min(found) - self.size)) if found else None


def quantile_low(values: Sequence[float], share: float, alpha: float) -> float:
    """Return a value above which the true quantile is at every look, but for a share of alpha.

    The quantile is the number that a given share of all observations is not above. Were the bound
    higher than it, too many observations would be above the quantile itself: the bet on their
    share, whose mean is known there, decides, and no form of the distribution is assumed.

    Args:
        values: The observations so far; independent ones of the same distribution.
        share: Of the quantile, above 0 and below 1.
        alpha: The probability that it is ever wrong.

    Returns:
        One of the values; minus infinity where they are too few.

    Reference:
        S. R. Howard and A. Ramdas, Sequential estimation of quantiles with applications to A/B
        testing and best-arm identification, Bernoulli 28 (2022), 1704-1728: a confidence sequence
        of a fixed quantile from one of the share of observations above it.
    """
    ordered, size = sorted(values), len(values)
    # The fewest observations that are significantly more than should be above the quantile.
    above = bisect.bisect_left(
        range(size + 1), True, key=lambda count: _is_more(count, size, 1 - share, alpha)
    )
    # That many are above each number that is lower than this value.
    return ordered[size - above] if above <= size else -math.inf


def quantile_high(values: Sequence[float], share: float, alpha: float) -> float:
    """Return a value below which the true quantile is at every look; see `quantile_low`.

    Returns:
        One of the values; infinity where they are too few.
    """
    return -quantile_low([-value for value in values], 1 - share, alpha)


def _is_more(count: int, size: int, share: float, alpha: float) -> bool:
    """Whether so many of the observations are significantly more than a share."""
    if not count:
        return False
    counts = np.array([count, size - count], np.float64)
    return log_wealth(np.array([1.0, -1.0]), counts, 2 * share - 1) >= -math.log(alpha)


def log_wealth(values: Floats, counts: Floats, mean: float) -> float:
    """Return the logarithm of the wealth of a gambler who bets against "the mean is at most this".

    Args:
        values: Float array of shape `(distinct values,)`, each between -1 and 1.
        counts: Float array of the same shape: how often each was observed.
        mean: What is bet against, -1 to 1.
    """
    if mean <= -1:  # one observation above it is enough
        return math.inf if (values > -1).any() else 0.0
    return float(_log_mean_exp(counts @ log_gains(values, mean)))


def log_gains(values: Sequence[float] | Floats, mean: float) -> Floats:
    """Return what a value does to the logarithm of the wealth on each bet.

    Args:
        values: Observations, each between -1 and 1.
        mean: What is bet against, above -1.

    Returns:
        Array of shape `(values, bets)`.
    """
    shares = (np.asarray(values, np.float64) + 1) / (mean + 1)
    return np.log1p(_BETS * (shares[:, None] - 1))


def _log_mean_exp(logs: Floats) -> float:
    top = logs.max()
    return float(top + np.log(np.mean(np.exp(logs - top))))


def _low(values: Floats, counts: Floats, alpha: float) -> float:
    # The wealth falls as the mean that is bet against rises, and is at most 1 at the observed one.
    low, high = -1.0, float(values @ counts / counts.sum())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle > -1 and log_wealth(values, counts, middle) < -math.log(alpha):
            high = middle
        else:
            low = middle
    return low


def _size_needed(values: Floats, counts: Floats, mean: float, alpha: float) -> float | None:
    """Return the size at which observations in these shares have refuted a mean as too low."""
    rates = counts / counts.sum() @ log_gains(values, mean)

    def is_enough(size: float) -> bool:
        return _log_mean_exp(size * rates) >= -math.log(alpha)

    low, high = 0.0, float(_MAX_MORE)
    if not is_enough(high):
        return None
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
