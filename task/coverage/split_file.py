"""The file that keeps the splits of rows, so that none ever becomes a test row once judged."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from core.errors import UserError
from core.records import COVERAGE_SPLITS

# It ends in .csv, so the fingerprint of the dataset's files notices it.
SPLITS_FILE = "splits.csv"
_HEADER = ["id", "split"]


def read_splits(data: bytes, path: str) -> dict[str, str]:
    """Read splits by row id.

    Args:
        data: The file's bytes.
        path: Its path, for messages.

    Raises:
        UserError: It is not as `write_splits` writes it.
    """
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unusable(path, str(error)) from error
    if not rows or rows[0] != _HEADER:
        raise _unusable(path, f"its first line is {rows[0] if rows else ''!r}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(_HEADER) or row[1] not in COVERAGE_SPLITS:
            raise _unusable(path, f"line {number} is {row!r}")
    return dict(row for row in rows[1:])


def write_splits(path: Path, splits: Mapping[str, str]) -> None:
    """Write splits by row id; the file is replaced as a whole."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows(splits.items())
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text.getvalue(), encoding="utf-8", newline="")
    beside.replace(path)


def _unusable(path: str, reason: str) -> UserError:
    return UserError(
        f"{path!r} keeps which rows are seed, holdout and test, as lines 'id,split' with one of "
        f"these, but {reason}. Fix it, or restore it from a copy. Without it, rows that "
        "earlier runs judged may become test rows, and the test split is no longer unseen."
    )
