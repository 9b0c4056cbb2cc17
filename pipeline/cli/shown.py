"""Shows the progress of work that loads TFX, and explains how it ends."""

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.errors import UserError
from pipeline.cli.interruption import ends_on_ctrl_c
from pipeline.config import Config
from pipeline.local.output_dir import OutputPaths, claim, disk_is_full
from pipeline.local.pauses import PausedError
from pipeline.local.standin_server import standin_if_wanted
from service_llm.secrets import check_environment

if TYPE_CHECKING:
    from pipeline.progress import ProgressView

_EXIT_FAILED = 1
_Result = TypeVar("_Result")


@contextlib.contextmanager
def claimed(config: Config) -> Iterator[OutputPaths]:
    """Hold the output folder of a run, with the services at hand, until the work or Ctrl-C ends it.

    Raises:
        UserError: The folder cannot be used, see `claim`, or a key is missing.
    """
    with ends_on_ctrl_c(), claim(Path(config.output_dir)) as paths, standin_if_wanted(config):
        for service in config.services.values():
            check_environment(service)
        yield paths


def shown(paths: OutputPaths, work: "Callable[[ProgressView], _Result]") -> _Result:
    """Do work whose progress is shown, and whose other output goes to the log.

    Args:
        paths: Of the run.
        work: What is done, with the view; it imports TFX itself, which takes ten seconds and prints
            while it loads.

    Raises:
        SystemExit: It failed in a way that is no fault of the user; the message was printed.
    """
    from pipeline.progress import progress_view

    # While the view is active, standard error goes to the log: errors are printed after it.
    try:
        with progress_view(paths.log) as view:
            return work(view)
    except (UserError, OSError, PausedError):
        raise
    except Exception as error:
        if disk_is_full(error):
            raise
        with paths.log.open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        print(  # noqa: T201
            f"error: {type(error).__name__}: {error}\nSee {paths.log} for the full traceback. "
            "Run the same command again to resume from the last finished component.",
            file=sys.stderr,
        )
        raise SystemExit(_EXIT_FAILED) from error
