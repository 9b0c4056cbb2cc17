"""The breakers of all backends, keys and models."""

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from serving.gateway.breaker import Breaker, Clock, Permit
from serving.gateway.faults import Failure, Scope
from serving.gateway.upstream import SERVICE
from serving.settings import BreakerSettings

Name = TypeVar("Name")
_MAX_BREAKERS = 4096
# Callers write locations of Vertex AI into paths: there are some forty, and what they make up.
_MAX_BACKENDS = 64
_SILENT_SECONDS = 3600.0  # after which a location that nobody asks is no longer said to fail


class Permits(NamedTuple):
    """Leave to send one request, by the breaker of the backend and by that of its key and model."""

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
    """A breaker for each backend, and one for each key and model at it.

    A fault in one location of Vertex AI says nothing about another one.

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
        self.service = self._new(SERVICE, settings.failures_to_open)
        self._elsewhere: OrderedDict[str, Breaker] = OrderedDict()
        self._asked_at: dict[str, float] = {}  # by the names of `_elsewhere`
        self._by_key: OrderedDict[tuple[str, str, str], Breaker] = OrderedDict()

    def permits(self, key: str, model: str, backend: str = SERVICE) -> Permits | Breaker:
        """Leave to send a request, or the breaker that does not give it.

        Args:
            key: The key's salted hash.
            model: The model's name at the service.
            backend: See `Upstream.backend`.
        """
        by_key, whole = self.of_key(key, model, backend), self.of_backend(backend)
        if by_key.is_waiting:
            return by_key
        service = whole.permit()
        if service is None:
            return whole
        permit = by_key.permit()
        if permit is None:
            service.release()
            return by_key
        return Permits(service, permit)

    def watch(self, key: str, model: str, backend: str = SERVICE) -> Permits:
        """Permits for a request that goes out in any case; see `Breaker.watch`."""
        by_key = self.of_key(key, model, backend)
        return Permits(self.of_backend(backend).watch(), by_key.watch())

    def of_backend(self, backend: str) -> Breaker:
        """Return the breaker of a backend."""
        if backend == SERVICE:
            return self.service
        breaker = self._elsewhere.get(backend)
        if breaker is None:
            if len(self._elsewhere) >= _MAX_BACKENDS:
                del self._asked_at[_forget_one(self._elsewhere)]
            breaker = self._elsewhere[backend] = self._new(backend, self._settings.failures_to_open)
        else:
            self._elsewhere.move_to_end(backend)
        self._asked_at[backend] = self._clock()
        return breaker

    def backends(self) -> dict[str, Breaker]:
        """Return the breakers of the backends seen lately, by name; `service` comes first."""
        return {SERVICE: self.service, **self._elsewhere}

    def age_out(self) -> None:
        """Forget the locations that nobody has asked for an hour."""
        oldest = self._clock() - _SILENT_SECONDS
        for name in [name for name, at in self._asked_at.items() if at < oldest]:
            del self._asked_at[name]
            self._elsewhere.pop(name).retire()

    def of_key(self, key: str, model: str, backend: str = SERVICE) -> Breaker:
        """Return the breaker of a key and a model at a backend."""
        name = (key, model, backend)
        breaker = self._by_key.get(name)
        if breaker is None:
            if len(self._by_key) >= _MAX_BREAKERS:
                _forget_one(self._by_key)
            where = backend.removeprefix(SERVICE)
            breaker = self._by_key[name] = self._new(f"key:{key[:8]}/{model}{where}", 1)
        else:
            self._by_key.move_to_end(name)
        return breaker

    def of_keys(self) -> Iterator[Breaker]:
        """Return the breakers of the keys and models seen lately."""
        yield from self._by_key.values()

    def _new(self, name: str, failures_to_open: int) -> Breaker:
        def on_change(breaker: Breaker) -> None:
            self._on_change(name, breaker)

        return Breaker(self._settings, failures_to_open, self._clock, self._rng, on_change)


def _forget_one(breakers: OrderedDict[Name, Breaker]) -> Name:
    """Forget an idle breaker, or the one that was unused for longest; return its name."""
    idle = next((name for name, it in breakers.items() if it.is_idle), None)
    name = idle if idle is not None else next(iter(breakers))
    breakers.pop(name).retire()
    return name
