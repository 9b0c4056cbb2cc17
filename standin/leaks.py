"""Judges leaks by words: it knows no meaning, so a paraphrase in other words passes."""

from collections.abc import Sequence
from typing import NamedTuple

from standin.features import words
from standin.triage import triage

_SHARED = 0.7  # of the words of the shorter message, both without repetitions
_MIN_WORDS = 4  # two or three words in common say nothing


class Leak(NamedTuple):
    """A verdict on a candidate.

    Attributes:
        reason: In one sentence.
        same_as: Number of the test message that it restates, from 1; 0 for none.
    """

    reason: str
    same_as: int


def find_leak(candidate: str, tests: Sequence[str]) -> Leak:
    """Return which test message a candidate restates.

    It is the one with the most words in common, where both read as the same category, priority and
    product, and where the shorter one has most of its words from the other.

    Args:
        candidate: A message.
        tests: The test messages, in the order of their numbers.
    """
    shares = [_share(candidate, test) for test in tests]
    best = max(range(len(tests)), key=shares.__getitem__, default=None)
    if best is None or shares[best] < _SHARED:
        return Leak("No test message has most of its words in common with the candidate.", 0)
    if triage(candidate) != triage(tests[best]):
        return Leak("The nearest test message says something else in much the same words.", 0)
    return Leak(
        f"Both say the same with {100 * shares[best]:.0f} % of the words of the shorter message.",
        best + 1,
    )


def _share(one: str, other: str) -> float:
    first, second = set(words(one)), set(words(other))
    shorter = min(len(first), len(second))
    return len(first & second) / shorter if shorter >= _MIN_WORDS else float(one == other)
