"""Weights the seeds by what the last evaluation found wanting.

Only verdicts on seeds are used: what failed on the holdout must not steer what is trained on.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pydantic

from components.jsonl import read_rows
from components.records import SEED_SPLIT, CoverageRow
from components.synth_data_gen.text import similarity_matrix

_NEIGHBOURS = 3
_PRIOR_ROWS = 2.0  # a tag seen once or twice is pulled this strongly toward the mean failure rate


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What aiming reads of one line of `verdicts.jsonl`."""

    id: str
    split: str
    model: str
    covered: bool
    scored: bool


_VERDICT = pydantic.TypeAdapter(Verdict)


def read_verdicts(text: str, source: str) -> list[Verdict]:
    """The verdicts of the tuned model on seeds; everything else in the file is passed over.

    Args:
        text: What `verdicts.jsonl` holds.
        source: Where it lies, for messages.

    Raises:
        UserError: A line is no verdict.
    """
    verdicts = read_rows(text, source, lambda line: _VERDICT.validate_json(line, strict=True))
    return [v for v in verdicts if v.split == SEED_SPLIT and v.model == "tuned" and v.scored]


def uniform_weights(seeds: Sequence[CoverageRow]) -> dict[str, float]:
    """Weight 1 for every seed."""
    return {seed.id: 1.0 for seed in seeds}


def aimed_weights(
    seeds: Sequence[CoverageRow], verdicts: Sequence[Verdict], floor: float
) -> dict[str, float]:
    """Weights with mean 1 that grow with how badly a seed and its kind were answered.

    A seed's need is the mean of three failure rates: its own, that of its tags, and that of its
    nearest neighbours. The share `floor` of all weight stays uniform, the rest follows the need.

    Args:
        seeds: The seeds.
        verdicts: Verdicts on them; a seed without one counts as failing at the mean rate.
        floor: 0 to 1.

    Returns:
        Weight by seed id; uniform when nothing failed.
    """
    own = _failure_rates(verdicts)
    mean = sum(own.values()) / len(own) if own else 0.0
    if mean == 0:
        return uniform_weights(seeds)
    failure = np.array([own.get(seed.id, mean) for seed in seeds])
    need = (failure + _tag_rates(seeds, own, mean) + _neighbour_rates(seeds, failure)) / 3
    weights = floor + (1 - floor) * need / need.mean()
    # A weight of zero would never take its turn, even with a floor of zero.
    return {s.id: max(float(w), 1e-3) for s, w in zip(seeds, weights, strict=True)}


def _failure_rates(verdicts: Iterable[Verdict]) -> dict[str, float]:
    failures: defaultdict[str, list[bool]] = defaultdict(list)
    for verdict in verdicts:
        failures[verdict.id].append(not verdict.covered)
    return {seed_id: sum(failed) / len(failed) for seed_id, failed in failures.items()}


def _tag_rates(
    seeds: Sequence[CoverageRow], own: Mapping[str, float], mean: float
) -> npt.NDArray[np.float64]:
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


def _neighbour_rates(
    seeds: Sequence[CoverageRow], failure: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Failure rate of each seed's most similar other seeds, weighted by similarity."""
    prompts = [seed.prompt for seed in seeds]
    similarity = similarity_matrix(prompts, prompts)
    np.fill_diagonal(similarity, 0)
    rates = np.empty(len(seeds))
    for row, similar in enumerate(similarity):
        nearest = np.argsort(-similar, kind="stable")[:_NEIGHBOURS]
        weight = similar[nearest].sum()
        rates[row] = (
            (similar[nearest] * failure[nearest]).sum() / weight if weight else failure[row]
        )
    return rates
