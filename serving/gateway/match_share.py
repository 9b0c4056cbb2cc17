"""The share of requests that belong to each task, and when it has fallen."""

from collections import deque
from typing import NamedTuple

_LATEST = 50  # requests whose share is compared
_BEFORE = 500  # with that of as many before them
_MIN_BEFORE = 50
_FALL = 0.5  # of the share before


class Fall(NamedTuple):
    """A task's share has fallen.

    Attributes:
        latest: The share of the latest requests, 0 to 1.
        before: The share before.
        excerpt: The latest text that did not match.
    """

    latest: float
    before: float
    excerpt: str


class MatchShare:
    """Watches one task's share of the requests for an answer."""

    def __init__(self) -> None:
        self._latest: deque[bool] = deque(maxlen=_LATEST)
        self._before: deque[bool] = deque(maxlen=_BEFORE)
        self._latest_matched = 0
        self._before_matched = 0
        self._excerpt = ""
        self._fallen_from: float | None = None

    @property
    def share(self) -> float:
        """The share of the latest requests, 0 to 1; 0 before the first."""
        return self._latest_matched / len(self._latest) if self._latest else 0.0

    def record(self, *, is_matched: bool, excerpt: str = "") -> None:
        """Count a request.

        Args:
            is_matched: Whether it is of this task.
            excerpt: The text that did not match; kept for the alarm.
        """
        if excerpt:
            self._excerpt = excerpt
        if len(self._latest) == _LATEST:
            oldest = self._latest[0]
            if len(self._before) == _BEFORE:
                self._before_matched -= self._before[0]
            self._before.append(oldest)
            self._before_matched += oldest
            self._latest_matched -= oldest
        self._latest.append(is_matched)
        self._latest_matched += is_matched

    def fall(self) -> Fall | None:
        """Return the fall, until the share has come back."""
        before = self._fallen_from
        if before is None and len(self._before) >= _MIN_BEFORE:
            before = self._before_matched / len(self._before)
        if not before or self.share >= _FALL * before:
            self._fallen_from = None
            return None
        self._fallen_from = before
        return Fall(self.share, before, self._excerpt)
