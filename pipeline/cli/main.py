"""Runs a command: errors that a user can fix end in one message and status 2."""

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from pipeline.cli.broken_pipe import EXIT_PIPE, has_lost_its_reader
from pipeline.cli.interruption import EXIT_INTERRUPTED, tell_interrupted
from pipeline.cli.parser import COMMAND, PROGRAM, make_parser
from pipeline.local.output_dir import disk_is_full
from pipeline.local.pauses import PausedError

_EXIT_USER_ERROR = 2
_EXIT_PAUSED = 3
_ROOT = Path(__file__).parents[2]


def main(
    argv: Sequence[str] | None = None, *, group: str | None = None, program: str = PROGRAM
) -> int:
    """Parse the command line and run its command.

    Args:
        argv: The arguments; None for those of the process.
        group: `vertex` to accept the commands of that group alone.
        program: The program's name in the help texts.

    Returns:
        0 when the command came to its end, 1 for an unexpected failure, 2 for a mistake that the
        user can fix, 3 when the run waits for a person, 130 after Ctrl-C, 141 when nobody reads
        what it prints any more (`| head`). A command whose result is bad, such as a verdict of
        *worse*, ends the process with `EXIT_BAD_RESULT`, and a drill that loses a request with 1.
    """
    result: int | SystemExit = EXIT_PIPE
    try:
        try:
            result = _run(argv, group, program)
        except SystemExit as ended:  # with what a command has found, which nothing may replace
            result = ended
        if sys.stdout is not None:  # as where it was closed from the start
            sys.stdout.flush()  # or a reader that is gone would be noticed as Python ends
    except BrokenPipeError:
        if not has_lost_its_reader():
            raise
        result = result if isinstance(result, SystemExit) and result.code else EXIT_PIPE
    if isinstance(result, SystemExit):
        raise result
    return result


def _run(argv: Sequence[str] | None, group: str | None, program: str) -> int:
    options = vars(make_parser(group, program).parse_args(argv))
    command = options.pop(COMMAND)
    module, _, name = command.function.partition(":")
    on_vertex = module.startswith("pipeline.vertex")
    if not command.has_log:
        _silence_libraries()
    try:
        # Imported here: the client of Vertex AI takes seconds, and a help text needs nothing of it.
        if text := getattr(importlib.import_module(module), name)(**options, say=_say):
            _say(text)
    except (UserError, ModuleNotFoundError) as error:
        return _complain(f"error: {_reason(error)}", _EXIT_USER_ERROR)
    except PausedError as pause:
        return _complain(str(pause), _EXIT_PAUSED)
    except KeyboardInterrupt:
        if on_vertex:
            return _complain(_DETACHED, EXIT_INTERRUPTED)
        tell_interrupted(command.resumes)
        return EXIT_INTERRUPTED
    except Exception as error:
        if not disk_is_full(error):
            raise
        reason = str(error).partition("\n")[0]
        return _complain(
            f"error: the disk is full ({reason}). Free some space and run the same command again "
            "to resume.",
            _EXIT_USER_ERROR,
        )
    return 0


_DETACHED = "Detached. Submitted jobs keep running; run the same command to resume."


def _reason(error: UserError | ModuleNotFoundError) -> str:
    """Return what the user has to know.

    Raises:
        ModuleNotFoundError: The module is one of our own.
    """
    if isinstance(error, UserError):
        return str(error)
    name = (error.name or "").partition(".")[0]
    if not name or (_ROOT / name).is_dir():
        raise error
    return (
        f"This command needs the package {name}, which is not installed here. Install what it "
        "belongs to: pip install '.[model]' for the commands around the gateway, make setup for "
        "the pipeline."
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _complain(message: str, status: int) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return status


def _silence_libraries() -> None:
    """Drop what TensorFlow and Google's libraries print about this machine."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    logging.getLogger("absl").setLevel(logging.ERROR)
