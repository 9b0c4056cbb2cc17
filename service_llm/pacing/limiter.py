"""Paces requests: up to the project's quota, never beyond, and slower when the service says so."""

import collections
import math
import random
import threading
import time
from collections.abc import Callable, Iterable

from service_llm.errors import QuotaError
from service_llm.pacing.concurrency import Concurrency
from service_llm.pacing.rate import Rate
from service_llm.pacing.token_quota import TokenQuota
from service_llm.settings import ServiceLLMSettings

# Of the limit. With the bursts below, no minute is overdrawn by requests that take up to 1.3 s
# longer than others to arrive: 60 s / 0.97 = 60 s + 0.5 s + 1.35 s.
USED_SHARE = 0.97
_BURST_SECONDS = 0.5  # what was left unused may be caught up with, for this long
_MINUTE = 60.0
_DAY = 86_400.0


class Limiter:
    """The pace of one project; safe to share between threads.

    Permits are handed out evenly spaced, so that the quota holds in every window of a minute
    however the service counts. The rate falls when the service reports a quota error and rises
    afterwards, and so does the number of requests in flight when the service is overloaded.

    The first request goes out alone. Its reply shows that key and settings are right before more
    is sent, how many tokens requests take, and when the service began to count: a first request
    takes longer than all others to arrive (credentials, connections, a service that starts up).
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
        self._limit = requests_per_minute
        self._rate = Rate(requests_per_minute * USED_SHARE, clock(), rng or random.Random())
        self._tokens = TokenQuota(tokens_per_minute, USED_SHARE, _BURST_SECONDS)
        self._per_day = requests_per_day
        self._concurrency = Concurrency(max_concurrency)
        self._slot = clock()
        self._first_room = 1
        self._sent: collections.deque[float] = collections.deque()
        self._knows_earlier = False
        self._successes = 0

    def configure(self, settings: ServiceLLMSettings) -> None:
        """Take over limits; what was learned about the service stays while they are the same."""
        with self._lock:
            if settings.requests_per_minute != self._limit:
                self._limit = settings.requests_per_minute
                self._rate.set_limit(self._limit * USED_SHARE)
            self._concurrency.bound(settings.max_concurrency)
            self._tokens.per_minute = settings.tokens_per_minute
            self._per_day = settings.requests_per_day

    def count_earlier(self, ages_seconds: Iterable[float]) -> None:
        """Count the requests of earlier processes for the limit of a day; only the first call does.

        Args:
            ages_seconds: How long ago each of them was sent.
        """
        with self._lock:
            if not self._knows_earlier:
                self._knows_earlier = True
                now = self._clock()
                earlier = sorted(now - max(age, 0.0) for age in ages_seconds)
                self._sent.extendleft(reversed(earlier))

    @property
    def concurrency(self) -> int:
        """Requests that may be in flight now."""
        return self._concurrency.window if self._successes else self._first_room

    def let_a_second_show(self) -> None:
        """Let another request go out in parallel to the first, which keeps failing."""
        self._first_room = 2

    @property
    def requests_per_minute(self) -> float:
        """The rate at which permits are handed out now."""
        return self._rate.per_minute

    @property
    def successes(self) -> int:
        """Replies so far; tells whether a quota still lets anything through."""
        return self._successes

    def expected_tokens(self, prompt_characters: int, max_output_tokens: int) -> int:
        """Tokens that a request will use: as others did; at first, as many as its reply may have.

        Args:
            prompt_characters: Length of the prompt and the system instruction.
            max_output_tokens: Tokens of the reply at most.
        """
        with self._lock:
            return self._tokens.expected(prompt_characters, max_output_tokens)

    def try_acquire(self, tokens: int) -> float:
        """Take a permit; `ended` gives back its place among the requests in flight.

        Args:
            tokens: The request's expected tokens.

        Returns:
            0 when the permit is taken; else the seconds after which to try again, infinite while
            as many requests are in flight as may be.

        Raises:
            QuotaError: The day's requests are used up.
        """
        with self._lock:
            now = self._clock()
            self._check_day(now)
            if self._concurrency.in_flight >= self.concurrency:
                return math.inf
            ready = max(self._slot, self._tokens.ready_at(now, tokens), self._rate.paused_until)
            if now < ready:
                return ready - now
            self._slot = max(self._slot, now - _BURST_SECONDS) + _MINUTE / self._rate.per_minute
            self._tokens.sent(now, tokens)
            self._sent.append(now)
            self._concurrency.started()
            return 0.0

    def ended(self, tokens: int) -> None:
        """Note that a request with a permit is over, however it ended.

        Args:
            tokens: As for `try_acquire`.
        """
        with self._lock:
            self._tokens.ended(tokens)
            self._concurrency.ended()

    def succeeded(
        self,
        *,
        sent_at: float,
        expected_tokens: int,
        prompt_characters: int,
        prompt_tokens: int,
        output_tokens: int,
    ) -> None:
        """Note a reply and what it really used; to be called before `ended`.

        Args:
            sent_at: When its request was sent, by the limiter's clock.
            expected_tokens: As for `try_acquire`.
            prompt_characters: As for `expected_tokens`.
            prompt_tokens: By the provider's count.
            output_tokens: By the provider's count.
        """
        with self._lock:
            now = self._clock()
            self._tokens.answered(
                now,
                sent_at=sent_at,
                expected=expected_tokens,
                prompt_characters=prompt_characters,
                prompt_tokens=prompt_tokens,
                output_tokens=output_tokens,
            )
            if self._successes == 0:  # the service may have counted it only now
                self._slot = now + _MINUTE / self._rate.per_minute
            self._successes += 1
            self._concurrency.succeeded(now, sent_at)
            self._rate.accepted(now, sent_at)

    def quota_exceeded(self, sent_at: float, wait_seconds: float | None) -> None:
        """Slow down after a quota error, and send nothing before the service wants to be asked.

        Args:
            sent_at: When the refused request was sent, by the limiter's clock.
            wait_seconds: What the service asked to wait; None where it did not say.
        """
        with self._lock:
            self._rate.refused(self._clock(), sent_at, wait_seconds)

    def overloaded(self, *, is_outage: bool = False) -> None:
        """Note that the service failed or did not answer in time; to be called before `ended`.

        Args:
            is_outage: Whether it refuses requests, or cannot be reached.
        """
        with self._lock:
            self._concurrency.failed(self._clock(), is_outage=is_outage)

    def now(self) -> float:
        """Return the limiter's clock."""
        return self._clock()

    def _check_day(self, now: float) -> None:
        while self._sent and self._sent[0] <= now - _DAY:
            self._sent.popleft()
        if self._per_day is not None and len(self._sent) >= self._per_day:
            minutes = math.ceil((self._sent[-self._per_day] + _DAY - now) / _MINUTE)
            raise QuotaError(
                f"The daily limit of {self._per_day} requests (requests_per_day) is used up; the "
                f"next may be sent in {minutes // 60} h {minutes % 60} min."
            )


_limiters: dict[tuple[str, ...], Limiter] = {}
_registry = threading.Lock()


def limiter_for(settings: ServiceLLMSettings) -> Limiter:
    """Return the limiter of a project: one in a process, whoever asks."""
    with _registry:
        limiter = _limiters.get(settings.quota)
        if limiter:
            limiter.configure(settings)
            return limiter
        limiter = Limiter(
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
            requests_per_day=settings.requests_per_day,
            max_concurrency=settings.max_concurrency,
        )
        _limiters[settings.quota] = limiter
        return limiter
