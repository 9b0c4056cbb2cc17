"""Whether Ctrl-C was pressed, for every package; `pipeline.cli.interruption` records it."""

import contextlib
import math
import time
from collections.abc import Iterator

_GRACE_SECONDS = 2.0  # for what is in flight and paid for


class Interruption:
    """Whether the process was asked to end, and how long that may take."""

    def __init__(self) -> None:
        self._at = math.inf
        self._finishing = 0

    @property
    def is_requested(self) -> bool:
        """Whether to start nothing more."""
        return self._at < math.inf

    @property
    def is_finishing(self) -> bool:
        """Whether something is being brought to its end."""
        return self._finishing > 0

    def request(self) -> None:
        """Note the first Ctrl-C."""
        self._at = min(self._at, time.monotonic())

    def seconds_left(self) -> float:
        """Return the seconds that anything may still take; infinite without a Ctrl-C."""
        return max(0.0, self._at + _GRACE_SECONDS - time.monotonic())

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Bring something to its end, within `seconds_left`, without being interrupted again."""
        self._finishing += 1
        try:
            yield
        finally:
            self._finishing -= 1


interruption = Interruption()
