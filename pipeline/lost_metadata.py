"""What to do where the metadata of a folder's earlier runs are damaged or gone."""

import contextlib
import itertools
import logging
import sqlite3
from pathlib import Path

from components.errors import UserError

_logger = logging.getLogger(__name__)


def check_metadata(metadata: Path, artifacts: Path) -> None:
    """Make sure that metadata and artifacts belong together, before TFX opens them.

    Without metadata TFX counts its executions from 1 again, and would write the new artifacts into
    the folders of the old ones. So the old ones are moved aside; nothing is deleted.

    Args:
        metadata: The SQLite file of ML Metadata.
        artifacts: TFX's pipeline root.

    Raises:
        UserError: The file is damaged.
    """
    if metadata.exists() and metadata.stat().st_size:
        if problem := _problem(metadata):
            raise UserError(
                f"The metadata of earlier runs, {str(metadata)!r}, are damaged ({problem}). "
                "Restore the file from a copy. Or remove it and run the same command again: "
                "everything is made anew, and nothing is paid for again, since replies come from "
                "the journal."
            )
    elif artifacts.is_dir() and any(artifacts.iterdir()):
        names = (artifacts.with_name(f"{artifacts.name}.{n}") for n in itertools.count(1))
        aside = next(path for path in names if not path.exists())
        artifacts.rename(aside)
        _logger.warning(
            "There is no %s, so the artifacts of earlier runs are not used. They are in %s now; "
            "remove it when you need the space.",
            *(metadata, aside),
        )


def _problem(database: Path) -> str:
    """What SQLite finds wrong with a file; empty for nothing."""
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        return str(error)
    return "" if found == "ok" else " ".join(str(found).split())
