"""The output folder of a local run, and the lock that keeps a second run out."""

import contextlib
import dataclasses
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from core import artifact_files
from core.claim import claim_file
from core.errors import UserError
from core.reports.loop import LoopSummary
from pipeline.local.metadata_check import check_metadata

_NEEDED_FREE_GIB = 4  # a converted Gemma, and the exported models of two rounds
_PATTERN_CHARACTERS = "*?[]\\"
_DISK_IS_FULL = (
    os.strerror(errno.ENOSPC),
    os.strerror(errno.EDQUOT),
    "database or disk is full",  # SQLite
)


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
        return self.root / artifact_files.LOG

    @property
    def summary(self) -> Path:
        """The loop in figures, for programs."""
        return self.root / artifact_files.SUMMARY

    @property
    def labels(self) -> Path:
        """Human labels and decisions on references, a folder for each labelled round."""
        return self.root / "labels"

    @property
    def review(self) -> Path:
        """Rows that a paused run waits with, a folder for each round."""
        return self.root / "review"

    @property
    def approvals(self) -> Path:
        """Blessed models that a paused run waits with, a file for each round."""
        return self.root / "approvals"

    @property
    def report(self) -> Path:
        """The loop for people: one HTML file."""
        return self.root / artifact_files.RUN_PAGE


def read_summary(root: Path, preset: str | None = None) -> LoopSummary:
    """Read the summary in the output folder of a run.

    Args:
        root: The output folder.
        preset: The preset whose run it is, for the message where there is none.

    Raises:
        UserError: There is none, or it is damaged.
    """
    file = OutputPaths(root).summary
    if not file.exists():
        command = f"make run PRESET={preset}" if preset else "make run"
        raise UserError(
            f"There is no {str(file)!r}, so no finished round. Run the pipeline first ({command}), "
            "or give the output folder of a finished run."
        )
    return LoopSummary.read(str(file)).at(str(root))


@contextlib.contextmanager
def claim(root: Path) -> Iterator[OutputPaths]:
    """Make an output folder ready and keep other runs out of it.

    Raises:
        UserError: The folder cannot be written or has a name that is a pattern, another run holds
            it, the disk is nearly full, or the metadata in it are damaged.
    """
    _refuse_patterns(root)
    paths = OutputPaths(root)
    with contextlib.ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            stack.enter_context(
                claim_file(
                    root / ".lock",
                    f"Another run is using {str(root)!r}. Wait for it to end, or choose another "
                    "folder with --set output_dir=FOLDER.",
                )
            )
            _check_writable(paths)
        except OSError as error:
            raise UserError(
                f"The output folder {str(root)!r} cannot be written: {error.strerror} "
                f"({error.filename}). Make it writable, or choose another one with "
                "--set output_dir=FOLDER."
            ) from error
        free_gib = shutil.disk_usage(root).free / 2**30
        if free_gib < _NEEDED_FREE_GIB:
            raise UserError(
                f"Only {free_gib:.1f} GiB are free on the disk of {str(root)!r}; a run needs "
                f"{_NEEDED_FREE_GIB} GiB. Free some space or choose another folder with "
                "--set output_dir=FOLDER."
            )
        check_metadata(paths.metadata, paths.artifacts)
        yield paths


def _refuse_patterns(root: Path) -> None:
    """Raise where Beam and TensorFlow would take the path for a pattern, and find no files."""
    path = str(root.absolute())
    if odd := "".join(sorted(set(path) & set(_PATTERN_CHARACTERS))):
        raise UserError(
            f"The output folder {path!r} has {odd!r} in its path, which Beam and TensorFlow may "
            "read as a file pattern. Choose another one with --set output_dir=FOLDER."
        )


def _check_writable(paths: OutputPaths) -> None:
    """Raise where something of an earlier run is another user's, or read-only."""
    folders = (paths.artifacts, paths.journal, paths.checkpoints)
    below = (folder for kept in folders for folder in _written_again(kept))
    for path in (paths.root, paths.metadata, paths.log, *below):
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _written_again(folder: Path) -> Iterator[Path]:
    """Yield a folder and those below it that a later run writes to, not an execution's own."""
    for path, names, _ in os.walk(folder):
        yield Path(path)
        names[:] = [name for name in names if not name.isdigit()]


def disk_is_full(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that a disk is full.

    Libraries that write files themselves (TensorFlow, HDF5, SQLite) have errors of their own, which
    say so in words only.
    """
    seen: BaseException | None = error
    while seen is not None:
        full = isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or any(words in str(seen) for words in _DISK_IS_FULL):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
