"""Keeps the run's page up to date while its first round runs: what the terminal shows."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.progress import ProgressView
from pipeline.progress.checklist import Checklist, Item, State
from pipeline.progress.display import Step
from pipeline.progress.records import ProgressHandler
from reports.run_page.started import ComponentLine, StartedRun, write_started, write_stopped

_SECONDS_BETWEEN_WRITES = 5.0  # for steps, of which there may be hundreds in a second


class LivePage:
    """A display that writes the page; it ends with the first round, whose report replaces it."""

    def __init__(self, report_file: Path, run: StartedRun, clock: Callable[[], float]) -> None:
        self._file = report_file
        self._clock = clock
        self._checklist = Checklist()
        self._rounds_after = 0
        self._written_at = 0.0
        self._is_over = False
        self.run = run
        self._write()

    def expect(self, seconds: Sequence[Mapping[str, float]]) -> None:
        """Keep the times for the estimate."""
        self._checklist = self._checklist.expecting(seconds)

    def round_started(
        self, round: int, max_rounds: int, components: Sequence[str] = (), title: str = ""
    ) -> None:
        """List the components of the round."""
        self._rounds_after = max_rounds - round
        self._checklist = self._checklist.next_round(components, round)
        self.run = self.run._replace(title=title or f"Round {round} of at most {max_rounds}")
        self._write()

    def round_finished(
        self, round: int, text: str, so_far: str = "", spent_usd: float | None = None
    ) -> None:
        """Leave the page to the report."""
        self._is_over = True

    def component_started(self, name: str) -> None:
        """Show it as running."""
        self._change(self._checklist.start(name, self._clock()))

    def component_cached(self) -> None:
        """Show that the running one takes its outputs from the cache."""
        self._change(self._checklist.cached())

    def component_finished(self, name: str) -> None:
        """Show it as done."""
        self._change(self._checklist.finish(name, self._clock()))

    def step(self, step: Step) -> None:
        """Keep the component's own estimate; write it where the page is some seconds old."""
        self._checklist = self._checklist.with_step(step)
        if self._clock() - self._written_at >= _SECONDS_BETWEEN_WRITES:
            self._write()

    def spent(self, usd: float) -> None:
        """Keep the cost for the next time that the page is written."""
        self.run = self.run._replace(spent_usd=usd)

    def close(self) -> None:
        """Write the end of a run whose first round has not ended."""
        write_stopped(self._file, self.run)

    def _change(self, checklist: Checklist) -> None:
        self._checklist = checklist
        self._write()

    def _write(self) -> None:
        if self._is_over:
            return
        now = self._written_at = self._clock()
        checklist = self._checklist
        self.run = self.run._replace(
            components=[_line(item, checklist, now) for item in checklist.items],
            rest=checklist.rest(now, self._rounds_after),
        )
        write_started(self._file, self.run)


class Views:
    """Tells several views the same."""

    def __init__(self, *views: ProgressView) -> None:
        self._views = views

    def expect(self, seconds: Sequence[Mapping[str, float]]) -> None:
        """See `ProgressView`."""
        for view in self._views:
            view.expect(seconds)

    def round_started(
        self, round: int, max_rounds: int, components: Sequence[str] = (), title: str = ""
    ) -> None:
        """See `ProgressView`."""
        for view in self._views:
            view.round_started(round, max_rounds, components, title)

    def round_finished(
        self, round: int, text: str, so_far: str = "", spent_usd: float | None = None
    ) -> None:
        """See `ProgressView`."""
        for view in self._views:
            view.round_finished(round, text, so_far, spent_usd)


@contextlib.contextmanager
def live_page(
    view: ProgressView,
    report_file: Path,
    run: StartedRun,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[ProgressView]:
    """Write the page until the first round has ended, and show the run on a view as before.

    Args:
        view: What else shows the run.
        report_file: The page.
        run: The run.
        clock: Seconds since any fixed moment.

    Yields:
        What to tell of rounds.
    """
    page = LivePage(report_file, run, clock)
    handler = ProgressHandler(page)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield Views(view, page)
    finally:
        root.removeHandler(handler)
        page.close()


def _line(item: Item, checklist: Checklist, now: float) -> ComponentLine:
    seconds = {State.DONE: item.seconds, State.RUNNING: now - checklist.since}
    return ComponentLine(item.name, item.state.value, seconds.get(item.state))
