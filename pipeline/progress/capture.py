"""Redirects the standard descriptors of the process to a file, and restores them."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_STANDARD = (1, 2)


@contextlib.contextmanager
def capture_output(log_file: Path, stream: TextIO) -> Iterator[TextIO]:
    """Append everything written to file descriptors 1 and 2 to a file.

    Native libraries write to the descriptors, past `sys.stderr`, so replacing that is not enough.

    Args:
        log_file: The file.
        stream: Where a person looks.

    Yields:
        A stream that still reaches the person: `stream` itself unless it writes to one of the two.
    """
    with contextlib.ExitStack() as stack:
        screen = stack.enter_context(_duplicate(stream))
        log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        stack.callback(os.close, log)
        _flush()
        for descriptor in _STANDARD:
            original = os.dup(descriptor)
            stack.callback(_restore, original, descriptor)
            os.dup2(log, descriptor)
        stack.callback(_flush)  # runs first: what is buffered belongs to the log
        yield screen


@contextlib.contextmanager
def _duplicate(stream: TextIO) -> Iterator[TextIO]:
    """Open the stream on a descriptor of its own where its present one is redirected."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError, AttributeError):
        descriptor = -1  # a buffer in memory, or a notebook's cell
    if descriptor not in _STANDARD:
        yield stream
        return
    stream.flush()
    with open(
        os.dup(descriptor), "w", buffering=1, encoding=stream.encoding, errors="replace"
    ) as own:
        yield own


def _restore(original: int, descriptor: int) -> None:
    os.dup2(original, descriptor)
    os.close(original)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
