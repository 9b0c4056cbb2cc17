"""The share of requests that belong to each task, and when it has fallen."""

import collections
import math
from typing import NamedTuple

# Latest requests whose share is compared with that of those before them: few show soon that a large
# share has fallen, and many are needed for a small one.
_LATEST = (50, 200, 1000)
_BEFORE, _MIN_BEFORE = 3000, 50
_KEPT = _LATEST[-1] + _BEFORE + 1
_EVERY = 5  # requests are compared once, which takes longer than to count them
_FALL = 2 / 3  # of the share before; a smaller fall is none that anybody has to look at
_BACK = 0.9  # of the share before: the fall is over
# How many times likelier, as a logarithm, two shares have to be than one and the same: more than
# chance brings about in ten thousand requests of any steady share (simulated: at most 10.7).
_LIKELIER = 13.0


class Excerpt(NamedTuple):
    """A text that did not match, of which a part may be shown.

    Attributes:
        text: More than is shown: personal data that is cut in two might not be recognized.
        size: How many characters may be shown.
        is_end: Whether they are the last ones.
    """

    text: str
    size: int
    is_end: bool = False


class Fall(NamedTuple):
    """A task's share has fallen.

    Attributes:
        latest: The share of the latest requests, 0 to 1.
        before: The share before.
        reason: Why most of the latest other requests are of no task; empty where most are another
            task's.
        excerpt: The latest text of which that is the reason; None where nothing may be shown.
    """

    latest: float
    before: float
    reason: str
    excerpt: Excerpt | None


class MatchShare:
    """Watches one task's share of the requests for an answer."""

    def __init__(self) -> None:
        self._count = 0
        # How many had matched after each of the latest requests, in a ring.
        self._matched = [0] * _KEPT
        self._total = 0
        self._unmatched: collections.deque[tuple[str, Excerpt | None]] = collections.deque(
            maxlen=_LATEST[0]
        )
        self._fallen: tuple[int, float] | None = None  # in how many requests, and from which share
        self._fall: Fall | None = None

    @property
    def share(self) -> float:
        """The share of the latest requests, 0 to 1; 0 before the first."""
        return self._share(_LATEST[0])

    def record(self, *, is_matched: bool, reason: str = "", excerpt: Excerpt | None = None) -> None:
        """Count a request.

        Args:
            is_matched: Whether it is of this task.
            reason: Why it is of no task; empty where it is of one.
            excerpt: The text that did not match; kept for the alarm.
        """
        if not is_matched:
            self._unmatched.append((reason, excerpt))
        self._total += is_matched
        self._count += 1
        self._matched[self._count % _KEPT] = self._total
        if self._count % _EVERY == 0:
            self._fall = self._compared()

    def fall(self) -> Fall | None:
        """Return the fall, until the share has come back."""
        return self._fall

    def _compared(self) -> Fall | None:
        if self._fallen is not None:
            latest, before = self._fallen
            if self._share(latest) >= _BACK * before:
                self._fallen = None
        if self._fallen is None:
            self._fallen = next(filter(None, map(self._fallen_in, _LATEST)), None)
        if self._fallen is None:
            return None
        latest, before = self._fallen
        counts = collections.Counter(reason for reason, _ in self._unmatched)
        [(most, _)] = counts.most_common(1) or [("", 0)]
        excerpts = [excerpt for reason, excerpt in self._unmatched if reason == most]
        return Fall(self._share(latest), before, most, excerpts[-1] if excerpts else None)

    def _fallen_in(self, latest: int) -> tuple[int, float] | None:
        """Compare the latest requests with those before them, by the ratio of likelihoods.

        Reference:
            S. S. Wilks, The large-sample distribution of the likelihood ratio for testing composite
            hypotheses, Annals of Mathematical Statistics 9 (1938), 60-62.
        """
        before = min(self._count - latest, _BEFORE)
        if before < _MIN_BEFORE:
            return None
        until = self._matched_until(latest)
        now = self._total - until
        then = until - self._matched_until(latest + before)
        if now * before >= _FALL * then * latest:
            return None
        common = (now + then) / (latest + before)
        likelier = _information(now, latest, common) + _information(then, before, common)
        return (latest, then / before) if likelier >= _LIKELIER else None

    def _share(self, latest: int) -> float:
        count = min(latest, self._count)
        return (self._total - self._matched_until(count)) / count if count else 0.0

    def _matched_until(self, ago: int) -> int:
        return self._matched[(self._count - ago) % _KEPT]


def _information(matched: int, count: int, share: float) -> float:
    """Return how much likelier the requests are by their own share than by another one, as a log.

    Args:
        matched: Requests that matched.
        count: All requests.
        share: The other share, above 0 and below 1.
    """
    parts = ((matched, share), (count - matched, 1 - share))
    return sum(part * math.log(part / (count * of)) for part, of in parts if part)
