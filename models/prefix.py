"""Tokens that many prompts begin with: they go through the model once, not with every prompt."""

import itertools
from collections.abc import Sequence

_LEAST_TOKENS = 32  # for less, the trace of one more function (about 5 s) does not pay


def shared_prefix(rows: Sequence[list[int]]) -> list[int]:
    """The tokens that at least three quarters of the rows begin with; empty where they are few.

    Args:
        rows: Token ids of prompts. At least one token of each stays outside of the prefix.
    """
    if len(rows) < 2:
        return []
    # Rows that begin alike are neighbours in this order: so many of them include both of the pair.
    ordered = sorted(rows)
    first = len(rows) // 4
    pair = ordered[first], ordered[max(3 * len(rows) // 4 - 1, first + 1)]
    same = itertools.takewhile(lambda tokens: tokens[0] == tokens[1], zip(*pair, strict=False))
    prefix = [token for token, _ in same][: min(map(len, pair)) - 1]
    return prefix if len(prefix) >= _LEAST_TOKENS else []


def begins_with(row: Sequence[int], prefix: Sequence[int]) -> bool:
    """Whether a row has the prefix and goes on after it."""
    return len(row) > len(prefix) and list(row[: len(prefix)]) == list(prefix)
