"""Coverage rates with 95 % intervals; what counts as covered is decided elsewhere."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from core.records import HOLDOUT_SPLIT, SEED_SPLIT
from core.reports.rates import Rate, Rates

Z_95 = 1.959963984540054  # the 97.5 % point of the normal distribution


class Interval(NamedTuple):
    """A 95 % interval of a share, both ends from 0 to 1."""

    low: float
    high: float


class Judged(Protocol):
    """What a rate needs to know of a verdict row."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102
    @property
    def tags(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def covered(self) -> bool: ...  # noqa: D102
    @property
    def scored(self) -> bool: ...  # noqa: D102


def wilson(share: float, size: float) -> Interval:
    """Return the Wilson score interval of a binomial share.

    Args:
        share: The observed share, 0 to 1.
        size: Observations; a real number where they were not independent. 0 gives (0, 1).

    Reference:
        E. B. Wilson, Probable inference, the law of succession, and statistical inference,
        JASA 22 (1927), 209-212.
    """
    if size <= 0:
        return Interval(0.0, 1.0)
    z2 = Z_95 * Z_95
    center = (share + z2 / (2 * size)) / (1 + z2 / size)
    spread = math.sqrt(share * (1 - share) / size + z2 / (4 * size * size)) / (1 + z2 / size)
    # At the ends the formula gives 0 and 1 exactly, but for rounding.
    low = 0.0 if share == 0 else max(0.0, center - Z_95 * spread)
    high = 1.0 if share == 1 else min(1.0, center + Z_95 * spread)
    return Interval(low, high)


def effective_size(clusters: Sequence[Sequence[bool]]) -> float:
    """Count the independent observations that the samples of several prompts are worth.

    The size divided by the design effect: the cluster-robust variance of the share over its
    binomial variance. It is kept between the number of clusters (all samples of a prompt agree)
    and the number of samples (they are independent), and equals the number of clusters where all
    outcomes are the same and nothing can be estimated.

    Args:
        clusters: The outcomes of each prompt's samples; no cluster is empty.

    Reference:
        E. L. Korn and B. I. Graubard, Confidence intervals for proportions with small expected
        number of positive counts estimated from survey data, Survey Methodology 24 (1998).
    """
    count = len(clusters)
    size = sum(len(cluster) for cluster in clusters)
    if size == count:
        return float(size)
    share = sum(sum(cluster) for cluster in clusters) / size
    binomial = share * (1 - share) / size
    if binomial == 0 or count < 2:
        return float(count)
    squares = sum((sum(cluster) - share * len(cluster)) ** 2 for cluster in clusters)
    clustered = count / (count - 1) * squares / size**2
    return min(float(size), max(float(count), size * binomial / max(clustered, 1e-300)))


class Observed(NamedTuple):
    """A share, 0 to 1, and how many independent observations it is worth."""

    share: float
    size: float


def observed(rows: Iterable[Judged]) -> Observed:
    """Return the covered share of verdict rows; several samples of a prompt are one cluster."""
    clusters: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        clusters[row.id].append(row.covered)
    size = sum(len(cluster) for cluster in clusters.values())
    if not size:
        return Observed(0.0, 0.0)
    covered = sum(sum(cluster) for cluster in clusters.values())
    return Observed(covered / size, effective_size(list(clusters.values())))


def rate(rows: Iterable[Judged]) -> Rate:
    """Return the coverage rate of verdict rows, with Wilson's interval.

    The interval's size is corrected for several samples of a prompt; see `effective_size`.
    """
    rows = list(rows)
    share, size = observed(rows)
    interval = wilson(share, size)
    return Rate(
        covered=sum(row.covered for row in rows),
        total=len(rows),
        unscored=sum(not row.scored for row in rows),
        prompts=len({row.id for row in rows}),
        rate_percent=percent(share),
        low_percent=percent(interval.low),
        high_percent=percent(interval.high),
    )


def rates(rows: Sequence[Judged]) -> Rates:
    """Return one model's rates by split and by tag."""
    tags = sorted({tag for row in rows for tag in row.tags})
    return Rates(
        overall=rate(rows),
        seed=rate(row for row in rows if row.split == SEED_SPLIT),
        holdout=rate(row for row in rows if row.split == HOLDOUT_SPLIT),
        tags={tag: rate(row for row in rows if tag in row.tags) for tag in tags},
    )


def percent(share: float) -> float:
    """Convert a share from 0 to 1 to percent with two decimals, as records hold it."""
    return round(100 * share, 2)
