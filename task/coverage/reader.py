"""Reads a folder with the coverage dataset and reports everything that is wrong with it at once.

Nothing is spent here: a runner calls `read_coverage` before the pipeline starts, the executor
inside it.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any, NamedTuple, Protocol

from core.errors import UserError
from core.records import LOOP_SPLITS, TEST_SPLIT, CoverageRow
from task.coverage.parsing import parse_csv, parse_jsonl
from task.coverage.problems import BadRowError, Problem, dataset_error, shown
from task.coverage.rows import check_row
from task.coverage.same_prompts import Located, merge_same_prompts
from task.coverage.split_file import SPLITS_FILE, read_splits
from task.splits import DEFAULT_HOLDOUT_PERCENT, normalized

# Logged exchanges for training; see `logged`. Its name ends like those of the dataset's files, so
# their fingerprint notices it.
LOGGED_FILE = "train_on_rest.jsonl"
_PARSERS = {".jsonl": parse_jsonl, ".csv": parse_csv}


class Files(Protocol):
    """What is asked of a file system; `tfx.dsl.io.fileio` is one that also reads `gs://`."""

    def isdir(self, path: str) -> bool:
        """Whether the path is a folder."""

    def listdir(self, path: str) -> list[str]:
        """Names in a folder, without the folder."""

    def open(self, path: str, mode: str) -> IO[Any]:
        """Return an open file."""


class LocalFiles:
    """The local file system."""

    def isdir(self, path: str) -> bool:
        """Whether the path is a folder."""
        return os.path.isdir(path)

    def listdir(self, path: str) -> list[str]:
        """Names in a folder."""
        return os.listdir(path)

    def open(self, path: str, mode: str) -> IO[Any]:
        """Return an open file."""
        return open(path, mode)


class Dataset(NamedTuple):
    """A coverage dataset.

    Attributes:
        rows: A row for each prompt.
        merged: How many further rows repeated one of the prompts.
    """

    rows: list[CoverageRow]
    merged: int


def read_coverage(
    folder: str,
    *,
    holdout_percent: int = DEFAULT_HOLDOUT_PERCENT,
    files: Files | None = None,
) -> list[CoverageRow]:
    """Return the rows of a dataset; see `read_dataset`."""
    return read_dataset(folder, holdout_percent=holdout_percent, files=files).rows


def read_dataset(
    folder: str,
    *,
    holdout_percent: int = DEFAULT_HOLDOUT_PERCENT,
    files: Files | None = None,
) -> Dataset:
    """Return the rows of all `*.jsonl` and `*.csv` files of a folder, by file name and line.

    Rows of the same prompt are merged into one with several right answers. A row's split is the one
    it names, else the one in `splits.csv`, else the one that a hash of its id gives.
    Other files, hidden files and folders inside it are ignored.

    Args:
        folder: The folder; a URI where `files` can read one.
        holdout_percent: Expected share of `holdout` among rows without `split`, 1 to 99.
        files: The file system, by default the local one.

    Returns:
        Rows with unique ids, no two of the same prompt, and at least one row of seed and holdout.

    Raises:
        UserError: The folder cannot be used; the message lists every bad line, with file, line
            number and reason.
    """
    files = files or LocalFiles()
    persisted = persisted_splits(folder, files)
    located, count = read_located(folder, holdout_percent, files, persisted)
    _check_test_rows(located, persisted)
    rows = [
        item.checked.row
        if item.checked.has_split
        else dataclasses.replace(
            item.checked.row, split=persisted.get(item.checked.row.id, item.checked.row.split)
        )
        for item in located
    ]
    _check_splits(folder, rows)
    return Dataset(rows, merged=count - len(rows))


def read_located(
    folder: str, holdout_percent: int, files: Files, persisted: Mapping[str, str]
) -> tuple[list[Located], int]:
    """Return a row for each prompt and the number of rows; UserError where one is not valid."""
    problems: list[Problem] = []
    located: list[Located] = []
    for path in _paths(folder, files):
        for item in read_file(path, files, holdout_percent):
            if isinstance(item, Problem):
                problems.append(item)
            else:
                located.append(item)
    problems += _repeated_ids(located)
    merged, overlaps = merge_same_prompts(located, persisted)
    problems += overlaps
    problems += _differing_systems(located)
    if problems:
        raise dataset_error(folder, problems)
    return merged, len(located)


def persisted_splits(folder: str, files: Files) -> dict[str, str]:
    """Return what `splits.csv` says, by the ids of rows; nothing where there is none."""
    if not folder or not files.isdir(folder) or SPLITS_FILE not in files.listdir(folder):
        return {}
    path = os.path.join(folder, SPLITS_FILE)
    with files.open(path, "rb") as file:
        return read_splits(file.read(), path)


def _check_test_rows(located: list[Located], persisted: dict[str, str]) -> None:
    """Refuse a test row that an earlier run may have judged: it would no longer test anything."""
    for item in located:
        row, before = item.checked.row, persisted.get(item.checked.row.id)
        if item.checked.has_split and row.split == TEST_SPLIT and before not in (None, TEST_SPLIT):
            raise UserError(
                f"{item.place}: row {row.id!r} names the split test, and {SPLITS_FILE} says that "
                f"it was {before}, so a run may have judged it. Remove its split, and add new rows "
                "for the test."
            )


def _paths(folder: str, files: Files) -> list[str]:
    if "://" in folder and isinstance(files, LocalFiles):
        raise UserError(
            f"The coverage dataset {folder!r} is in a bucket, and this command reads folders of"
            " this machine only. Copy it to a folder with gcloud storage rsync --recursive"
            f" {folder} FOLDER, and give the copy with --set coverage_dir=FOLDER."
        )
    if not folder or not files.isdir(folder):
        raise UserError(
            f"There is no folder {folder!r} with a coverage dataset. Give a folder that holds"
            " *.jsonl or *.csv files."
        )
    names = sorted(files.listdir(folder))
    wanted = [
        name
        for name in names
        if os.path.splitext(name)[1] in _PARSERS
        and not name.startswith(".")
        and name not in (SPLITS_FILE, LOGGED_FILE)
    ]
    if not wanted:
        raise UserError(
            f"The folder {folder!r} contains no *.jsonl or *.csv file (found: {shown(names)}). Put"
            " the coverage dataset there."
        )
    return [os.path.join(folder, name) for name in wanted]


def read_file(path: str, files: Files, holdout_percent: int) -> Iterator[Located | Problem]:
    """Yield each row of a file, or what is wrong with it."""
    try:
        with files.open(path, "rb") as file:
            data: bytes = file.read()
    except OSError as error:
        yield Problem(path, 0, f"cannot be read: {error.strerror or error}")
        return
    for line, fields in _PARSERS[os.path.splitext(path)[1]](data):
        try:
            if isinstance(fields, BadRowError):
                raise fields
            yield Located(path, line, check_row(fields, holdout_percent))
        except BadRowError as error:
            yield Problem(path, line, str(error))


def _repeated_ids(located: list[Located]) -> Iterator[Problem]:
    first: dict[str, Located] = {}
    for item in located:
        row = item.checked.row
        known = first.setdefault(row.id, item)
        # Rows without an id get the same one for the same prompt, and are merged.
        same_prompt = normalized(known.checked.row.prompt) == normalized(row.prompt)
        if known is not item and not same_prompt:
            yield item.problem(f"the id {shown(row.id)} is also at {known.place}")


def _differing_systems(located: list[Located]) -> Iterator[Problem]:
    """Check that the instruction is the same for every prompt and not part of it."""
    chats = [item for item in located if item.checked.system is not None]
    for item in chats[1:]:
        if item.checked.system != chats[0].checked.system:
            yield item.problem(
                f"another system message than at {chats[0].place}; what changes from row to row"
                " belongs in the user's message"
            )


def _check_splits(folder: str, rows: list[CoverageRow]) -> None:
    if not rows:
        raise UserError(f"The coverage dataset {folder!r} is empty. Write at least two rows.")
    counts = {split: sum(row.split == split for row in rows) for split in LOOP_SPLITS}
    empty = [split for split, count in counts.items() if not count]
    if empty:
        raise UserError(
            f"The coverage dataset {folder!r} has no {empty[0]} row ({len(rows)} rows in all)."
            f' Set "split": "{empty[0]}" on some rows, or add rows.'
        )
