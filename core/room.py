"""How much longer than the longest known text a new one may be."""

import math

MAX_SEQUENCE_LENGTH = 131_072  # that a setting may have; a model may read less
MAX_OUTPUT_TOKENS = 8_192
MIN_SEQUENCE_LENGTH = 512
"""Batches are padded to their own longest row, so for a task of short rows this costs nothing, and
a new row that is much longer than the few known ones is kept."""

_HEAD_ROOM = 1.25  # other right answers, and rows to come, are that much longer than the longest
_MULTIPLE = 32  # a few tokens more in a new row change no setting, and no cache key


def with_head_room(longest: int, bound: int, least: int = 0) -> int:
    """Return a limit in tokens for texts like known ones.

    Args:
        longest: Tokens of the longest known text.
        bound: The largest limit.
        least: The smallest limit.

    Example:
        >>> with_head_room(90, MAX_OUTPUT_TOKENS)
        128
    """
    room = math.ceil(longest * _HEAD_ROOM / _MULTIPLE) * _MULTIPLE
    return min(bound, max(least, room))
