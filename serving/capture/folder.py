"""The files of a capture folder: appended to and rotated; `expiry` deletes the old ones."""

import datetime
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from core.whole_file import name_once

NAME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{6}Z)-[0-9a-f]{8}\.jsonl")
"""Of a file; its group is when it began, as `stamp` writes it."""
_SALT = ".salt"
_SALT_BYTES = 32

Now = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.UTC)


def stamp(time: datetime.datetime) -> str:
    """Return a time as in a file's name, in the order of time."""
    return f"{time:%Y-%m-%dT%H%M%SZ}"


class CaptureFolder:
    """Appends whole lines; of the newest, readers may see the beginning while it is written.

    Every process writes files of its own, so that several gateways can share the folder.

    Args:
        path: The folder.
        max_file_bytes: Size after which a new file starts.
        now: Tells the time.
    """

    def __init__(self, path: Path, max_file_bytes: int, now: Now = utc_now) -> None:
        self._path = path
        self._max_file_bytes = max_file_bytes
        self._now = now
        self._file: int | None = None
        self._day: datetime.date | None = None
        self._size = 0
        self._salt = b""

    def salt(self) -> bytes:
        """Return what the folder's gateways hash sessions with; made at the first call.

        Raises:
            OSError: It cannot be read or written.
        """
        if not self._salt:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._path / _SALT
            if not file.exists() or file.stat().st_size != _SALT_BYTES:
                file.unlink(missing_ok=True)  # half a salt is none
                self._make_salt(file)
            self._salt = file.read_bytes()
        return self._salt

    def _make_salt(self, file: Path) -> None:
        part = file.with_name(f"{_SALT}.{secrets.token_hex(4)}")
        try:
            with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "wb") as made:
                made.write(secrets.token_bytes(_SALT_BYTES))
            name_once(part, file)  # another gateway may have been faster
        finally:
            part.unlink(missing_ok=True)

    def append(self, lines: bytes) -> None:
        """Append lines.

        Raises:
            OSError: They cannot be written; none of them is in the file.
        """
        file = self._current()
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            os.ftruncate(file, self._size)
            raise
        self._size += len(lines)

    def close(self) -> None:
        """Close the file; the next line begins another."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _current(self) -> int:
        """Return the file to append to: another one each day, at its limit, or once deleted."""
        now = self._now()
        if self._file is not None:
            is_deleted = os.fstat(self._file).st_nlink == 0
            if now.date() != self._day or self._size >= self._max_file_bytes or is_deleted:
                self.close()
        if self._file is None:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = f"{stamp(now)}-{secrets.token_hex(4)}.jsonl"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._file = os.open(self._path / name, flags, 0o600)
            self._day, self._size = now.date(), 0
        return self._file
