"""A breaker: when requests stop going to one backend, and how they return to it."""

import random
import time
from collections.abc import Callable
from typing import Literal

from serving.settings import BreakerSettings

Clock = Callable[[], float]
State = Literal["closed", "open", "ramp"]


class Permit:
    """Leave to send one request; its outcome goes back to the breaker that gave it."""

    __slots__ = ("_breaker", "_epoch", "_is_counted", "_is_settled")

    def __init__(self, breaker: "Breaker", epoch: int | None, *, is_counted: bool) -> None:
        self._breaker = breaker
        self._epoch = epoch  # of the breaker; None where the outcome never counts
        self._is_counted = is_counted
        self._is_settled = False

    def success(self) -> None:
        """Return the backend answered."""
        if self._settle():
            self._breaker.record_success()

    def failure(self, reason: str, wait_seconds: float | None = None) -> None:
        """Return the backend failed.

        Args:
            reason: The fault; given back by `Breaker.reason` while the breaker is open.
            wait_seconds: What the backend asked to wait; None where it did not say.
        """
        if self._settle():
            self._breaker.record_failure(reason, wait_seconds)

    def release(self) -> None:
        """Say that the outcome says nothing about the backend; no effect after another outcome."""
        self._settle()

    def _settle(self) -> bool:
        """Whether the outcome counts: once, and not when the breaker has changed since."""
        if self._is_settled:
            return False
        self._is_settled = True
        is_current = self._epoch == self._breaker.epoch
        if is_current and self._is_counted:
            self._breaker.in_flight -= 1
        return is_current


class Breaker:
    """One breaker: closed, open for a time, then a ramp of probes that are real requests.

    On the ramp as many requests may be in flight as have succeeded, and one more: the first probe
    is alone.

    Args:
        settings: Its thresholds and times.
        failures_to_open: Failures in a row that open it; a wait that the backend asks for opens it
            at once.
        clock: Seconds, monotonic.
        rng: Draws the jitter.
        on_change: Called with the breaker when its state has changed.

    Attributes:
        state: Where it is.
        epoch: Counts the changes of the state.
        in_flight: Requests of the ramp that are in flight.
        reason: The fault that opened it.
    """

    def __init__(
        self,
        settings: BreakerSettings,
        failures_to_open: int,
        clock: Clock = time.monotonic,
        rng: random.Random | None = None,
        on_change: "Callable[[Breaker], None] | None" = None,
    ) -> None:
        self._settings = settings
        self._failures_to_open = failures_to_open
        self._clock = clock
        self._rng = rng or random.Random()
        self._on_change = on_change
        self._failures = 0
        self._successes = 0
        self._openings = 0
        self._until = 0.0
        self.state: State = "closed"
        self.epoch = 0
        self.in_flight = 0
        self.reason = ""

    @property
    def is_idle(self) -> bool:
        """Whether it holds nothing that is worth remembering."""
        return self.state == "closed" and not self._failures

    @property
    def is_waiting(self) -> bool:
        """Whether it is open, and no probe may go out yet."""
        return self.seconds_left() > 0

    def seconds_left(self) -> float:
        """Seconds until the next probe may go out; 0 when one may."""
        return max(0.0, self._until - self._clock()) if self.state == "open" else 0.0

    def permit(self) -> Permit | None:
        """Leave to send a request; None while it has to go elsewhere."""
        self._begin_ramp_if_due()
        if self.state == "closed":
            return Permit(self, self.epoch, is_counted=False)
        if self.state == "open" or self.in_flight > self._successes:
            return None
        self.in_flight += 1
        return Permit(self, self.epoch, is_counted=True)

    def watch(self) -> Permit:
        """Return a permit for a request that is sent anyway.

        Its outcome counts unless the breaker is open: the backend may get no other requests. It
        takes no place on the ramp, as nothing limits how long it lasts.
        """
        self._begin_ramp_if_due()
        return Permit(self, None if self.state == "open" else self.epoch, is_counted=False)

    def close(self) -> None:
        """Let all requests through, whatever came before."""
        self._openings = 0
        self.reason = ""
        self._enter("closed")

    def retire(self) -> None:
        """End as closed: requests that still hold a permit change nothing any more."""
        if self.state != "closed":
            self.close()
        self._on_change = None
        self.epoch += 1

    def record_success(self) -> None:
        """Count a success; on the ramp enough of them close the breaker."""
        self._failures = 0
        if self.state == "ramp":
            self._successes += 1
            if self._successes >= self._settings.ramp_successes:
                self.close()

    def record_failure(self, reason: str, wait_seconds: float | None) -> None:
        """Count a failure, and open the breaker when it is one too many."""
        self._failures += 1
        is_too_many = self._failures >= self._failures_to_open or wait_seconds is not None
        if self.state == "ramp" or is_too_many:
            self._open(reason, wait_seconds)

    def _begin_ramp_if_due(self) -> None:
        if self.state == "open" and not self.is_waiting:
            self._enter("ramp")
            self._successes = 0

    def _open(self, reason: str, wait_seconds: float | None) -> None:
        settings = self._settings
        wait = min(settings.wait_seconds * 2**self._openings, settings.max_wait_seconds)
        wait *= 1 + settings.jitter * self._rng.uniform(-1, 1)
        if wait_seconds is not None:
            # Never sooner than asked for, so the jitter only adds.
            asked = min(wait_seconds, settings.retry_after_cap_seconds)
            wait = max(wait, asked * (1 + settings.jitter * self._rng.uniform(0, 0.5)))
        self._until = self._clock() + wait
        self._openings = min(self._openings + 1, 30)
        self.reason = reason
        self._enter("open")

    def _enter(self, state: State) -> None:
        self.state = state
        self.epoch += 1
        self.in_flight = 0
        self._failures = 0
        if self._on_change is not None:
            self._on_change(self)
