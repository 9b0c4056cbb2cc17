"""The rate of requests, and the pauses, that refusals for a quota leave."""

import collections
import math
import random

_MINUTE = 60.0
_CUT = 0.7
# A refusal that says how long to wait comes from a quota that is known: the rate settles below it.
_PROBE_AFTER = 60.0  # seconds without a refusal before a lowered rate is raised again
_PROBE_STEP = 0.02  # of the configured rate
_LONGEST_PROBE_WAIT = 600.0
# One that does not comes from capacity that is shared with others (Vertex AI): it may be over at
# any moment, so the rate comes back within a minute, slower where refusals go on.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_MIN_SHARE = 0.3  # of the configured rate, however often it is lowered
_MANY_REFUSED = 0.2  # of the requests of the last minute
_SLOWEST = 1 / 16


class Rate:
    """Requests in a minute; its user does the locking.

    It falls once for each outage (additive increase, multiplicative decrease: Chiu and Jain 1989):
    what was on its way is of the same outage, and so is every refusal until a request is answered.
    An outage in which some are answered all the time counts as another one each minute, so that the
    rate settles below what the service refuses (docs/decisions/0025).

    Args:
        limit: The rate to return to.
        now: Seconds, by any clock.
        rng: Spreads pauses, so that not all clients come back at once.
    """

    def __init__(self, limit: float, now: float, rng: random.Random) -> None:
        self._rng = rng
        self.paused_until = now
        self._refused_until = -math.inf  # requests sent up to then are of the last refusal
        self._outage_since = -math.inf  # when the first request of an outage was refused
        self._outage_refusals = 0  # since then
        self._last_cut = -math.inf
        self._probe_at = 0.0
        self._probe_wait = _PROBE_AFTER
        self._recovery = 0.0  # of the limit, in a minute; 0 where the rate is raised by probes
        self._raised_at = now
        self._accepted: collections.deque[float] = collections.deque()
        self._refused: collections.deque[float] = collections.deque()
        self.set_limit(limit)

    def set_limit(self, limit: float) -> None:
        """Take over another limit, and forget what was learned of the one before."""
        self._limit = limit
        self.per_minute = limit

    def accepted(self, now: float, sent_at: float) -> None:
        """Note a reply.

        Args:
            now: When it came.
            sent_at: When its request was sent.
        """
        self._accepted.append(now)
        self._forget(now)
        if self._recovery and not self._refused:  # a minute: whatever slowed it down is over
            self._recovery = 1.0
        if sent_at <= self._outage_since:
            return  # it was on its way before the outage, so it does not show that it is over
        self._outage_refusals = 0
        if self.per_minute >= self._limit:
            return
        if self._recovery:
            seconds = max(0.0, now - self._raised_at)  # negative in a pause
            step = self._recovery * self._limit * seconds / _MINUTE
            self.per_minute = min(self._limit, self.per_minute + step)
            self._raised_at = max(now, self._raised_at)
        elif now >= self._probe_at:
            self.per_minute = min(self._limit, self.per_minute + _PROBE_STEP * self._limit)
            self._probe_at = now + self._probe_wait

    def refused(self, now: float, sent_at: float, wait_seconds: float | None) -> None:
        """Pause, and lower the rate where this is a new outage.

        Args:
            now: When the refusal came.
            sent_at: When its request was sent.
            wait_seconds: What the service asked to wait; None where it did not say.
        """
        self._refused.append(now)
        self._forget(now)
        is_new = sent_at > self._refused_until
        if self._outage_refusals == 0:
            self._outage_since = now
        self._outage_refusals += is_new
        if wait_seconds is None:
            doubled = _FIRST_PAUSE * 2.0 ** min(self._outage_refusals - 1, 10)
            pause = min(doubled, _LONGEST_PAUSE) * self._rng.uniform(0.75, 1.25)
        else:
            pause = wait_seconds + self._rng.uniform(0.02, 0.1) * max(wait_seconds, 1.0)
        if is_new or wait_seconds is not None:
            self.paused_until = max(self.paused_until, now + pause)
        if not is_new:
            return
        self._refused_until = max(now, self.paused_until)
        if self._outage_refusals > 1:
            self._raised_at = self._refused_until
            return
        if wait_seconds is None:
            self._lower_for_a_while(now)
        else:
            self._lower(now)

    def _lower(self, now: float) -> None:
        """Settle on what the quota was seen to let through."""
        rate, accepted = self.per_minute, 0.97 * len(self._accepted)  # in the last minute
        self.per_minute = max(1.0, min(max(_CUT * rate, accepted), 0.95 * rate))
        if now < self._probe_at + self._probe_wait:
            self._probe_wait = min(2 * self._probe_wait, _LONGEST_PROBE_WAIT)
        self._probe_at = now + self._probe_wait
        self._recovery = 0.0
        self._last_cut = now

    def _lower_for_a_while(self, now: float) -> None:
        if now - self._last_cut < _MINUTE:
            return
        count = len(self._accepted) + len(self._refused)
        often = now - self._last_cut < 2 * _MINUTE and len(self._refused) > _MANY_REFUSED * count
        self._recovery = max(_SLOWEST, self._recovery / 2) if often else 1.0
        least = min(self.per_minute, _MIN_SHARE * self._limit)
        self.per_minute = max(_CUT * self.per_minute, least)
        self._raised_at = self._refused_until
        self._last_cut = now

    def _forget(self, now: float) -> None:
        for times in (self._accepted, self._refused):
            while times and times[0] <= now - _MINUTE:
                times.popleft()
