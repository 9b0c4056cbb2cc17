"""Paces requests: up to the project's quota, never beyond, and slower when the service says so."""

import collections
import random
import threading
import time
from collections.abc import Callable

from components.service_llm.errors import QuotaError
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import CHARACTERS_PER_TOKEN

_MINUTE = 60.0
_DAY = 86_400.0
_USED_SHARE = 0.98  # of the limit: the rest is for clocks and networks that do not run evenly
_BURST_SECONDS = 0.5  # what was left unused may be caught up with, for this long
_CUT = 0.7
_PROBE_AFTER = 60.0  # seconds without a quota error before a lowered rate is raised again
_PROBE_STEP = 0.02  # of the configured rate
_LONGEST_PROBE_WAIT = 600.0
_OVERLOAD_CUT = 0.7
_FIRST_OUTPUT_TOKENS = 256.0
_AVERAGE_SHARE = 0.1


class Limiter:
    """The pace of one project; safe to share between threads.

    Permits are handed out evenly spaced, so that the quota holds in every window of a minute
    however the service counts. The rate falls when the service reports a quota error and rises
    slowly afterwards (additive increase, multiplicative decrease: Chiu and Jain 1989), and so does
    the number of requests under way when the service is overloaded.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float,
        tokens_per_minute: float | None = None,
        requests_per_day: int | None = None,
        max_concurrency: int = 64,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._rng = rng or random.Random()
        self._limit = requests_per_minute
        self._rate = requests_per_minute * _USED_SHARE
        self._tokens = tokens_per_minute
        self._per_day = requests_per_day
        self._max_concurrency = max_concurrency
        self._concurrency = float(max_concurrency)
        now = clock()
        self._request_slot = self._token_slot = self._paused_until = now
        self._last_cut = self._last_overload = -_DAY
        self._probe_at = 0.0
        self._probe_wait = _PROBE_AFTER
        self._accepted: collections.deque[float] = collections.deque()
        self._sent: collections.deque[float] = collections.deque()
        self._output_tokens = _FIRST_OUTPUT_TOKENS
        self._successes = 0

    def configure(self, settings: ServiceLLMSettings) -> None:
        """Take over limits; what was learned about the service stays while they are the same."""
        with self._lock:
            if settings.requests_per_minute != self._limit:
                self._limit = settings.requests_per_minute
                self._rate = self._limit * _USED_SHARE
            if settings.max_concurrency != self._max_concurrency:
                self._max_concurrency = settings.max_concurrency
                self._concurrency = float(settings.max_concurrency)
            self._tokens = settings.tokens_per_minute
            self._per_day = settings.requests_per_day

    @property
    def concurrency(self) -> int:
        """Requests that may be under way now."""
        return max(1, int(self._concurrency))

    @property
    def requests_per_minute(self) -> float:
        """The rate at which permits are handed out now."""
        return self._rate

    @property
    def successes(self) -> int:
        """Replies so far; tells whether a quota still lets anything through."""
        return self._successes

    def expected_tokens(self, prompt_characters: int) -> int:
        """Tokens that a request will use: its prompt's, and those of the usual reply."""
        return prompt_characters // CHARACTERS_PER_TOKEN + int(self._output_tokens)

    def try_acquire(self, tokens: int) -> float:
        """Take a permit.

        Args:
            tokens: The request's expected tokens.

        Returns:
            0 when the permit is taken; else the seconds after which to try again.

        Raises:
            QuotaError: The day's requests are used up.
        """
        with self._lock:
            now = self._clock()
            self._check_day(now)
            ready = max(self._request_slot, self._token_slot, self._paused_until)
            if now < ready:
                return ready - now
            caught_up = now - _BURST_SECONDS
            self._request_slot = max(self._request_slot, caught_up) + _MINUTE / self._rate
            if self._tokens:
                seconds = tokens * _MINUTE / (self._tokens * _USED_SHARE)
                self._token_slot = max(self._token_slot, caught_up) + seconds
            self._sent.append(now)
            return 0.0

    def succeeded(self, expected_tokens: int, prompt_tokens: int, output_tokens: int) -> None:
        """Note a reply and what it really used."""
        with self._lock:
            now = self._clock()
            self._successes += 1
            self._accepted.append(now)
            self._forget(now)
            self._output_tokens += _AVERAGE_SHARE * (output_tokens - self._output_tokens)
            if self._tokens:
                surplus = prompt_tokens + output_tokens - expected_tokens
                self._token_slot += surplus * _MINUTE / (self._tokens * _USED_SHARE)
            self._concurrency = min(
                self._max_concurrency, self._concurrency + 1 / max(self._concurrency, 1)
            )
            full = self._limit * _USED_SHARE
            if self._rate < full and now >= self._probe_at:
                self._rate = min(full, self._rate + _PROBE_STEP * self._limit)
                self._probe_at = now + self._probe_wait

    def quota_exceeded(self, sent_at: float, wait_seconds: float | None) -> None:
        """Slow down after a quota error, and send nothing before the service wants to be asked.

        Args:
            sent_at: When the refused request was sent, by the limiter's clock.
            wait_seconds: What the service asked to wait; None where it did not say.
        """
        with self._lock:
            now = self._clock()
            self._forget(now)
            wait = _MINUTE / self._rate if wait_seconds is None else wait_seconds
            until = now + wait + self._rng.uniform(0.02, 0.1) * max(wait, 1.0)
            self._paused_until = max(self._paused_until, until)
            if sent_at <= self._last_cut:
                return  # it was on its way when the rate was lowered
            self._last_cut = max(now, self._paused_until)
            accepted = len(self._accepted) * _USED_SHARE  # in the last minute
            self._rate = max(1.0, min(max(_CUT * self._rate, accepted), 0.95 * self._rate))
            if now < self._probe_at + self._probe_wait:
                self._probe_wait = min(2 * self._probe_wait, _LONGEST_PROBE_WAIT)
            self._probe_at = now + self._probe_wait

    def overloaded(self) -> None:
        """Have fewer requests under way after the service failed or did not answer in time."""
        with self._lock:
            now = self._clock()
            if now - self._last_overload >= 1.0:  # failures come in crowds
                self._last_overload = now
                self._concurrency = max(1.0, self._concurrency * _OVERLOAD_CUT)

    def now(self) -> float:
        """The limiter's clock."""
        return self._clock()

    def _forget(self, now: float) -> None:
        while self._accepted and self._accepted[0] <= now - _MINUTE:
            self._accepted.popleft()

    def _check_day(self, now: float) -> None:
        if self._per_day is None:
            self._sent.clear()
            return
        while self._sent and self._sent[0] <= now - _DAY:
            self._sent.popleft()
        if len(self._sent) >= self._per_day:
            raise QuotaError(
                f"All {self._per_day} requests of the day (requests_per_day) are used."
            )


_limiters: dict[tuple[str, str, str], Limiter] = {}
_registry = threading.Lock()


def limiter_for(settings: ServiceLLMSettings) -> Limiter:
    """The limiter of a project: one in a process, whoever asks."""
    with _registry:
        limiter = _limiters.get(settings.project)
        if limiter:
            limiter.configure(settings)
            return limiter
        limiter = Limiter(
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            requests_per_day=settings.requests_per_day,
            max_concurrency=settings.max_concurrency,
        )
        _limiters[settings.project] = limiter
        return limiter
