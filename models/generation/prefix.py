"""Finds the tokens that many prompts begin with, which are computed once, not for every prompt."""

import itertools
from collections.abc import Sequence

_MIN_TOKENS = 32  # for less, the trace of one more function (about 5 s) does not pay


def shared_prefix(rows: Sequence[list[int]]) -> list[int]:
    """Return the tokens that at least three quarters of the rows begin with; empty if few.

    Args:
        rows: Token ids of prompts. The prefix leaves out at least one token of each.
    """
    if len(rows) < 2:
        return []
    # Rows that begin alike are neighbours in this order: if so many do, both of the pair do.
    ordered = sorted(rows)
    first = len(rows) // 4
    pair = ordered[first], ordered[max(3 * len(rows) // 4 - 1, first + 1)]
    same = itertools.takewhile(lambda tokens: tokens[0] == tokens[1], zip(*pair, strict=False))
    prefix = [token for token, _ in same][: min(map(len, pair)) - 1]
    return prefix if len(prefix) >= _MIN_TOKENS else []


def begins_with(row: Sequence[int], prefix: Sequence[int]) -> bool:
    """Return whether a row begins with the prefix and continues after it."""
    return len(row) > len(prefix) and list(row[: len(prefix)]) == list(prefix)
