"""The coverage rate that people would find, from few human labels and all of the judge's verdicts.

The judge's verdicts say how much the labels of a few rows stand for; what people say of these rows
corrects the judge. Unlike `calibration.corrected_rate`, it needs labels of the very rows whose rate
is asked for, drawn with known probabilities; in return its interval is narrower than with the
labels alone, and the draw may prefer rows on which the judge is doubtful.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from core.reports.rates import RateEstimate
from judging.rates import effective_size, percent, wilson

_MIN_LABELS = 2  # in each group: one label says nothing about the spread
_ADDED_LABELS = 0.5  # of each outcome, shared by all groups, where their spread is estimated


class SampledRow(NamedTuple):
    """A response, and its label if it was drawn.

    Attributes:
        id: The coverage row's id; responses to one prompt are not independent.
        groups: What is known of every response without people, the finest first: such as the
            judge's verdict with the strict scorer's, then the judge's verdict alone.
        probability: With which the response was drawn for labelling, above 0 to 1; for drawing
            without replacement, the drawn share of its stratum.
        covered: What people say; None for a response without a label.
    """

    id: str
    groups: tuple[Hashable, ...]
    probability: float
    covered: bool | None


class _Group(NamedTuple):
    """A group of responses.

    Attributes:
        weight: Its share of all responses.
        mean: Of its labels, weighted by inverse probabilities.
        labels: How many independent labels that is worth.
    """

    weight: float
    mean: float
    labels: float

    def smoothed(self, added: float) -> float:
        """Return a mean that is never 0 or 1: all labels alike do not mean that all rows are."""
        return (self.mean * self.labels + added) / (self.labels + 2 * added)


def prediction_powered_rate(rows: Sequence[SampledRow]) -> RateEstimate | None:
    """Estimate the coverage rate that people would find if they labelled every response.

    The mean label of each group, weighted by inverse probabilities, times the group's share of all
    responses. For verdicts of a few kinds this is the estimator from the efficient influence
    function, and prediction-powered inference with its best tuning comes to the same. The
    interval is Wilson's for as many independent observations as the estimate's variance is worth.

    Args:
        rows: Every response of the rate, labelled or not.

    Returns:
        The rate with its 95 % interval; None where there are too few labels.

    Raises:
        ValueError: A probability is not above 0 and at most 1.

    Reference:
        Y. T. Chen and others, Efficient inference for noisy LLM-as-a-judge evaluation (2026),
        arXiv 2601.05420; A. N. Angelopoulos and others, PPI++: efficient prediction-powered
        inference (2023), arXiv 2311.01453. C. Lee and others, How to correctly report
        LLM-as-a-judge evaluations (2025), arXiv 2511.21140, is for labels of other rows: see
        `calibration`. Effective size: Korn and Graubard, as in `rates.effective_size`.
    """
    wrong = {row.probability for row in rows if not 0 < row.probability <= 1}
    if wrong:
        raise ValueError(f"probabilities must be above 0 and at most 1; received {sorted(wrong)}")
    groups = _grouped(rows)
    if groups is None:
        return None
    estimate = sum(group.weight * group.mean for group in groups)
    means = [group.smoothed(_ADDED_LABELS / len(groups)) for group in groups]
    weighted = list(zip(groups, means, strict=True))
    center = sum(group.weight * mean for group, mean in weighted)
    within = sum(group.weight**2 * mean * (1 - mean) / group.labels for group, mean in weighted)
    between = sum(group.weight * (mean - center) ** 2 for group, mean in weighted)
    variance = within + between / _prompts_worth(rows)
    low, high = wilson(estimate, center * (1 - center) / variance)
    return RateEstimate(
        rate_percent=percent(estimate), low_percent=percent(low), high_percent=percent(high)
    )


def _grouped(rows: Sequence[SampledRow]) -> list[_Group] | None:
    """Group by the finest of `SampledRow.groups` that leaves every group enough labels."""
    levels = len(rows[0].groups) if rows else 0
    for level in range(levels + 1):  # the last one is all rows together
        members: dict[Hashable, list[SampledRow]] = defaultdict(list)
        for row in rows:
            members[row.groups[level] if level < levels else None].append(row)
        if all(_labels(group) >= _MIN_LABELS for group in members.values()):
            return [_group(group, rows) for group in members.values()] or None
    return None


def _group(members: Sequence[SampledRow], rows: Sequence[SampledRow]) -> _Group:
    drawn = [(1 / row.probability, row) for row in members if row.covered is not None]
    weight = sum(inverse for inverse, _ in drawn)
    mean = sum(inverse for inverse, row in drawn if row.covered) / weight
    # Kish's effective size, and several labelled samples of one prompt count as one.
    size = weight**2 / sum(inverse**2 for inverse, _ in drawn)
    labelled = [row.id for row in rows if row.covered is not None]
    worth = size * len(set(labelled)) / len(labelled)
    return _Group(len(members) / len(rows), mean, worth)


def _labels(members: Iterable[SampledRow]) -> int:
    return sum(row.covered is not None for row in members)


def _prompts_worth(rows: Sequence[SampledRow]) -> float:
    """Count the independent prompts that the rows' groups are worth; see `effective_size`."""
    first = rows[0].groups[-1] if rows[0].groups else None
    clusters: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        clusters[row.id].append(bool(row.groups) and row.groups[-1] == first)
    return effective_size(list(clusters.values()))
