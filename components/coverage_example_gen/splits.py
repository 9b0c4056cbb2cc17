"""Which split a row belongs to, and when two prompts count as the same one.

Both rest on the row alone, so a row that is added or removed moves no other.
"""

import hashlib
import unicodedata

from components.records import HOLDOUT_SPLIT, SEED_SPLIT

DEFAULT_HOLDOUT_PERCENT = 50


def normalized(prompt: str) -> str:
    """The prompt without differences of case, white space and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", prompt).casefold().split())


def stable_id(prompt: str) -> str:
    """An id for a row that has none: 16 hex digits, equal for equal normalized prompts."""
    return _digest(normalized(prompt))[:16]


def split_of(row_id: str, holdout_percent: int = DEFAULT_HOLDOUT_PERCENT) -> str:
    """The split of a row that names none.

    Args:
        row_id: The row's id, given or made by `stable_id`.
        holdout_percent: Expected share of `holdout` rows, 1 to 99. A larger share moves rows from
            `seed` to `holdout` only.
    """
    bucket = int(_digest(row_id), 16) % 100
    return HOLDOUT_SPLIT if bucket < holdout_percent else SEED_SPLIT


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
