"""Whether a file that several gateways share was replaced by another one of them."""

from pathlib import Path

Stamp = tuple[int, int, int] | None


def stamp_of(file: Path) -> Stamp:
    """Return what changes when a file is replaced; None where there is none.

    Raises:
        OSError: Nobody can tell, as where a folder on another machine does not answer.
    """
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


class WatchedFile:
    """A file that is read again when it was replaced.

    Args:
        file: The file; None for none, which never changes.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._noted: Stamp = None

    def has_changed(self) -> bool:
        """Whether it is another one than the one noted; may be called in any thread.

        A file that nobody can look at has not changed: it is looked at again.
        """
        try:
            return self._file is not None and stamp_of(self._file) != self._noted
        except OSError:
            return False

    def note(self, stamp: Stamp) -> None:
        """Note the file that is known by now: taken before it is read, or of what was written."""
        self._noted = stamp
