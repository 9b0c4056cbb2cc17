"""Progress as plain lines, for pipes and files."""

from collections.abc import Callable
from typing import TextIO

from pipeline.progress.display import Step, duration

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

    def round_started(self, round: int, max_rounds: int) -> None:
        """Write which round it is."""
        self._write(f"Round {round} of at most {max_rounds}")

    def round_finished(self, round: int, text: str) -> None:
        """Write what the round brought."""
        self._write(f"Round {round}: {text}")

    def component_started(self, name: str) -> None:
        """Write its name and start its time."""
        self._since, self._shown = self._clock(), None
        self._write(f"  {name} is running")

    def component_finished(self, name: str) -> None:
        """Write its name and its time."""
        self._write(f"  {name} finished after {duration(self._clock() - self._since)}")

    def step(self, step: Step) -> None:
        """Write the step where it is new or has come far enough."""
        now = self._clock()
        if not self._is_due(step, now):
            return
        self._shown, self._shown_at = step, now
        self._write(": ".join(filter(None, (f"    {step.message}", step.figures()))))

    def close(self) -> None:
        """Nothing is left to be done."""

    def _is_due(self, step: Step, now: float) -> bool:
        last = self._shown
        if last is None or step.message != last.message or step.done < last.done:
            return True
        waited = now - self._shown_at >= _SECONDS_BETWEEN_LINES
        return waited and round(step.share - last.share, 9) >= _SHARE_BETWEEN_LINES

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
