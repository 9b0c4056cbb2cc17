"""Reads a folder with the coverage dataset and tells everything that is wrong with it at once.

Nothing is spent here: a runner calls `read_coverage` before the pipeline starts, the executor
inside it.
"""

import os
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, Protocol

from components.coverage_example_gen.parsing import parse_csv, parse_jsonl
from components.coverage_example_gen.problems import BadRowError, Problem, dataset_error, shown
from components.coverage_example_gen.rows import CheckedRow, check_row
from components.coverage_example_gen.splits import DEFAULT_HOLDOUT_PERCENT, normalized
from components.errors import UserError
from components.records import COVERAGE_SPLITS, CoverageRow

_PARSERS = {".jsonl": parse_jsonl, ".csv": parse_csv}


class Files(Protocol):
    """What is asked of a file system; `tfx.dsl.io.fileio` is one that also reads `gs://`."""

    def isdir(self, path: str) -> bool:
        """Whether the path is a folder."""

    def listdir(self, path: str) -> list[str]:
        """Names in a folder, without the folder."""

    def open(self, path: str, mode: str) -> IO[Any]:
        """An open file."""


class LocalFiles:
    """The local file system."""

    def isdir(self, path: str) -> bool:
        """Whether the path is a folder."""
        return os.path.isdir(path)

    def listdir(self, path: str) -> list[str]:
        """Names in a folder."""
        return os.listdir(path)

    def open(self, path: str, mode: str) -> IO[Any]:
        """An open file."""
        return open(path, mode)


class _Located(NamedTuple):
    file: str
    line: int
    checked: CheckedRow

    def problem(self, reason: str) -> Problem:
        return Problem(self.file, self.line, reason)


def read_coverage(
    folder: str,
    *,
    holdout_percent: int = DEFAULT_HOLDOUT_PERCENT,
    files: Files | None = None,
) -> list[CoverageRow]:
    """The rows of all `*.jsonl` and `*.csv` files of a folder, by file name and line.

    Other files, hidden files and folders inside it are ignored.

    Args:
        folder: The folder; a URI where `files` can read one.
        holdout_percent: Expected share of `holdout` among rows without `split`, 1 to 99.
        files: The file system, by default the local one.

    Returns:
        Rows with unique ids, no two of the same prompt, and at least one row of each split.

    Raises:
        UserError: The folder cannot be used; the message lists every bad line, with file, line
            number and reason.
    """
    files = files or LocalFiles()
    problems: list[Problem] = []
    located: list[_Located] = []
    for path in _paths(folder, files):
        for item in _read_file(path, files, holdout_percent):
            if isinstance(item, Problem):
                problems.append(item)
            else:
                located.append(item)
    problems += _repeated_ids(located)
    problems += _repeated_prompts(located)
    problems += _differing_systems(located)
    if problems:
        raise dataset_error(folder, problems)
    rows = [item.checked.row for item in located]
    _check_splits(folder, rows)
    return rows


def _paths(folder: str, files: Files) -> list[str]:
    if not folder or not files.isdir(folder):
        raise UserError(
            f"There is no folder {folder!r} with a coverage dataset. Give a folder that holds"
            " *.jsonl or *.csv files."
        )
    names = sorted(files.listdir(folder))
    wanted = [n for n in names if os.path.splitext(n)[1] in _PARSERS and not n.startswith(".")]
    if not wanted:
        raise UserError(
            f"The folder {folder!r} holds no *.jsonl or *.csv file (found: {shown(names)}). Put"
            " the coverage dataset there."
        )
    return [os.path.join(folder, name) for name in wanted]


def _read_file(path: str, files: Files, holdout_percent: int) -> Iterator[_Located | Problem]:
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
            yield _Located(path, line, check_row(fields, holdout_percent))
        except BadRowError as error:
            yield Problem(path, line, str(error))


def _repeated_ids(located: list[_Located]) -> Iterator[Problem]:
    first: dict[str, _Located] = {}
    for item in located:
        row = item.checked.row
        known = first.setdefault(row.id, item)
        # Rows without an id get the same one for the same prompt, which is told by its own rule.
        same_prompt = normalized(known.checked.row.prompt) == normalized(row.prompt)
        if known is not item and not same_prompt:
            yield item.problem(f"the id {shown(row.id)} is also at {_place(known)}")


def _repeated_prompts(located: list[_Located]) -> Iterator[Problem]:
    first: dict[str, _Located] = {}
    for item in located:
        row = item.checked.row
        known = first.setdefault(normalized(row.prompt), item)
        if known is item:
            continue
        other = known.checked.row.split
        if other == row.split:
            yield item.problem(f"the same prompt as at {_place(known)}")
        else:
            yield item.problem(
                f"the same prompt as at {_place(known)}, but in {row.split} instead of {other}: a"
                " holdout prompt must not be shown as a seed"
            )


def _differing_systems(located: list[_Located]) -> Iterator[Problem]:
    """The instruction is the same for every prompt and is no part of it."""
    chats = [item for item in located if item.checked.system is not None]
    for item in chats[1:]:
        if item.checked.system != chats[0].checked.system:
            yield item.problem(
                f"another system message than at {_place(chats[0])}; what changes from row to row"
                " belongs in the user's message"
            )


def _place(item: _Located) -> str:
    return f"{item.file}:{item.line}"


def _check_splits(folder: str, rows: list[CoverageRow]) -> None:
    if not rows:
        raise UserError(f"The coverage dataset {folder!r} is empty. Write at least two rows.")
    counts = {split: sum(row.split == split for row in rows) for split in COVERAGE_SPLITS}
    empty = [split for split, count in counts.items() if not count]
    if empty:
        raise UserError(
            f"The coverage dataset {folder!r} has no {empty[0]} row ({len(rows)} rows in all)."
            f' Set "split": "{empty[0]}" on some rows, or add rows.'
        )
