"""Progress as one live view on a terminal."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from core.text import duration
from pipeline.progress.checklist import Checklist, Item, State
from pipeline.progress.display import Step

_FALLBACK_SIZE = (80, 24)
_BAR_WIDTH, _SMALLEST_BAR = 20, 4  # characters
_DRAWN_PER_SECOND = 4
_OTHER_LINES = 5  # title, step, rest, and two around the view
_MARKS = {
    State.DONE: ("✓", "green"),
    State.CACHED: ("✓", "dim"),
    State.RUNNING: ("▸", "cyan"),
    State.WAITING: ("·", "dim"),
}


@dataclasses.dataclass(frozen=True)
class _View:
    """All that is drawn. It is replaced as a whole, so the drawing thread never sees a half.

    Attributes:
        title: Which round it is.
        since: When it began.
        so_far: What the rounds before it brought.
        spent_usd: What all replies cost so far; None where that is unknown.
        rounds_after: How many rounds may follow it.
        checklist: Its components.
    """

    title: str
    since: float
    so_far: str = ""
    spent_usd: float | None = None
    rounds_after: int = 0
    checklist: Checklist = dataclasses.field(default_factory=Checklist)


class LiveDisplay:
    """Draws the round as a list of its components, with the step of the running one."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._view = _View("Starting: TFX and TensorFlow are loading", clock())
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

    def expect(self, seconds: Sequence[Mapping[str, float]]) -> None:
        """Keep the times for the rounds that start later."""
        self._change(self._view.checklist.expecting(seconds))

    def round_started(
        self, round: int, max_rounds: int, components: Sequence[str] = (), title: str = ""
    ) -> None:
        """Begin a round, or another part of it, with all its components waiting."""
        title = title or f"Round {round} of at most {max_rounds}"
        self._show(
            _View(
                title,
                self._view.since if title == self._view.title else self._clock(),
                self._view.so_far,
                self._view.spent_usd,
                max_rounds - round,
                self._view.checklist.next_round(components, round),
            )
        )

    def round_finished(
        self, round: int, text: str, so_far: str = "", spent_usd: float | None = None
    ) -> None:
        """Leave a line above the view, which stays on the screen."""
        took = duration(self._clock() - self._view.since)
        view = self._view
        # The journal knows better: it holds what was paid for, whatever became of it.
        spent_usd = spent_usd if view.spent_usd is None else view.spent_usd
        self._show(_View("Finishing", self._clock(), so_far, spent_usd, checklist=view.checklist))
        self._console.print(Text(f"Round {round}: {text} ({took})"))

    def component_started(self, name: str) -> None:
        """Show it as running."""
        self._change(self._view.checklist.start(name, self._clock()))

    def component_cached(self) -> None:
        """Show that the running one takes its outputs from the cache."""
        self._change(self._view.checklist.cached())

    def component_finished(self, name: str) -> None:
        """Show it as done."""
        self._change(self._view.checklist.finish(name, self._clock()))

    def step(self, step: Step) -> None:
        """Keep the step for the next drawing: there may be hundreds in a second."""
        view = self._view
        self._view = dataclasses.replace(view, checklist=view.checklist.with_step(step))

    def spent(self, usd: float) -> None:
        """Keep the cost for the next drawing."""
        self._view = dataclasses.replace(self._view, spent_usd=usd)

    def close(self) -> None:
        """Remove the view; what was left above it stays."""
        self._live.stop()

    def _change(self, checklist: Checklist) -> None:
        self._show(dataclasses.replace(self._view, checklist=checklist))

    def _show(self, view: _View) -> None:
        self._view = view
        self._live.refresh()

    def _draw(self) -> RenderableType:
        self._console.size = size = self._size()
        view, now = self._view, self._clock()
        parts: list[RenderableType] = [
            Text.assemble(
                (view.title, "bold"),
                f"  {duration(now - view.since)}",
                ("".join(f"  {text}" for text in _so_far(view)), "dim"),
                overflow="ellipsis",
                no_wrap=True,
            )
        ]
        if view.title != "Finishing":
            parts += self._rows(view.checklist, now, size[0], size[1] - _OTHER_LINES)
        if rest := _rest(view, now):
            parts.append(Text(rest, style="dim"))
        return Group(*parts)

    def _rows(
        self, checklist: Checklist, now: float, width: int, height: int
    ) -> list[RenderableType]:
        rows: list[RenderableType] = []
        for item in checklist.items[_first_shown(checklist, height) :][: max(height, 1)]:
            rows.append(_line(item, checklist, now))
            if item.state is State.RUNNING and checklist.step:
                rows.append(_step_line(checklist.step, width))
        if checklist.step and not checklist.running:
            rows.append(_step_line(checklist.step, width))
        return rows

    def _size(self) -> tuple[int, int]:
        """Of the stream's terminal: the console would ask descriptors that are redirected."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return _FALLBACK_SIZE
        return (size.columns or _FALLBACK_SIZE[0], size.lines or _FALLBACK_SIZE[1])


def _first_shown(checklist: Checklist, height: int) -> int:
    """Leave out the oldest finished components where the terminal is too low for all."""
    finished = sum(item.is_finished for item in checklist.items)
    return min(max(0, len(checklist.items) - height), finished)


def _line(item: Item, checklist: Checklist, now: float) -> Text:
    mark, style = _MARKS[item.state]
    times = {
        State.DONE: duration(item.seconds),
        State.CACHED: "cached",
        State.RUNNING: duration(now - checklist.since),
        State.WAITING: "",
    }
    name_style = "bold" if item.state is State.RUNNING else ""
    return Text.assemble(
        (f" {mark} ", style), (f"{item.name:<24}", name_style), (times[item.state], "dim")
    )


def _so_far(view: _View) -> list[str]:
    cost = "" if view.spent_usd is None else f"{view.spent_usd:,.2f} USD so far"
    return [text for text in (view.so_far, cost) if text]


def _rest(view: _View, now: float) -> str:
    return "" if view.title == "Finishing" else view.checklist.rest(now, view.rounds_after)


def _step_line(step: Step, width: int) -> RenderableType:
    message = Text(f"     {step.message}", overflow="ellipsis", no_wrap=True)
    if not step.total:
        return message
    figures = Text(step.figures(), overflow="ellipsis", no_wrap=True)
    # The bar gives way to the figures, which say more.
    room = width - len(message) - len(figures) - 3
    line = Table.grid(padding=(0, 1))
    bar_width = max(_SMALLEST_BAR, min(_BAR_WIDTH, room))
    line.add_row(message, ProgressBar(step.total, step.done, width=bar_width), figures)
    return line
