"""The components of a round: state and time of each, and an estimate of what remains."""

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from typing import Self

from core.text import duration
from pipeline.progress.display import Step


class State(enum.Enum):
    """What a component is doing."""

    WAITING = "waiting"
    RUNNING = "running"
    CACHED = "cached"
    DONE = "done"


@dataclasses.dataclass(frozen=True)
class Item:
    """One component of the round.

    Attributes:
        name: Its id in the pipeline.
        state: What it is doing.
        seconds: How long it took; 0 before its end.
    """

    name: str
    state: State = State.WAITING
    seconds: float = 0.0

    @property
    def is_finished(self) -> bool:
        """Whether its outputs exist."""
        return self.state in (State.CACHED, State.DONE)


@dataclasses.dataclass(frozen=True)
class Checklist:
    """The components of a round in the order in which they run.

    Attributes:
        items: The components.
        expected: Seconds that a component is likely to take, by its name: what it took when it
            last ran, else what the view was told.
        since: When the running component started, by the display's clock.
        step: The last step that it reported.
    """

    items: tuple[Item, ...] = ()
    expected: Mapping[str, float] = dataclasses.field(default_factory=dict)
    since: float = 0.0
    step: Step | None = None

    def expecting(self, seconds: Mapping[str, float]) -> Self:
        """Return this list with times for the components that have not run yet."""
        return dataclasses.replace(self, expected={**seconds, **self.expected})

    def next_round(self, names: Iterable[str]) -> Self:
        """Return the list of the next round, whose expected times are those of this one."""
        took = {item.name: item.seconds for item in self.items if item.state is State.DONE}
        return type(self)(tuple(map(Item, names)), {**self.expected, **took})

    @property
    def running(self) -> Item | None:
        """The component that is running, None between two."""
        return next((item for item in self.items if item.state is State.RUNNING), None)

    def start(self, name: str, now: float) -> Self:
        """Mark a component as running; one that was not announced is added."""
        names = [item.name for item in self.items]
        items = self.items if name in names else (*self.items, Item(name))
        return dataclasses.replace(
            self, items=_set(items, Item(name, State.RUNNING)), since=now, step=None
        )

    def cached(self) -> Self:
        """Mark the running component as one whose outputs come from the cache."""
        if not (item := self.running):
            return self
        done = Item(item.name, State.CACHED)
        return dataclasses.replace(self, items=_set(self.items, done), step=None)

    def finish(self, name: str, now: float) -> Self:
        """Mark a component as done, unless its outputs came from the cache."""
        if not (item := self.running) or item.name != name:
            return self
        done = Item(name, State.DONE, now - self.since)
        return dataclasses.replace(self, items=_set(self.items, done), step=None)

    def with_step(self, step: Step) -> Self:
        """Keep the last step of the running component."""
        return dataclasses.replace(self, step=step)

    def seconds_left(self, now: float) -> float | None:
        """Estimate the rest of the round in seconds; None where a component's time is unknown."""
        left = 0.0
        for item in self.items:
            if item.is_finished:
                continue
            if (expected := self.expected.get(item.name)) is None:
                return None
            left += self._rest(expected, now) if item.state is State.RUNNING else expected
        return left

    def seconds_a_round(self) -> float | None:
        """Estimate a whole round in seconds; None where a component's time is unknown."""
        took = {item.name: item.seconds for item in self.items if item.state is State.DONE}
        cached = {item.name: 0.0 for item in self.items if item.state is State.CACHED}
        likely = {**cached, **self.expected, **took}
        times = [likely.get(item.name) for item in self.items]
        known = [seconds for seconds in times if seconds is not None]
        return sum(known) if len(known) == len(times) else None

    def rest(self, now: float, rounds_after: int) -> str:
        """Say how long the round and, at most, the run will still take, once that is known."""
        if not (left := self.seconds_left(now)):
            return ""
        text = f"About {duration(left)} left in this round"
        if rounds_after and (a_round := self.seconds_a_round()):
            text += f", at most {duration(left + rounds_after * a_round)} in all"
        return text

    def _rest(self, expected: float, now: float) -> float:
        """Trust the component's own estimate before the time that it took last."""
        if self.step and self.step.seconds_left is not None:
            return self.step.seconds_left
        return max(0.0, expected - (now - self.since))


def _set(items: tuple[Item, ...], changed: Item) -> tuple[Item, ...]:
    return tuple(changed if item.name == changed.name else item for item in items)
