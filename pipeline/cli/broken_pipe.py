"""Ends a command quietly when nobody reads what it prints any more: `understudy config | head`."""

import contextlib
import os
import select
import sys
from typing import TextIO

EXIT_PIPE = 141
"""As of a program that SIGPIPE ended: 128 and the signal's number."""


def has_lost_its_reader() -> bool:
    """Whether standard output or error has no reader; it goes nowhere from now on.

    What broke may also be another pipe, such as a connection to a service.
    """
    lost = [stream for stream in (sys.stdout, sys.stderr) if _is_broken(stream)]
    for stream in lost:
        # Python flushes both at its end, and would complain.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return bool(lost)


def _is_broken(stream: TextIO) -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no file, or closed
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    return False
