"""The folder that a local run writes to, and the lock that keeps a second run out of it."""

import contextlib
import dataclasses
import errno
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from components.errors import UserError

_NEEDED_FREE_GIB = 4  # a converted Gemma, and the exported models of two rounds


@dataclasses.dataclass(frozen=True)
class OutputPaths:
    """Where a local run keeps what; everything is below one folder."""

    root: Path

    @property
    def artifacts(self) -> Path:
        """TFX's pipeline root."""
        return self.root / "tfx"

    @property
    def metadata(self) -> Path:
        """The SQLite file of ML Metadata."""
        return self.root / "metadata.db"

    @property
    def journal(self) -> Path:
        """The service LLM's replies."""
        return self.root / "journal"

    @property
    def checkpoints(self) -> Path:
        """Trainings that are not done yet."""
        return self.root / "checkpoints"

    @property
    def log(self) -> Path:
        """What TensorFlow, TFX and Beam print."""
        return self.root / "run.log"

    @property
    def summary(self) -> Path:
        """The loop in figures, for programs."""
        return self.root / "summary.json"

    @property
    def report(self) -> Path:
        """The loop for people: one HTML file."""
        return self.root / "report.html"


@contextlib.contextmanager
def claim(root: Path) -> Iterator[OutputPaths]:
    """Make an output folder ready and keep other runs out of it.

    Raises:
        UserError: The folder cannot be written, another run holds it, or the disk is nearly full.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("a")
    except OSError as error:
        raise UserError(
            f"The output folder {str(root)!r} cannot be written: {error.strerror}. "
            "Choose another one with --set output_dir=FOLDER."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            raise UserError(
                f"Another run is using {str(root)!r}. Wait for it to end, or choose another "
                "folder with --set output_dir=FOLDER."
            ) from error
        free_gib = shutil.disk_usage(root).free / 2**30
        if free_gib < _NEEDED_FREE_GIB:
            raise UserError(
                f"Only {free_gib:.1f} GiB are free on the disk of {str(root)!r}; a run needs "
                f"{_NEEDED_FREE_GIB} GiB. Free some space or choose another folder with "
                "--set output_dir=FOLDER."
            )
        yield OutputPaths(root)
