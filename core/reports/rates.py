"""Rates with their intervals, and what has one value for each split."""

from collections.abc import Mapping
from typing import Generic, Literal, TypeVar

from core.reports.report import Part

SplitName = Literal["overall", "holdout", "seed"]
OVERALL: SplitName = "overall"
SPLITS: tuple[SplitName, ...] = (OVERALL, "seed", "holdout")

_T = TypeVar("_T")


class BySplit(Part, Generic[_T]):
    """One value for all prompts and one for each split."""

    overall: _T
    seed: _T
    holdout: _T

    def __getitem__(self, split: SplitName) -> _T:
        value: _T = getattr(self, split)
        return value


class RateEstimate(Part):
    """A rate in percent, 0 to 100, with its 95 % interval."""

    rate_percent: float
    low_percent: float
    high_percent: float


class Rate(RateEstimate):
    """A coverage rate.

    Attributes:
        covered: Covered responses.
        total: All responses; one that could not be scored counts as not covered.
        unscored: Of these, the ones that could not be scored.
        prompts: Different prompts; fewer than responses where a prompt has several samples.
    """

    covered: int
    total: int
    unscored: int
    prompts: int


class Rates(BySplit[Rate]):
    """One model's rates by split and by tag."""

    tags: Mapping[str, Rate]


class RelativeRate(Part):
    """A rate in percent of another model's on the same prompts, with its 95 % interval.

    All three are None where the other model covers nothing.
    """

    prompts: int
    percent: float | None = None
    low_percent: float | None = None
    high_percent: float | None = None
