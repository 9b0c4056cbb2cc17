"""How many requests may be under way: as many as the service copes with."""

_OVERLOADED_SHARE = 0.1  # of the latest requests failed
_LATEST = 0.05  # weight of one outcome in that share
_CUT = 0.7
_GROWTH = 0.1  # for each success: a tenth more in the time of one reply


class Concurrency:
    """A window on the requests under way; its user does the locking.

    Single failures are everyday at large services and leave the window as it is: it shrinks where
    more than a tenth of the requests fail or are not answered in time, to less than what was really
    under way. It grows only while it is used, since a window that nobody fills proves nothing
    (congestion window validation, RFC 7661).

    Args:
        most: The largest window.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._window = float(most)
        self._under_way = 0
        self._failed_share = 0.0
        self._to_come = 0  # outcomes of requests that were sent before the last cut

    @property
    def window(self) -> int:
        """Requests that may be under way now."""
        return max(1, int(self._window))

    @property
    def under_way(self) -> int:
        """Requests that are under way now."""
        return self._under_way

    def bound(self, most: int) -> None:
        """Set the largest window; what was learned stays where it did not change."""
        if most != self._most:
            self._most = most
            self._window = float(most)

    def started(self) -> None:
        """Count a request that is sent."""
        self._under_way += 1

    def ended(self) -> None:
        """Count a request that is over, however it ended."""
        self._under_way -= 1
        self._to_come -= 1

    def succeeded(self) -> None:
        """Note that a request was answered; to be called before `ended`."""
        self._failed_share -= _LATEST * self._failed_share
        is_used = self._under_way >= self._window / 2
        if is_used and self._failed_share < _OVERLOADED_SHARE:
            self._window = min(self._most, self._window + _GROWTH)

    def failed(self) -> None:
        """Note that the service failed or did not answer in time; to be called before `ended`."""
        self._failed_share += _LATEST * (1 - self._failed_share)
        if self._failed_share > _OVERLOADED_SHARE and self._to_come <= 0:
            self._window = max(1.0, _CUT * min(self._window, self._under_way))
            self._failed_share = 0.0  # whether that was enough is seen by what is sent from now on
            self._to_come = self._under_way
