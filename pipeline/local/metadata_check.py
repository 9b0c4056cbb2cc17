"""Checks the metadata of earlier runs: each kind of damage has its own name and its own fix."""

import contextlib
import itertools
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from core.errors import UserError

_logger = logging.getLogger(__name__)

_REBUILD = (
    "Restore the file from a copy. Or remove it and run the same command again: everything is "
    "rebuilt, and nothing is paid for again, since replies come from the journal."
)
_DRIVERS = "driver_execution"  # holds folders of drivers, which are named by the time
_TABLES = {"Artifact", "Event", "Execution", "MLMDEnv", "Type"}


def check_metadata(metadata: Path, artifacts: Path) -> None:
    """Make sure that metadata and artifacts belong together, before TFX opens them.

    TFX counts its executions in the metadata. Without the file, or with an older copy of it, it
    would write new artifacts into the folders of old ones. So those that the file does not know
    are moved aside; nothing is deleted.

    Args:
        metadata: The SQLite file of ML Metadata.
        artifacts: TFX's pipeline root.

    Raises:
        UserError: The file is damaged, locked, or not a store of ML Metadata.
    """
    newest = 0
    if metadata.exists() and metadata.stat().st_size:
        newest = _newest_execution(metadata)
    if artifacts.is_dir() and (unknown := list(_unknown_folders(artifacts, newest))):
        _move_aside(unknown, metadata, artifacts)


def _newest_execution(database: Path) -> int:
    """Return the number of the newest execution that the file knows; 0 for none."""
    name = f"The metadata of earlier runs, {str(database)!r},"
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.text_factory = lambda text: text.decode(errors="replace")
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise UserError(f"{name} are damaged ({' '.join(str(found).split())}). {_REBUILD}")
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if not tables >= _TABLES:
                raise UserError(f"{name} contain no ML Metadata tables. {_REBUILD}")
            (newest,) = connection.execute("SELECT MAX(id) FROM Execution").fetchone()
            return int(newest or 0)
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise UserError(f"{name} cannot be read ({error}). {_REBUILD}") from error
        raise UserError(
            f"{name} are in use by another program. Close it and run the same command again."
        ) from error
    except (sqlite3.Error, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{name} are damaged ({error}). {_REBUILD}") from error


def _unknown_folders(artifacts: Path, newest: int) -> Iterator[Path]:
    """Yield the folders of executions that are newer than the newest one."""
    for path, names, _ in os.walk(artifacts):
        numbered = [name for name in names if name.isdigit()]
        yield from (Path(path, name) for name in numbered if int(name) > newest)
        names[:] = [name for name in names if name not in (*numbered, _DRIVERS)]


def _move_aside(folders: list[Path], metadata: Path, artifacts: Path) -> None:
    names = (artifacts.with_name(f"{artifacts.name}.{n}") for n in itertools.count(1))
    aside = next(path for path in names if not path.exists())
    for folder in folders:
        target = aside / folder.relative_to(artifacts)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    _logger.warning(
        "%s does not know the artifacts of %d executions, so they are not used. They are in %s "
        "now; remove it when you need the space.",
        *(metadata, len(folders), aside),
    )
