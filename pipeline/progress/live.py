"""Progress as one view on a terminal that is drawn again and again."""

import dataclasses
import os
from collections.abc import Callable
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.progress.display import Step, duration

_FALLBACK_SIZE = (80, 24)
_BAR_WIDTH = 30  # characters
_DRAWN_PER_SECOND = 4


@dataclasses.dataclass(frozen=True)
class _State:
    """All that is drawn. It is replaced as a whole, so the drawing thread never sees a half."""

    title: str
    since: float
    finished: tuple[str, ...] = ()
    component: str = ""
    component_since: float = 0.0
    step: Step | None = None


class LiveDisplay:
    """Draws the round, what is finished, and the component that is running with its step."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._state = _State("Starting", clock())
        self._console = Console(file=stream, force_terminal=True, highlight=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=_DRAWN_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def round_started(self, round: int, max_rounds: int) -> None:
        """Begin an empty round."""
        self._show(_State(f"Round {round} of at most {max_rounds}", self._clock()))

    def round_finished(self, round: int, text: str) -> None:
        """Leave a line above the view, which stays on the screen."""
        took = duration(self._clock() - self._state.since)
        self._show(_State("Finishing", self._clock()))
        self._console.print(Text(f"Round {round}: {text} ({took})"))

    def component_started(self, name: str) -> None:
        """Show it as running."""
        state = self._state
        self._show(_State(state.title, state.since, state.finished, name, self._clock()))

    def component_finished(self, name: str) -> None:
        """Move it to the finished ones."""
        state = self._state
        took = duration(self._clock() - state.component_since)
        self._show(_State(state.title, state.since, (*state.finished, f"{name} {took}")))

    def step(self, step: Step) -> None:
        """Keep the step for the next drawing: there may be hundreds in a second."""
        self._state = dataclasses.replace(self._state, step=step)

    def close(self) -> None:
        """Remove the view; what was left above it stays."""
        self._live.stop()

    def _show(self, state: _State) -> None:
        self._state = state
        self._live.refresh()

    def _draw(self) -> RenderableType:
        self._console.size = self._size()
        state, now = self._state, self._clock()
        title = Text.assemble((state.title, "bold"), f"  {duration(now - state.since)}")
        parts: list[RenderableType] = [title]
        if state.finished:
            count = len(state.finished)
            parts.append(Text(f"{count} done: {', '.join(state.finished)}", style="dim"))
        if state.component:
            running = f"  {duration(now - state.component_since)}"
            parts.append(Text.assemble((state.component, "cyan"), running))
        if state.step:
            parts.append(_step_line(state.step))
        return Group(*parts)

    def _size(self) -> tuple[int, int]:
        """Of the stream's terminal: the console would ask descriptors that are redirected."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return _FALLBACK_SIZE
        return (size.columns or _FALLBACK_SIZE[0], size.lines or _FALLBACK_SIZE[1])


def _step_line(step: Step) -> RenderableType:
    if not step.total:
        return Text(f"  {step.message}")
    line = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=step.total, completed=step.done, width=_BAR_WIDTH)
    line.add_row(Text(f"  {step.message}"), bar, Text(step.figures()))
    return line
