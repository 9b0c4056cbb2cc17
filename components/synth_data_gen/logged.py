"""Logged exchanges as training rows: filtered like generated ones, and what they leave missing."""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.filters.prompt_filter import PromptFilter
from components.synth_data_gen.rows import Candidate
from core.conversation import user_text
from core.records import CoverageRow
from core.synthetic_records import LOGGED, Dropped
from task.similarity import similarity_matrix

_CHUNK = 256  # prompts compared with the seeds at once
_ENOUGH = 0.5  # of the rows that a kind should have; shares of a sample differ by chance
_MIN_WEIGHT = 1e-3  # a weight of zero would never take its turn


class Logged(NamedTuple):
    """What became of the logged exchanges.

    Attributes:
        read: Exchanges read.
        kept: Those that passed every filter, in their order.
        dropped: The others.
    """

    read: int = 0
    kept: Sequence[Candidate] = ()
    dropped: Sequence[Dropped] = ()


class Missing(NamedTuple):
    """What remains to be generated.

    Attributes:
        rows: How many rows.
        weights: Weight of each seed by its id, with mean 1.
    """

    rows: int
    weights: dict[str, float]


def filter_logged(
    rows: Sequence[CoverageRow],
    seeds: Sequence[CoverageRow],
    prompt_filter: PromptFilter,
    answerer: Answerer,
) -> Logged:
    """Pass logged exchanges through the filters of generated rows.

    Args:
        rows: The exchanges; of equal ones the first is kept.
        seeds: Each exchange is assigned to the most similar one.
        prompt_filter: Judges form, leaks and duplicates of prompts.
        answerer: Judges the outputs.
    """
    candidates = [
        Candidate(
            position=(-1, 0, number),
            prompt=row.prompt.strip(),
            like_seed=like_seed,
            output=row.output,
            logged_id=row.id,
            tags=row.tags,
        )
        for number, (row, like_seed) in enumerate(zip(rows, _like(rows, seeds), strict=True))
    ]
    passed, dropped = prompt_filter.apply(candidates)
    kept, more = answerer.check(passed)
    return Logged(
        len(rows), kept, [dataclasses.replace(d, source=LOGGED) for d in (*dropped, *more)]
    )


def missing_rows(
    seeds: Sequence[CoverageRow],
    kept: Sequence[Candidate],
    rows_per_round: int,
    labels: frozenset[str] = frozenset(),
) -> Missing:
    """Find what logged exchanges leave missing in number or kind.

    Kinds are the seeds' tags, or without tags the labels that are their outputs. A kind should have
    its share of the seeds; where less than half of that is there, the rest is missing.

    Args:
        seeds: The seeds.
        kept: The exchanges that passed the filters; one without tags is of the kinds of the seed
            that it is most similar to.
        rows_per_round: Rows that the round should add.
        labels: All legal outputs, where outputs are labels.
    """
    kinds_of = {seed.id: _kinds(seed.tags, seed.output, labels) for seed in seeds}
    known = {kind for kinds in kinds_of.values() for kind in kinds}
    have: Counter[str] = Counter()
    for row in kept:
        own = known.intersection(_kinds(row.tags, row.output, labels))
        have.update(own or kinds_of[row.like_seed])
    shares = Counter(kind for kinds in kinds_of.values() for kind in kinds)
    quota = rows_per_round / len(seeds)
    missing = {kind: _missing(have[kind], quota * count) for kind, count in shares.items()}
    by_seed = {
        seed_id: quota * max((missing[kind] for kind in kinds), default=0.0)
        for seed_id, kinds in kinds_of.items()
    }
    of_kinds = sum(by_seed.values())
    rows = max(0, rows_per_round - len(kept), math.ceil(of_kinds - 1e-9))
    return Missing(rows, _weights(by_seed, rows - of_kinds))


def _kinds(tags: Sequence[str], output: str, labels: frozenset[str]) -> tuple[str, ...]:
    if tags:
        return tuple(dict.fromkeys(tags))
    return (output,) if output in labels else ()


def _missing(have: int, wanted: float) -> float:
    """Return the share of a kind that is missing, 0 to 1."""
    return 0.0 if have >= _ENOUGH * wanted else 1 - have / wanted


def _weights(by_seed: Mapping[str, float], rest: float) -> dict[str, float]:
    """Spread the rest over all seeds, and scale to mean 1."""
    rows = {seed_id: wanted + max(0.0, rest) / len(by_seed) for seed_id, wanted in by_seed.items()}
    mean = sum(rows.values()) / len(rows)
    if mean <= 0:
        return dict.fromkeys(rows, 1.0)
    return {seed_id: max(wanted / mean, _MIN_WEIGHT) for seed_id, wanted in rows.items()}


def _like(rows: Sequence[CoverageRow], seeds: Sequence[CoverageRow]) -> list[str]:
    """Return the id of the seed that each row's prompt is most similar to."""
    prompts = [user_text(seed.prompt) for seed in seeds]
    found: list[str] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = [user_text(row.prompt) for row in rows[start : start + _CHUNK]]
        found += [seeds[int(np.argmax(row))].id for row in similarity_matrix(chunk, prompts)]
    return found
