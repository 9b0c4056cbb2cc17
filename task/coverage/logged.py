"""Logged exchanges that are not in the coverage dataset: they are kept next to it, for training."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

from core.records import LOGGED_SPLIT, CoverageRow
from task.coverage.problems import Problem, dataset_error
from task.coverage.reader import LOGGED_FILE, Files, LocalFiles, read_file
from task.splits import DEFAULT_HOLDOUT_PERCENT


def read_logged(folder: str, *, files: Files | None = None) -> list[CoverageRow]:
    """Read the logged exchanges next to a coverage dataset, in the order of the file.

    Args:
        folder: The folder of the coverage dataset; a URI where `files` can read one.
        files: The file system, by default the local one.

    Returns:
        Rows of the split `logged`; none where there is no file.

    Raises:
        UserError: The file has invalid rows; the message lists them.
    """
    files = files or LocalFiles()
    if not files.isdir(folder) or LOGGED_FILE not in files.listdir(folder):
        return []
    items = list(read_file(os.path.join(folder, LOGGED_FILE), files, DEFAULT_HOLDOUT_PERCENT))
    if problems := [item for item in items if isinstance(item, Problem)]:
        raise dataset_error(folder, problems)
    return [
        dataclasses.replace(item.checked.row, split=LOGGED_SPLIT)
        for item in items
        if not isinstance(item, Problem)
    ]


def write_logged(folder: Path, rows: Sequence[CoverageRow]) -> Path:
    """Write exchanges where `read_logged` finds them."""
    target = folder / LOGGED_FILE
    with target.open("w", encoding="utf-8") as file:
        for row in rows:
            fields = dataclasses.asdict(row)
            del fields["split"]
            file.write(json.dumps(fields, ensure_ascii=False) + "\n")
    return target
