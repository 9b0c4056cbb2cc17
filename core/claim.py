"""Keeps other processes from what only one may do at a time."""

import contextlib
import errno
import fcntl
import functools
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.errors import UserError

_logger = logging.getLogger(__name__)
_TAKEN = (errno.EACCES, errno.EAGAIN)
# What file systems without locks say, such as some network and FUSE file systems.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


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
    with _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB, taken):
        yield


@contextlib.contextmanager
def wait_for_file(path: Path) -> Iterator[None]:
    """Hold a file's lock as `claim_file` does, and wait while another process holds it."""
    with _locked(path, fcntl.LOCK_EX, ""):
        yield


@contextlib.contextmanager
def _locked(path: Path, operation: int, taken: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(path.open("a"))
        try:
            fcntl.flock(lock, operation)
        except OSError as error:
            if error.errno in _TAKEN:
                raise UserError(taken) from error
            if error.errno not in _NO_LOCKS or path.parent == _stand_ins():
                raise
            _warn_once(path)
            stack.enter_context(_locked(_stand_in(path), operation, taken))
        yield


@functools.cache  # a gateway locks its files again and again
def _warn_once(path: Path) -> None:
    _logger.warning(
        "The file system of %s does not support locks: other processes on this machine are kept "
        "out, those on other machines are not.",
        path,
    )


def _stand_ins() -> Path:
    return Path(tempfile.gettempdir()) / f"understudy-locks-{os.getuid()}"


def _stand_in(path: Path) -> Path:
    """Return a file to lock in another one's place, on a file system of this machine."""
    folder = _stand_ins()
    folder.mkdir(mode=0o700, exist_ok=True)
    # All users of the machine can guess the name, and make the folder or a link first.
    if folder.lstat().st_uid != os.getuid():
        raise UserError(
            f"The folder {str(folder)!r} is for your lock files, but belongs to another user. "
            "Remove it, or set TMPDIR to a folder of your own."
        )
    return folder / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
