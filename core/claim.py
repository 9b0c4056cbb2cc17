"""Keeps a second process from what only one may do at a time."""

import contextlib
import errno
import fcntl
from collections.abc import Iterator
from pathlib import Path

from core.errors import UserError


@contextlib.contextmanager
def claim_file(path: Path, taken: str) -> Iterator[None]:
    """Hold a file's lock, which ends with the process, however it ends.

    Args:
        path: The file; it is created.
        taken: What to say where another process holds it.

    Raises:
        UserError: Another process holds it.
        OSError: The file cannot be opened for writing.
    """
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            raise UserError(taken) from error
        yield
