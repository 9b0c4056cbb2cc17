"""The files of a capture folder: appended to, rotated, and deleted when they are old."""

import contextlib
import datetime
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})T\d{6}Z-[0-9a-f]{8}\.jsonl")

Now = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.UTC)


class CaptureFolder:
    """Appends whole lines, so that readers see no half line while it is written.

    Every process writes files of its own, so that several gateways can share the folder.

    Args:
        path: The folder.
        max_file_bytes: Size after which a new file starts.
        retention_days: After which a file is deleted.
        now: Tells the time.
    """

    def __init__(
        self, path: Path, max_file_bytes: int, retention_days: int, now: Now = utc_now
    ) -> None:
        self._path = path
        self._max_file_bytes = max_file_bytes
        self._retention = datetime.timedelta(days=retention_days)
        self._now = now
        self._file: int | None = None
        self._day: datetime.date | None = None
        self._size = 0

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

    def prune(self) -> None:
        """Delete the files that are older than the retention; others in the folder stay."""
        oldest = self._now().date() - self._retention
        with contextlib.suppress(OSError):  # another gateway was faster
            for file in self._path.iterdir():
                found = _NAME.fullmatch(file.name)
                if found and datetime.date.fromisoformat(found[1]) < oldest:
                    file.unlink(missing_ok=True)

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
            self.prune()
            name = f"{now:%Y-%m-%dT%H%M%SZ}-{secrets.token_hex(4)}.jsonl"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._file = os.open(self._path / name, flags, 0o600)
            self._day, self._size = now.date(), 0
        return self._file
