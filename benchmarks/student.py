"""Student's t interval: the mean of a few values, and how far it may be off."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

# The 97.5 % quantile by degrees of freedom.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093)  # fmt: skip
MAX_VALUES = len(_T) + 1


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self:.1f}"

    def __format__(self, spec: str) -> str:
        mean, low, high = (format(value, f"+{spec}") for value in self)
        return f"{mean} [{low}, {high}]"


def interval(values: Sequence[float]) -> Interval:
    """Return the interval for the mean of 2 to 20 values."""
    mean = statistics.fmean(values)
    half = _T[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)
