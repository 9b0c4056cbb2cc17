"""The components of a round: state and time of each, and an estimate of what remains."""

import dataclasses
import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self

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


class Took(NamedTuple):
    """How long a component took, or will by what it says itself, and in which round."""

    round: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Checklist:
    """The components of a round in the order in which they run.

    Attributes:
        items: The components.
        planned: Seconds that each component is likely to take in each round, from the first one,
            by what the view was told; the last entry stands for all rounds after it.
        round: The number of this round.
        measured: What components took in the rounds before, when they last ran.
        since: When the running component started, by the display's clock.
        step: The last step that it reported.
    """

    items: tuple[Item, ...] = ()
    planned: Sequence[Mapping[str, float]] = ()
    round: int = 1
    measured: Mapping[str, Took] = dataclasses.field(default_factory=dict)
    since: float = 0.0
    step: Step | None = None

    def expecting(self, seconds: Sequence[Mapping[str, float]]) -> Self:
        """Return this list with times for the components of each round."""
        return dataclasses.replace(self, planned=tuple(seconds))

    def next_round(self, names: Iterable[str], round: int) -> Self:
        """Return the list of a round, which expects what the rounds so far have taken."""
        return type(self)(tuple(map(Item, names)), self.planned, round, self._took())

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
            if (expected := self._expected(item, self.round, self.measured)) is None:
                return None
            left += self._rest(expected, now) if item.state is State.RUNNING else expected
        return left

    def seconds_of(self, round: int, now: float) -> float | None:
        """Estimate a later round in seconds; None where a component's time is unknown.

        Args:
            round: Its number.
            now: The time by the display's clock.
        """
        took = {**self._took(), **self._will_take(now)}
        times = [self._expected(item, round, took) for item in self.items]
        known = [seconds for seconds in times if seconds is not None]
        return sum(known) if len(known) == len(times) else None

    def rest(self, now: float, rounds_after: int) -> str:
        """Say how long the round, and all that may follow, will still take, once that is known."""
        if not (left := self.seconds_left(now)):
            return ""
        text = f"About {duration(left)} left in this round"
        last = self.round + rounds_after
        later = [self.seconds_of(number, now) for number in range(self.round + 1, last + 1)]
        known = [seconds for seconds in later if seconds is not None]
        if known and len(known) == len(later):
            text += f", about {duration(left + sum(known))} for all {last} rounds"
        return text

    def _took(self) -> dict[str, Took]:
        done = (item for item in self.items if item.state is State.DONE)
        return {**self.measured, **{it.name: Took(self.round, it.seconds) for it in done}}

    def _will_take(self, now: float) -> dict[str, Took]:
        """Return what the running component says of itself: later rounds go at its pace."""
        if not (item := self.running) or not self.step or self.step.seconds_left is None:
            return {}
        return {item.name: Took(self.round, now - self.since + self.step.seconds_left)}

    def _expected(self, item: Item, round: int, measured: Mapping[str, Took]) -> float | None:
        """Estimate a component: the plan of the round, at the pace of the round it was measured.

        A round trains on the rows of all rounds before it, so what one took is not what the next
        one takes.
        """
        planned, took = self._plan(round).get(item.name), measured.get(item.name)
        if planned is None and item.state is State.CACHED:
            return 0.0
        if took is None:
            return planned
        plan_then = self._plan(took.round).get(item.name)
        if planned is None or not plan_then:
            return took.seconds
        return took.seconds * planned / plan_then

    def _plan(self, round: int) -> Mapping[str, float]:
        return self.planned[min(round, len(self.planned)) - 1] if self.planned else {}

    def _rest(self, expected: float, now: float) -> float:
        """Trust the component's own estimate before the time that it took last."""
        if self.step and self.step.seconds_left is not None:
            return self.step.seconds_left
        return max(0.0, expected - (now - self.since))


def _set(items: tuple[Item, ...], changed: Item) -> tuple[Item, ...]:
    return tuple(changed if item.name == changed.name else item for item in items)
