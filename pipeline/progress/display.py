"""The interface of displays: the events they show, and the words for them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

from core.text import duration


@dataclasses.dataclass(frozen=True)
class Step:
    """How far a component is.

    Attributes:
        message: What is going on, for example "judge requests".
        done: Units done.
        total: Units there are; 0 where they cannot be counted.
        unit: Their name in the plural.
        loss: The training's loss, None elsewhere.
        seconds_left: By the component's own estimate, None without.
    """

    message: str
    done: int = 0
    total: int = 0
    unit: str = ""
    loss: float | None = None
    seconds_left: float | None = None

    @property
    def share(self) -> float:
        """The part that is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def figures(self) -> str:
        """Put the numbers in words, for example "120 of 300 steps, loss 0.412, 1 min 05 s left"."""
        parts = [f"{self.done} of {self.total} {self.unit}"] if self.total else []
        if self.loss is not None:
            parts.append(f"loss {self.loss:.3f}")
        if self.seconds_left is not None and self.done < self.total:
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(parts)


class Display(Protocol):
    """Shows a run; the calls come from one thread at a time."""

    def expect(self, seconds: Sequence[Mapping[str, float]]) -> None: ...  # noqa: D102
    def round_started(  # noqa: D102
        self, round: int, max_rounds: int, components: Sequence[str] = (), title: str = ""
    ) -> None: ...
    def round_finished(  # noqa: D102
        self, round: int, text: str, so_far: str = "", spent_usd: float | None = None
    ) -> None: ...
    def component_started(self, name: str) -> None: ...  # noqa: D102
    def component_cached(self) -> None: ...  # noqa: D102
    def component_finished(self, name: str) -> None: ...  # noqa: D102
    def step(self, step: Step) -> None: ...  # noqa: D102
    def spent(self, usd: float) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
