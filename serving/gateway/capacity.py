"""The bounded queue before the tuned model."""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator

_SMOOTHING = 0.2  # weight of the latest answer in the mean duration
_KNOWN, _MIN_KNOWN = 50, 5  # answers that say what is usual
_TIMES_SLOWEST = 3.0
_MIN_SECONDS = 0.25


class BusyError(Exception):
    """The tuned model has no room for a request.

    Attributes:
        retry_after_seconds: When there may be room again, whole seconds of at least 1.
    """

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class UsualTime:
    """Learns how long the model's answers take, from the latest of them.

    Args:
        max_seconds: The limit while too few answers are known, and never more than that.
    """

    def __init__(self, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._known: deque[float] = deque(maxlen=_KNOWN)

    def record(self, seconds: float) -> None:
        """Learn from an answer."""
        self._known.append(seconds)

    @property
    def limit_seconds(self) -> float:
        """Seconds after which a request without an answer is no impatient caller's fault."""
        if len(self._known) < _MIN_KNOWN:
            return self._max_seconds
        slowest = max(_MIN_SECONDS, _TIMES_SLOWEST * max(self._known))
        return min(self._max_seconds, slowest)


class Slots:
    """Slots of the model's server, and a bounded queue with a deadline before them.

    Args:
        slots: Requests that the server answers at a time.
        queue_length: Requests that may wait.
        queue_seconds: The longest wait.

    Attributes:
        waiting: Requests that wait.
        answering: Requests that hold a slot.
        copies: Those of them that give way to any other; see `slot`.
    """

    def __init__(self, slots: int, queue_length: int, queue_seconds: float) -> None:
        self._slots = slots
        self._semaphore = asyncio.Semaphore(slots)
        self._queue_length = queue_length
        self._queue_seconds = queue_seconds
        self._seconds = 1.0  # of an answer, on average
        self.waiting = 0
        self.answering = 0
        self.copies = 0

    @property
    def is_full(self) -> bool:
        """Whether a request would have to wait."""
        return self._semaphore.locked()

    @contextlib.asynccontextmanager
    async def slot(self, *, is_copy: bool = False) -> AsyncIterator[None]:
        """Hold a slot.

        Args:
            is_copy: Whether the holder lets go as soon as anybody waits, however short the queue.

        Raises:
            BusyError: The queue is full, or its deadline passed.
        """
        await self._acquire()
        started = time.monotonic()
        self.answering += 1
        self.copies += is_copy
        try:
            yield
        finally:
            self.copies -= is_copy
            self.answering -= 1
            self._semaphore.release()
            self._seconds += _SMOOTHING * (time.monotonic() - started - self._seconds)

    async def _acquire(self) -> None:
        if self.is_full and self.waiting >= self._queue_length + self.copies:
            raise BusyError(
                f"the queue before the tuned model is full ({self.waiting} requests wait)",
                self._retry_after(),
            )
        self.waiting += 1
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._semaphore.acquire()
        except TimeoutError:
            raise BusyError(
                f"the tuned model had no free slot within {self._queue_seconds:g} s",
                self._retry_after(),
            ) from None
        finally:
            self.waiting -= 1

    def _retry_after(self) -> int:
        return max(1, math.ceil(self._seconds * (self.waiting + 1) / self._slots))
