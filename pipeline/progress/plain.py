"""Progress as plain lines, for pipes and files."""

from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from core.text import duration
from pipeline.progress.display import Step

_SECONDS_BETWEEN_LINES = 10.0
_SHARE_BETWEEN_LINES = 0.1


class PlainDisplay:
    """Writes a line for every event, and few enough of them for a step.

    A step has its first line at once. A further one comes when both ten seconds have passed and
    another tenth is done: short steps stay short, and long ones have ten lines.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._since = clock()
        self._shown: Step | None = None
        self._shown_at = 0.0
        self._cached = False
        self._round: int | None = None
        self._finished: set[str] = set()  # components of the round that had their lines

    def expect(self, seconds: Sequence[Mapping[str, float]]) -> None:
        """Do nothing: what a line says is no longer true when it is read."""

    def round_started(
        self, round: int, max_rounds: int, components: Sequence[str] = (), title: str = ""
    ) -> None:
        """Write which round it is, once for all parts in which it runs."""
        if round != self._round:
            self._round, self._finished = round, set()
            self._write(title or f"Round {round} of at most {max_rounds}")

    def round_finished(
        self, round: int, text: str, so_far: str = "", spent_usd: float | None = None
    ) -> None:
        """Write what the round brought."""
        self._round, self._finished = None, set()
        self._write(f"Round {round}: {text}")

    def component_started(self, name: str) -> None:
        """Write its name and start its time."""
        self._since, self._shown, self._cached = self._clock(), None, False
        if name not in self._finished:
            self._write(f"  {name} is running")

    def component_cached(self) -> None:
        """Keep it for the line that its end writes."""
        self._cached = True

    def component_finished(self, name: str) -> None:
        """Write its name, and its time unless its outputs come from the cache.

        Nothing where an earlier part of the round has said it.
        """
        if self._cached and name in self._finished:
            return
        self._finished.add(name)
        took = f"finished after {duration(self._clock() - self._since)}"
        self._write(f"  {name} {'is cached' if self._cached else took}")

    def step(self, step: Step) -> None:
        """Write the step where it is new or has come far enough."""
        now = self._clock()
        if not self._is_due(step, now):
            return
        self._shown, self._shown_at = step, now
        self._write(": ".join(filter(None, (f"    {step.message}", step.figures()))))

    def spent(self, usd: float) -> None:
        """Do nothing: the report has the cost."""

    def close(self) -> None:
        """Do nothing: every line is already written."""

    def _is_due(self, step: Step, now: float) -> bool:
        last = self._shown
        if last is None or step.message != last.message or step.done < last.done:
            return True
        waited = now - self._shown_at >= _SECONDS_BETWEEN_LINES
        return waited and round(step.share - last.share, 9) >= _SHARE_BETWEEN_LINES

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
