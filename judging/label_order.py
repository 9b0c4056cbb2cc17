"""The order in which people are asked for labels: the rows that tell most come first.

Within a stratum the order is random, so the rows that a person was asked about before stopping are
a random sample of each stratum, and the probability of each is known: the share of it asked about.
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

from core.records import VerdictRow
from core.reports.strict import StrictKind
from judging.strict import strict_equal

Stratum = Literal["judge only", "strict only", "both", "neither", "covered", "not covered"]
DISAGREEMENT: frozenset[Stratum] = frozenset({"judge only", "strict only"})

_T = TypeVar("_T", bound=Hashable)


def stratum_of(row: VerdictRow, kind: StrictKind | None) -> Stratum:
    """Name a row's stratum: who accepts it of judge and strict scorer, or whether the judge does.

    Args:
        row: The verdict row.
        kind: What the references are; None for free text, which has no strict scorer.
    """
    if kind is None:
        return "covered" if row.covered else "not covered"
    if strict_equal(row.output, row.response, kind):
        return "both" if row.covered else "strict only"
    return "judge only" if row.covered else "neither"


def label_order(strata: Mapping[_T, Stratum], count: int, *, seed: int = 0) -> list[_T]:
    """Order responses for labelling.

    Those on which judge and strict scorer disagree come first, up to half of `count`; where there
    are more, a random part of them, because a rate also needs the others. These follow stratum by
    stratum in turn, each in proportion to its size. What is beyond `count` comes last, in turn too.

    Args:
        strata: Every response's stratum. The order of the mapping decides nothing but ties, so give
            it in a fixed one.
        count: How many labels are planned; a person may stop before or go on.
        seed: Seed of the random order within a stratum.
    """
    members: dict[Stratum, list[_T]] = defaultdict(list)
    for item, stratum in strata.items():
        members[stratum].append(item)
    generator = random.Random(seed)
    for stratum in sorted(members):
        generator.shuffle(members[stratum])
    doubtful = _in_turn(part for name, part in sorted(members.items()) if name in DISAGREEMENT)
    others = _in_turn(part for name, part in sorted(members.items()) if name not in DISAGREEMENT)
    first = max(count // 2, count - len(others))
    second = count - len(doubtful[:first])
    return [*doubtful[:first], *others[:second], *_in_turn([doubtful[first:], others[second:]])]


def inclusion_probabilities(
    strata: Mapping[_T, Stratum], asked: Iterable[_T]
) -> dict[Stratum, float]:
    """Return the share of each stratum that was asked about: its rows' probability of being so."""
    sizes = Counter(strata.values())
    found = Counter(strata[item] for item in asked)
    return {stratum: found[stratum] / size for stratum, size in sizes.items()}


def _in_turn(parts: Iterable[Sequence[_T]]) -> list[_T]:
    """Merge sequences so that each is spread evenly over the whole."""
    placed = (
        [((number + 0.5) / len(part), place, item) for number, item in enumerate(part)]
        for place, part in enumerate(parts)
    )
    return [item for _, _, item in heapq.merge(*placed, key=lambda entry: entry[:2])]
