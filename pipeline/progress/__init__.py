"""What a person sees during a local run; everything else goes to the log file."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TextIO

from pipeline.progress.capture import capture_output
from pipeline.progress.display import Display
from pipeline.progress.live import LiveDisplay
from pipeline.progress.plain import PlainDisplay
from pipeline.progress.records import follow_records

__all__ = ["ProgressView", "progress_view"]


class ProgressView(Protocol):
    """What the loop of rounds reports to the view; components report the rest through logging."""

    def expect(self, seconds: Sequence[Mapping[str, float]]) -> None:
        """Take how long components are likely to need in each round, by id."""
        ...

    def round_started(
        self, round: int, max_rounds: int, components: Sequence[str] = (), title: str = ""
    ) -> None:
        """Show that a round begins; again for each part of a round that may pause.

        Args:
            round: Its number, from 1.
            max_rounds: The maximum number of rounds.
            components: Ids of its components in the order in which they run.
            title: What is shown in place of the numbers.
        """
        ...

    def round_finished(
        self, round: int, text: str, so_far: str = "", spent_usd: float | None = None
    ) -> None:
        """Show that a round has ended.

        Args:
            round: Its number, from 1.
            text: The round in one line.
            so_far: What all rounds brought so far, in a few words.
            spent_usd: What all rounds cost so far; None where a price is unknown.
        """
        ...


@contextlib.contextmanager
def progress_view(
    log_file: Path,
    stream: TextIO | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[ProgressView]:
    """Show progress on a stream, and send all other output of the process to a file.

    On a terminal it is one view that is drawn again and again; elsewhere it is plain lines. While
    the view is active, logging, warnings and whatever is written to file descriptors 1 and 2 are
    appended to the log file. Everything is restored at the end, also after an exception.

    Args:
        log_file: Gets everything but progress; made where it does not exist.
        stream: Where progress is shown; default is `sys.stderr`.
        clock: Seconds since any fixed moment.

    Raises:
        OSError: The log file cannot be written.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with (
        capture_output(log_file, stream or sys.stderr) as screen,
        contextlib.closing(_display(screen, clock)) as display,
        follow_records(log_file, display),
    ):
        yield display


def _display(screen: TextIO, clock: Callable[[], float]) -> Display:
    can_redraw = os.environ.get("TERM") != "dumb"
    if screen.isatty() and can_redraw:
        return LiveDisplay(screen, clock)
    return PlainDisplay(screen, clock)
