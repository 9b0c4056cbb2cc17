"""Keeps which split a row was in, next to the rows: `splits.csv`."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from core.records import TEST_SPLIT
from task.coverage.reader import LocalFiles, persisted_splits, read_coverage, read_located
from task.coverage.split_file import SPLITS_FILE, write_splits
from task.splits import DEFAULT_HOLDOUT_PERCENT, SplitRow, assign_splits, share_of_test


def persist_splits(
    folder: str,
    *,
    holdout_percent: int = DEFAULT_HOLDOUT_PERCENT,
    test_percent: int | None = None,
    remember_named: bool = False,
) -> int:
    """Assign rows that name no split one, balanced over tags, and keep it in `splits.csv`.

    Rows that were assigned before stay where they are. Where all rows name their split, nothing is
    assigned.

    Args:
        folder: A local folder.
        holdout_percent: Share of `holdout` in each stratum, without its test rows, 1 to 99.
        test_percent: Share of `test`; None for the automatic one, see `share_of_test`.
        remember_named: Whether to keep the splits that rows name, too, since a run is about to
            judge them: none that was seed or holdout becomes a test row later. A folder that cannot
            be written, and of which all rows name their split, is left as it is.

    Returns:
        How many rows were assigned now.

    Raises:
        UserError: The folder cannot be used; see `read_coverage`.
    """
    persisted, named, new = _assigned(folder, holdout_percent, test_percent)
    judged = _newly_judged(named, persisted) if remember_named else {}
    if new or judged:
        # Only what a run cannot do without is worth an error in a folder that is read-only.
        with contextlib.nullcontext() if new else contextlib.suppress(OSError):
            write_splits(Path(folder, SPLITS_FILE), persisted | new | judged)
    return len(new)


def unkept_test_rows(folder: str, *, test_percent: int | None = None) -> int:
    """Return how many rows `persist_splits` would put into the test split now; nothing is written.

    Args:
        folder: A local folder.
        test_percent: See `persist_splits`.

    Raises:
        UserError: The folder cannot be used; see `read_coverage`.
    """
    _, _, new = _assigned(folder, DEFAULT_HOLDOUT_PERCENT, test_percent)
    return sum(split == TEST_SPLIT for split in new.values())


def remember_splits(folder: str) -> None:
    """Keep the split that every row has, since a run on another machine is about to judge them.

    That machine has a copy of the folder as it is, so nothing is assigned. A folder that cannot be
    written is left as it is.

    Args:
        folder: A local folder.

    Raises:
        UserError: The folder cannot be used; see `read_coverage`.
    """
    persisted = persisted_splits(folder, LocalFiles())
    splits = {row.id: row.split for row in read_coverage(folder)}
    if judged := _newly_judged(splits, persisted):
        with contextlib.suppress(OSError):
            write_splits(Path(folder, SPLITS_FILE), persisted | judged)


def _assigned(
    folder: str, holdout_percent: int, test_percent: int | None
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the splits that the file keeps, those that rows name, and those of all other rows."""
    files = LocalFiles()
    persisted = persisted_splits(folder, files)
    located, _ = read_located(folder, holdout_percent, files, persisted)
    named = {i.checked.row.id: i.checked.row.split for i in located if i.checked.has_split}
    rows = [SplitRow(item.checked.row.id, item.checked.row.tags) for item in located]
    known = persisted | named
    splits = assign_splits(
        rows,
        known,
        holdout_percent=holdout_percent,
        test_percent=share_of_test(len(rows), test_percent),
    )
    return persisted, named, {row: split for row, split in splits.items() if row not in known}


def _newly_judged(splits: Mapping[str, str], persisted: Mapping[str, str]) -> dict[str, str]:
    """Return the splits that the file lacks, or that a row left the test split for."""
    return {
        row_id: split
        for row_id, split in splits.items()
        if persisted.get(row_id, TEST_SPLIT) == TEST_SPLIT and persisted.get(row_id) != split
    }
