"""Which split a row belongs to, and when two prompts count as the same one.

`assign_splits` balances the splits over tags; it is what `init`, `check` and `run` use, which keep
its result in the dataset. `split_of` rests on a row's id alone, for a dataset whose splits were
never saved.
"""

import hashlib
import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from core.records import HOLDOUT_SPLIT, SEED_SPLIT, TEST_SPLIT

DEFAULT_HOLDOUT_PERCENT = 50
DEFAULT_TEST_PERCENT = 25
MIN_ROWS_FOR_TEST = 120  # below, a test split would leave too few rows to the other two
_PASSES = 3  # over the strata whose share is no whole number of rows

Stratum = tuple[str, ...]


class SplitRow(NamedTuple):
    """What the split of a row depends on.

    Attributes:
        id: Unique.
        tags: The row's tags; rows with the same ones are a stratum.
        session: Rows of one session are never in different splits; None for none.
    """

    id: str
    tags: tuple[str, ...] = ()
    session: str | None = None


def normalized(prompt: str) -> str:
    """Return the prompt without differences of case, white space and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", prompt).casefold().split())


def stable_id(prompt: str) -> str:
    """Return an id for a row that has none: 16 hex digits, equal for equal normalized prompts."""
    return _digest(normalized(prompt))[:16]


def split_of(row_id: str, holdout_percent: int = DEFAULT_HOLDOUT_PERCENT) -> str:
    """Return the split of a row that names none, in a dataset whose splits were never saved.

    Args:
        row_id: The row's id, given or made by `stable_id`.
        holdout_percent: Expected share of `holdout` rows, 1 to 99. A larger share moves rows from
            `seed` to `holdout` only.
    """
    bucket = int(_digest(row_id), 16) % 100
    return HOLDOUT_SPLIT if bucket < holdout_percent else SEED_SPLIT


def share_of_test(rows: int, wanted: int | None = None) -> int:
    """Return the share of the test split in percent.

    Args:
        rows: Of the dataset.
        wanted: The share that was asked for; None for the automatic one, which is 0 below
            `MIN_ROWS_FOR_TEST` rows.
    """
    if wanted is not None:
        return wanted
    return DEFAULT_TEST_PERCENT if rows >= MIN_ROWS_FOR_TEST else 0


def assign_splits(
    rows: Sequence[SplitRow],
    assigned: Mapping[str, str] | None = None,
    *,
    holdout_percent: int = DEFAULT_HOLDOUT_PERCENT,
    test_percent: int = 0,
) -> dict[str, str]:
    """Assign each row a split, so that each stratum has its share of the holdout and the test.

    The test split is filled first, with rows that have no split yet: the others may have been
    judged.

    In a stratum without sessions the number of holdout rows is the share asked for, rounded up or
    down; which of the two is chosen such that single tags and the whole come near their shares,
    too. Time grows linearly with the rows.

    Args:
        rows: All rows, those that have a split included.
        assigned: Splits by id; they stay.
        holdout_percent: Share of the holdout in what is not test, 1 to 99.
        test_percent: Share of the test split, 0 to 90.

    Returns:
        Splits by id. With two rows or more that can be assigned, seed and holdout are not empty.
    """
    share = holdout_percent / 100
    splits = {row.id: assigned[row.id] for row in rows if assigned and row.id in assigned}
    _assign_sessions(rows, splits, share, test_percent / 100)
    if test_percent:
        by_stratum = _strata(rows)
        for stratum, count in _rows_of_split(
            TEST_SPLIT, by_stratum, splits, test_percent / 100
        ).items():
            splits |= dict.fromkeys(_free(by_stratum[stratum], splits)[:count], TEST_SPLIT)
    by_stratum = _strata([row for row in rows if splits.get(row.id) != TEST_SPLIT])
    for stratum, held in _rows_of_split(HOLDOUT_SPLIT, by_stratum, splits, share).items():
        free = _free(by_stratum[stratum], splits)
        splits |= dict.fromkeys(free[:held], HOLDOUT_SPLIT)
        splits |= dict.fromkeys(free[held:], SEED_SPLIT)
    _fill_empty_split(rows, splits, assigned or {})
    return splits


def balanced_sample(rows: Sequence[SplitRow], size: int) -> set[str]:
    """Pick ids such that each stratum, each tag and the whole have about their share.

    Args:
        rows: Rows with different ids.
        size: At most so many are picked.
    """
    by_stratum = _strata(rows)
    counts = _rows_of_split("", by_stratum, {}, min(1.0, size / max(1, len(rows))))
    picked = [row_id for key, n in counts.items() for row_id in _free(by_stratum[key], {})[:n]]
    # Rounding strata for the sake of tags may have made it one more or less.
    return set(sorted(picked, key=_digest)[:size])


def _strata(rows: Iterable[SplitRow]) -> Mapping[Stratum, Sequence[SplitRow]]:
    by_stratum: defaultdict[Stratum, list[SplitRow]] = defaultdict(list)
    for row in rows:
        by_stratum[_stratum(row)].append(row)
    return by_stratum


def _free(members: Iterable[SplitRow], splits: Mapping[str, str]) -> list[str]:
    """Return ids of rows without a split, in an order that chance has made once."""
    return sorted((row.id for row in members if row.id not in splits), key=_digest)


def _stratum(row: SplitRow) -> Stratum:
    return tuple(sorted(set(row.tags)))


def _assign_sessions(
    rows: Sequence[SplitRow], splits: dict[str, str], share: float, test_share: float
) -> None:
    """Assign sessions of several rows, the longest first, to the split that lacks more."""
    sessions: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.session is not None:
            sessions[row.session].append(row.id)
    counts = Counter(splits.values())
    for members in sorted(sessions.values(), key=lambda ids: (-len(ids), _digest(ids[0]))):
        free = [row_id for row_id in members if row_id not in splits]
        if len(members) == 1 or not free:
            continue
        known = [splits[row_id] for row_id in members if row_id in splits]
        total = counts.total() - counts[TEST_SPLIT] + len(free)
        lacking = share * total - counts[HOLDOUT_SPLIT]
        wanted = HOLDOUT_SPLIT if lacking >= len(free) / 2 else SEED_SPLIT
        if test_share and test_share * len(rows) - counts[TEST_SPLIT] >= len(free) / 2:
            wanted = TEST_SPLIT
        split = known[0] if known else wanted
        splits |= dict.fromkeys(free, split)
        counts[split] += len(free)


def _rows_of_split(
    split: str,
    by_stratum: Mapping[Stratum, Sequence[SplitRow]],
    splits: Mapping[str, str],
    share: float,
) -> dict[Stratum, int]:
    """How many of the free rows of each stratum go to a split."""
    held: dict[Stratum, int] = {}
    fractions: dict[Stratum, float] = {}
    for stratum, members in by_stratum.items():
        free = sum(row.id not in splits for row in members)
        fixed = sum(splits.get(row.id) == split for row in members)
        wanted = min(max(share * len(members) - fixed, 0.0), float(free))
        # Products such as 0.07 * 100 miss the whole number by rounding.
        held[stratum] = math.floor(wanted + 1e-9)
        fractions[stratum] = max(0.0, wanted - held[stratum])
    uneven = sorted((s for s in held if fractions[s] > 1e-9), key=lambda s: _digest(repr(s)))
    excess: defaultdict[str | None, float] = defaultdict(float)  # by tag; None is the whole
    rounded_up = dict.fromkeys(uneven, False)
    for stratum in uneven:
        for key in (*stratum, None):
            excess[key] -= fractions[stratum]
    for _ in range(_PASSES):
        for stratum in uneven:
            change = -1 if rounded_up[stratum] else 1
            keys = (*stratum, None)
            if sum(2 * change * excess[key] + 1 for key in keys) < 0:
                rounded_up[stratum] = not rounded_up[stratum]
                for key in keys:
                    excess[key] += change
    return {stratum: held[stratum] + rounded_up.get(stratum, False) for stratum in held}


def _fill_empty_split(
    rows: Sequence[SplitRow], splits: dict[str, str], assigned: Mapping[str, str]
) -> None:
    """Move the smallest group of rows that may move into a split that has none."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        groups[row.id if row.session is None else f"session {row.session}"].append(row.id)
    movable = [ids for ids in groups.values() if not any(row_id in assigned for row_id in ids)]
    for split in (HOLDOUT_SPLIT, SEED_SPLIT):
        if len(groups) > 1 and movable and split not in splits.values():
            smallest = min(movable, key=lambda ids: (len(ids), _digest(ids[0])))
            splits |= dict.fromkeys(smallest, split)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
