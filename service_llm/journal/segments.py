"""Where a journal's lines lie: in files of a local folder, or in objects of a `gs://` bucket.

A process only ever adds files of its own, so a line that was cut off by a kill harms no other.
"""

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from core.errors import UserError
from core.whole_file import name_once

SUFFIX = ".jsonl"


class Segments(Protocol):
    """The files of a journal."""

    def paths(self) -> Iterator[Path]:
        """Local paths of what was written before, the oldest first."""
        ...

    def append(self, data: bytes) -> tuple[Path, int]:
        """Write lines; when this returns they outlive the process and the machine's power.

        Returns:
            A local file with the lines, and the offset at which they begin.
        """
        ...

    def create_once(self, name: str, data: bytes) -> bytes:
        """Write a file unless it exists; returns what it holds."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return what a file of `create_once` holds; None where there is none."""
        ...

    def names(self, suffix: str) -> list[str]:
        """Return the files of `create_once` whose names end in `suffix`, sorted."""
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


def new_name() -> str:
    """Return a name for a new segment that nobody else takes; names sort by their age."""
    return f"{time.time_ns():020}-{uuid.uuid4().hex}{SUFFIX}"


class FolderSegments:
    """Segments in a local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Any = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"The journal's folder {str(folder)!r} cannot be made: {error.strerror}. "
                "Choose another output folder."
            ) from error

    def paths(self) -> Iterator[Path]:
        """Local paths of what was written before."""
        yield from sorted(self._folder.glob(f"*{SUFFIX}"))

    def append(self, data: bytes) -> tuple[Path, int]:
        """Write lines and wait for the disk."""
        if self._file is None:
            self._file = (self._folder / new_name()).open("ab")
            self._sync_folder()
        offset = self._file.tell()
        try:
            self._file.write(data)
            self._file.flush()
            os.fdatasync(self._file.fileno())
        except OSError:
            # Part of a line may be there by now: what comes later goes into a file of its own.
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                file.close()
            raise
        return Path(self._file.name), offset

    def create_once(self, name: str, data: bytes) -> bytes:
        """Write a file unless it exists; linking it into place is atomic."""
        path = self._folder / name
        if not path.exists():
            fresh = self._folder / f".{uuid.uuid4().hex}"
            try:
                with fresh.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                name_once(fresh, path)
            finally:
                fresh.unlink(missing_ok=True)
            self._sync_folder()
        return path.read_bytes()

    def read(self, name: str) -> bytes | None:
        """Return what a file holds."""
        path = self._folder / name
        return path.read_bytes() if path.exists() else None

    def names(self, suffix: str) -> list[str]:
        """Return the files with a suffix."""
        return sorted(path.name for path in self._folder.glob(f"*{suffix}"))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _sync_folder(self) -> None:
        """Wait until the names of new files are on disk, too."""
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
