"""Adaptive concurrency limit: how many requests may be in flight."""

import math

_OVERLOADED_SHARE = 0.1  # of the latest requests failed
_LATEST = 0.05  # weight of one outcome in that share
_CUT = 0.7
# For each success: a twentieth more in a second, however long a reply takes, so that the way back
# after an outage is no longer where replies are slow; no more than twice as many in one reply's
# time, which is when the service shows whether it copes, and no less than a tenth.
_GROWTH_PER_SECOND, _MIN_GROWTH, _MAX_GROWTH = 0.05, 0.1, 1.0


class Concurrency:
    """A window on the requests in flight; its user does the locking.

    Single failures are normal at large services and leave the window as it is: it shrinks where
    more than a tenth of the requests fail or time out, to less than what was really in flight. It
    grows only while it is full, since an unused window proves nothing (congestion window
    validation, RFC 7661). An outage in which nothing is answered proves nothing of it either: it is
    one cut, and none where nothing was answered before.

    Args:
        most: The largest window.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._window = float(most)
        self._in_flight = 0
        self._failed_share = 0.0
        self._to_come = 0  # outcomes of requests that were sent before the last cut
        self._cut_at = -math.inf
        self._is_answered = False  # whether a request that was sent after the last cut was answered

    @property
    def window(self) -> int:
        """Requests that may be in flight now."""
        return max(1, int(self._window))

    @property
    def in_flight(self) -> int:
        """Requests that are in flight now."""
        return self._in_flight

    def bound(self, most: int) -> None:
        """Set the largest window; what was learned stays where it did not change."""
        if most != self._most:
            self._most = most
            self._window = float(most)

    def started(self) -> None:
        """Count a request that is sent."""
        self._in_flight += 1

    def ended(self) -> None:
        """Count a request that is over, however it ended."""
        self._in_flight -= 1
        self._to_come -= 1

    def succeeded(self, now: float, sent_at: float) -> None:
        """Note that a request was answered; to be called before `ended`.

        Args:
            now: When it was answered, by any clock.
            sent_at: When it was sent.
        """
        self._is_answered = self._is_answered or sent_at > self._cut_at
        self._failed_share -= _LATEST * self._failed_share
        is_used = self._in_flight >= self._window / 2
        if is_used and self._failed_share < _OVERLOADED_SHARE:
            growth = min(max(_MIN_GROWTH, _GROWTH_PER_SECOND * (now - sent_at)), _MAX_GROWTH)
            self._window = min(self._most, self._window + growth)

    def failed(self, now: float, *, is_outage: bool) -> None:
        """Note that the service failed or did not answer in time; to be called before `ended`.

        Args:
            now: By the clock of `succeeded`.
            is_outage: Whether it refuses requests, or cannot be reached. Where it only fails, or
                takes too long, fewer requests may help although none is answered.
        """
        if is_outage and not self._is_answered:
            return
        self._failed_share += _LATEST * (1 - self._failed_share)
        if self._failed_share > _OVERLOADED_SHARE and self._to_come <= 0:
            self._window = max(1.0, _CUT * min(self._window, self._in_flight))
            self._failed_share = 0.0  # whether that was enough is seen by what is sent from now on
            self._to_come = self._in_flight
            self._cut_at = now
            self._is_answered = False
