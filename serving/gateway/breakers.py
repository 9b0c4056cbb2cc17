"""Breakers: when requests stop going to a backend, and how they return to it."""

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from serving.gateway.faults import Failure, Scope
from serving.settings import BreakerSettings

Clock = Callable[[], float]
State = Literal["closed", "open", "ramp"]
_MAX_BREAKERS = 4096


class Permit:
    """Leave to send one request; its outcome goes back to the breaker that gave it."""

    __slots__ = ("_breaker", "_epoch", "_is_counted", "_is_settled")

    def __init__(self, breaker: "Breaker", epoch: int, *, is_counted: bool) -> None:
        self._breaker = breaker
        self._epoch = epoch
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

    def seconds_left(self) -> float:
        """Seconds until the next probe may go out; 0 when one may."""
        return max(0.0, self._until - self._clock()) if self.state == "open" else 0.0

    def permit(self) -> Permit | None:
        """Leave to send a request; None while it has to go elsewhere."""
        if self.state == "closed":
            return Permit(self, self.epoch, is_counted=False)
        if self.state == "open":
            if self._clock() < self._until:
                return None
            self._enter("ramp")
            self._successes = 0
        if self.in_flight > self._successes:
            return None
        self.in_flight += 1
        return Permit(self, self.epoch, is_counted=True)

    def watch(self) -> Permit:
        """Return a permit for a request that is sent anyway; its outcome counts while closed."""
        return Permit(self, self.epoch if self.state == "closed" else -1, is_counted=False)

    def close(self) -> None:
        """Let all requests through, whatever came before."""
        self._openings = 0
        self.reason = ""
        self._enter("closed")

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


class Permits(NamedTuple):
    """Leave to send one request, by the breaker of the service and by that of its key and model."""

    service: Permit
    key: Permit

    def release(self) -> None:
        """See `Permit.release`."""
        self.service.release()
        self.key.release()

    def settle(self, failure: Failure | None) -> None:
        """Count an outcome for what it says something about."""
        if failure is None or failure.scope is Scope.REQUEST:
            self.service.success()
            self.key.success()
        elif failure.scope is Scope.KEY_AND_MODEL:
            self.service.success()  # it answered
            self.key.failure(failure.fault, failure.wait_seconds)
        elif failure.scope is Scope.CALLER:
            self.release()
        else:
            self.service.failure(failure.fault, failure.wait_seconds)
            self.key.release()


class Breakers:
    """The breaker of the service, and one for each key and model.

    Args:
        settings: Of all of them.
        on_change: Called with a backend's name and its breaker at every change.
        clock: Seconds, monotonic.
        rng: Draws the jitter.
    """

    def __init__(
        self,
        settings: BreakerSettings,
        on_change: Callable[[str, Breaker], None] = lambda name, breaker: None,
        clock: Clock = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._on_change = on_change
        self._clock = clock
        self._rng = rng or random.Random()
        self.service = self._new("service", settings.failures_to_open)
        self._by_key: OrderedDict[tuple[str, str], Breaker] = OrderedDict()

    def permits(self, key: str, model: str) -> Permits | Breaker:
        """Leave to send a request, or the breaker that does not give it.

        Args:
            key: The key's salted hash.
            model: The model's name at the service.
        """
        by_key = self.of_key(key, model)
        if by_key.state == "open" and by_key.seconds_left():
            return by_key
        service = self.service.permit()
        if service is None:
            return self.service
        permit = by_key.permit()
        if permit is None:
            service.release()
            return by_key
        return Permits(service, permit)

    def watch(self, key: str, model: str) -> Permits:
        """Permits for a request that goes out in any case; see `Breaker.watch`."""
        return Permits(self.service.watch(), self.of_key(key, model).watch())

    def of_key(self, key: str, model: str) -> Breaker:
        """Return the breaker of a key and a model."""
        name = (key, model)
        breaker = self._by_key.get(name)
        if breaker is None:
            if len(self._by_key) >= _MAX_BREAKERS:
                self._forget_one()
            breaker = self._by_key[name] = self._new(f"key:{key[:8]}/{model}", 1)
        else:
            self._by_key.move_to_end(name)
        return breaker

    def all(self) -> Iterator[Breaker]:
        """Return the service's breaker, then those of keys and models seen lately."""
        yield self.service
        yield from self._by_key.values()

    def _new(self, name: str, failures_to_open: int) -> Breaker:
        def on_change(breaker: Breaker) -> None:
            self._on_change(name, breaker)

        return Breaker(self._settings, failures_to_open, self._clock, self._rng, on_change)

    def _forget_one(self) -> None:
        idle = next((name for name, it in self._by_key.items() if it.is_idle), None)
        forgotten = self._by_key.pop(idle if idle is not None else next(iter(self._by_key)))
        if forgotten.state != "closed":
            forgotten.close()
