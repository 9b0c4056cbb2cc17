"""Reads progress off the log records that TFX's runner and the components write."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

# Imported before its logger is used: absl replaces the logger's class when it is loaded later.
from absl import logging as absl_logging

from core.progress import progress, spending
from pipeline.progress.display import Display, Step

# The messages of tfx/orchestration/local/local_dag_runner.py; the node's id is the argument.
_STARTED = "Component %s is running."
_FINISHED = "Component %s is finished."
# tfx/orchestration/portable/launcher.py, between these two
_CACHED = "A cached execution %d is used."


class ProgressHandler(logging.Handler):
    """Passes on what records say about components and their steps."""

    def __init__(self, display: Display) -> None:
        super().__init__(logging.DEBUG)
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the display, where the record is about progress."""
        try:
            self._tell(record)
        except Exception:  # a display must not end what it displays
            self.handleError(record)

    def _tell(self, record: logging.LogRecord) -> None:
        if record.name == progress.name:
            self._display.step(step_of(record))
        elif record.name == spending.name:
            self._display.spent(record.spent_usd)  # type: ignore[attr-defined]
        elif record.msg == _STARTED and isinstance(record.args, tuple):
            self._display.component_started(str(record.args[0]))
        elif record.msg == _CACHED:
            self._display.component_cached()
        elif record.msg == _FINISHED and isinstance(record.args, tuple):
            self._display.component_finished(str(record.args[0]))


def step_of(record: logging.LogRecord) -> Step:
    """Read the step from a record of the progress logger; its figures are in `progress`."""
    return Step(record.getMessage(), **getattr(record, "progress", {}))


class _LogFormatter(logging.Formatter):
    """Writes the figures of progress records, too."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        if record.name == progress.name and (figures := step_of(record).figures()):
            record.message = f"{record.message}: {figures}"
        return super().formatMessage(record)


@contextlib.contextmanager
def follow_records(log_file: Path, display: Display) -> Iterator[None]:
    """Send log records and warnings to a file alone, and what they say of progress to a display."""
    to_file = logging.FileHandler(log_file, encoding="utf-8")
    to_file.setLevel(logging.INFO)
    to_file.setFormatter(_LogFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    handlers, level, verbosity = root.handlers[:], root.level, absl_logging.get_verbosity()
    before = warnings.showwarning
    logging.captureWarnings(True)
    captured_here = warnings.showwarning is not before
    try:
        root.handlers[:] = [to_file, ProgressHandler(display)]
        root.setLevel(logging.INFO)
        spending.setLevel(logging.DEBUG)
        # Not the logger's level: TensorFlow puts it back to this value when it saves a model.
        absl_logging.set_verbosity(absl_logging.INFO)
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        spending.setLevel(logging.NOTSET)
        absl_logging.set_verbosity(verbosity)
        if captured_here:
            logging.captureWarnings(False)
        to_file.close()
