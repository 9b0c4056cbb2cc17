"""What displays have in common: the events they show and how they word them."""

import dataclasses
from typing import Protocol


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
        """The numbers in words, for example "120 of 300 steps, loss 0.412, 1 min 05 s left"."""
        parts = [f"{self.done} of {self.total} {self.unit}"] if self.total else []
        if self.loss is not None:
            parts.append(f"loss {self.loss:.3f}")
        if self.seconds_left is not None and self.done < self.total:
            parts.append(f"{duration(self.seconds_left)} left")
        return ", ".join(parts)


class Display(Protocol):
    """Shows a run; the calls come from one thread at a time."""

    def round_started(self, round: int, max_rounds: int) -> None: ...  # noqa: D102
    def round_finished(self, round: int, text: str) -> None: ...  # noqa: D102
    def component_started(self, name: str) -> None: ...  # noqa: D102
    def component_finished(self, name: str) -> None: ...  # noqa: D102
    def step(self, step: Step) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


def duration(seconds: float) -> str:
    """Seconds in words: "0.4 s", "12 s", "1 min 05 s", "2 h 03 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
