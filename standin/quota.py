"""Limits of requests and tokens in any minute, as a provider sets them."""

import threading
import time
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 60.0


class Quota:
    """A sliding window over the last minute.

    Args:
        requests_per_minute: Requests let through in any minute; None for no limit.
        tokens_per_minute: Tokens of prompts and replies in any minute; None for no limit.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = requests_per_minute
        self._tokens = tokens_per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._admitted: deque[tuple[float, int]] = deque()

    def admit(self, tokens: int) -> float:
        """Lets a request through, or tells how long to wait.

        Args:
            tokens: Tokens of the request and its reply.

        Returns:
            0 when the request was counted, else the seconds until it would be.
        """
        with self._lock:
            now = self._clock()
            while self._admitted and self._admitted[0][0] <= now - _WINDOW_SECONDS:
                self._admitted.popleft()
            wait = max(self._wait_for_request(now), self._wait_for_tokens(now, tokens))
            if wait == 0:
                self._admitted.append((now, tokens))
            return wait

    def _wait_for_request(self, now: float) -> float:
        if self._requests is None or len(self._admitted) < self._requests:
            return 0.0
        return self._admitted[-self._requests][0] + _WINDOW_SECONDS - now

    def _wait_for_tokens(self, now: float, tokens: int) -> float:
        """Return a request larger than the whole limit passes once the window is empty."""
        if self._tokens is None:
            return 0.0
        used = sum(used for _, used in self._admitted)
        wait = 0.0
        for admitted, spent in self._admitted:
            if used + tokens <= self._tokens:
                break
            used -= spent
            wait = admitted + _WINDOW_SECONDS - now
        return wait
