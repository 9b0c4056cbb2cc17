"""How a drill is done, as a user asks for it."""

from collections.abc import Sequence
from typing import NamedTuple, Self

from core.errors import UserError
from serving.drill.faults import FAULTS

_STRIKE_SECONDS = 6.0  # besides the requests: the way back, and half the start of a model


class DrillOptions(NamedTuple):
    """How a drill is done.

    Attributes:
        rate: Requests a second while a fault lasts.
        peak: Requests a second that the task has at its peak; None where nobody said.
        faults: Which.
        requests_per_cell: While a fault lasts.
        with_cold_model: Whether each fault is also met by a model that was just started.
        sustain_seconds: How long the tuned model is asked as fast as it answers.
    """

    rate: float = 2.0
    peak: float | None = None
    faults: tuple[str, ...] = tuple(FAULTS)
    requests_per_cell: int = 3
    sustain_seconds: float = 10.0
    with_cold_model: bool = True

    def seconds_of(self, cells: int, *, with_cold_model: bool) -> float:
        """Return what cells are likely to take.

        Args:
            cells: How many.
            with_cold_model: Whether the model of each can be started anew.
        """
        strikes = 2 if with_cold_model else 1
        a_cell = strikes * (_STRIKE_SECONDS + self.requests_per_cell / self.rate)
        return cells * a_cell + self.sustain_seconds

    @classmethod
    def of(
        cls, rate: float, peak: float | None, faults: Sequence[str] | None, requests_per_cell: int
    ) -> Self:
        """Return the options that a user gave.

        Raises:
            UserError: One of them cannot be used.
        """
        wanted = tuple(faults or FAULTS)
        if unknown := [fault for fault in wanted if fault not in FAULTS]:
            raise UserError(f"There is no fault {unknown[0]!r}. There are F1 to F{len(FAULTS)}.")
        if rate <= 0 or requests_per_cell < 1:
            raise UserError(
                f"--rate is {rate:g} and --requests {requests_per_cell}; give more than 0 of both."
            )
        return cls(rate, peak, wanted, requests_per_cell)
