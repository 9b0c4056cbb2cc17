"""Weights the seeds by the confusions of the last evaluation and by what is rare among kept rows.

Only verdicts on seeds are used: what failed on the holdout must not steer what is trained on.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from core.records import SEED_SPLIT, CoverageRow, VerdictRow
from core.reports.coverage import TUNED
from core.reports.strict import StrictKind
from judging.strict import strict_kind
from judging.value_shares import ANY_VALUE, count_values, output_values

_PRIOR_ROWS = 2.0  # a value or tag seen once or twice is pulled this strongly toward the mean rate

_Floats = npt.NDArray[np.float64]


def verdicts_on_seeds(verdicts: Iterable[VerdictRow]) -> list[VerdictRow]:
    """Return the scored verdicts on the tuned model's answers to seeds, and no others."""
    return [v for v in verdicts if v.split == SEED_SPLIT and v.model == TUNED and v.scored]


def uniform_weights(seeds: Sequence[CoverageRow]) -> dict[str, float]:
    """Give every seed the weight 1."""
    return {seed.id: 1.0 for seed in seeds}


def aimed_weights(
    seeds: Sequence[CoverageRow],
    verdicts: Sequence[VerdictRow],
    floor: float,
    kept: Sequence[str] = (),
    *,
    references: Sequence[str] = (),
) -> dict[str, float]:
    """Make weights with mean 1 that grow with how badly a seed's kind was answered, or is missing.

    Half of a seed's need is failure: of JSON and labels, how often each of its output values was
    answered otherwise; of free text, how often it and its tags were not covered. The other half is
    rarity: how far the rarest of its output values among the kept rows falls short of its share of
    the seeds. The share `floor` of all weight stays uniform, the rest follows the need.

    Args:
        seeds: The seeds.
        verdicts: Verdicts on them; a seed without one counts as failing at the mean rate.
        floor: 0 to 1.
        kept: Outputs of the rows so far.
        references: All of the dataset, to tell what kind they are; none: those of the seeds.

    Returns:
        Weight by seed id; uniform when nothing failed and nothing is rare.
    """
    kind = strict_kind(references or [seed.output for seed in seeds])
    needs = [_confused(seeds, verdicts, kind) if kind else _not_covered(seeds, verdicts)]
    if kind and kept:
        needs.append(_rare(seeds, kept, kind))
    shown = [need / need.mean() for need in needs if need.mean() > 0]
    if not shown:
        return uniform_weights(seeds)
    weights = floor + (1 - floor) * np.mean(shown, axis=0)
    # A weight of zero would never take its turn, even with a floor of zero.
    return {s.id: max(float(w), 1e-3) for s, w in zip(seeds, weights, strict=True)}


def _confused(
    seeds: Sequence[CoverageRow], verdicts: Iterable[VerdictRow], kind: StrictKind
) -> _Floats:
    """Sum over a seed's fields how often its value there is answered by another one."""
    failures: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    of_field: defaultdict[str, list[bool]] = defaultdict(list)
    for row in verdicts:
        given = output_values(row.response, kind)
        for field, value in output_values(row.output, kind).items():
            failures[field, value].append(given.get(field) != value)
            of_field[field].append(given.get(field) != value)
    means = {field: sum(failed) / len(failed) for field, failed in of_field.items()}

    def rate(field: str, value: str) -> float:
        failed, mean = failures.get((field, value), []), means.get(field, 0.0)
        return (sum(failed) + _PRIOR_ROWS * mean) / (len(failed) + _PRIOR_ROWS)

    return np.array(
        [sum(rate(*item) for item in output_values(seed.output, kind).items()) for seed in seeds]
    )


def _rare(seeds: Sequence[CoverageRow], kept: Sequence[str], kind: StrictKind) -> _Floats:
    """Return how far a seed's rarest value falls short of its share of the seeds, 0 to 1."""
    wanted = count_values([seed.output for seed in seeds], kind)
    found = count_values(kept, kind)

    def shortfall(field: str, value: str) -> float:
        if ANY_VALUE in wanted[field]:
            value = ANY_VALUE
        of_kept = found.get(field, {})
        count = sum(of_kept.values()) if value == ANY_VALUE else of_kept.get(value, 0)
        share = wanted[field][value] / len(seeds)
        return max(0.0, 1 - count / len(kept) / share)

    return np.array(
        [
            max((shortfall(*item) for item in output_values(seed.output, kind).items()), default=0)
            for seed in seeds
        ]
    )


def _not_covered(seeds: Sequence[CoverageRow], verdicts: Iterable[VerdictRow]) -> _Floats:
    """Return the mean of a seed's own failure rate and that of its tags."""
    own = _failure_rates(verdicts)
    mean = sum(own.values()) / len(own) if own else 0.0
    failure = np.array([own.get(seed.id, mean) for seed in seeds])
    return (failure + _tag_rates(seeds, own, mean)) / 2


def _failure_rates(verdicts: Iterable[VerdictRow]) -> dict[str, float]:
    failures: defaultdict[str, list[bool]] = defaultdict(list)
    for verdict in verdicts:
        failures[verdict.id].append(not verdict.covered)
    return {seed_id: sum(failed) / len(failed) for seed_id, failed in failures.items()}


def _tag_rates(seeds: Sequence[CoverageRow], own: Mapping[str, float], mean: float) -> _Floats:
    rates: defaultdict[str, list[float]] = defaultdict(list)
    for seed in seeds:
        if seed.id in own:
            for tag in seed.tags:
                rates[tag].append(own[seed.id])
    smoothed = {
        tag: (sum(values) + _PRIOR_ROWS * mean) / (len(values) + _PRIOR_ROWS)
        for tag, values in rates.items()
    }
    return np.array(
        [
            float(np.mean([smoothed.get(tag, mean) for tag in seed.tags])) if seed.tags else mean
            for seed in seeds
        ]
    )
