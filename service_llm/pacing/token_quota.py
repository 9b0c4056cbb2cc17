"""Keeps the tokens of requests under a limit, though nobody knows beforehand how many they take."""

import heapq
import math

from core.example_budget import CHARACTERS_PER_TOKEN

_MINUTE = 60.0
_WINDOW_SECONDS = 61.5  # a minute, and how much later than others a request may arrive
_DEVIATIONS = 2.0  # above what is expected of all requests in flight together
_AVERAGED = 100  # replies; what older ones tell fades away
_LOOK_AGAIN_SECONDS = 0.5


class TokenQuota:
    """Tokens in a minute; its user does the locking.

    Requests are spaced by the tokens that they are expected to take, and corrected by those that
    they took. Beyond that the sum over the last minute stays below the limit, with room for how far
    those in flight may be off.

    Args:
        per_minute: The limit; None for none.
        used_share: The share of the limit by which requests are spaced.
        burst_seconds: What was left unused may be caught up with, for this long.
    """

    def __init__(self, per_minute: float | None, used_share: float, burst_seconds: float) -> None:
        self.per_minute = per_minute
        self._used_share = used_share
        self._burst_seconds = burst_seconds
        self._slot = -math.inf
        self._taken: list[tuple[float, int]] = []  # heap of when a request was sent, and its tokens
        self._taken_sum = 0
        self._open = 0
        self._open_sum = 0
        self._replies = 0
        self._per_character = 1 / CHARACTERS_PER_TOKEN
        self._output = 0.0
        self._output_variance = 0.0

    def expected(self, prompt_characters: int, max_output_tokens: int) -> int:
        """Tokens of a request: as others took; at first, as many as its reply may have."""
        output = min(self._output, max_output_tokens) if self._replies else max_output_tokens
        return math.ceil(prompt_characters * self._per_character + output)

    def ready_at(self, now: float, expected: int) -> float:
        """When a request may be sent, as far as that is known now."""
        if self.per_minute is None:
            return now
        while self._taken and self._taken[0][0] <= now - _WINDOW_SECONDS:
            self._taken_sum -= heapq.heappop(self._taken)[1]
        if not self._taken and not self._open:
            return self._slot  # alone, it passes however large it is
        if self._taken_sum + self._open_sum + expected + self._doubt() <= self.per_minute:
            return self._slot
        freed = self._taken[0][0] + _WINDOW_SECONDS if self._taken else math.inf
        return max(self._slot, min(freed, now + _LOOK_AGAIN_SECONDS))

    def sent(self, now: float, expected: int) -> None:
        """Count a request that is sent."""
        self._open += 1
        self._open_sum += expected
        if self.per_minute is not None:
            self._slot = max(self._slot, now - self._burst_seconds) + self._seconds_of(expected)

    def answered(
        self,
        now: float,
        *,
        sent_at: float,
        expected: int,
        prompt_characters: int,
        prompt_tokens: int,
        output_tokens: int,
    ) -> None:
        """Take the tokens that a reply took for those that were expected; then comes `ended`."""
        self._replies += 1
        latest = 1 / min(self._replies, _AVERAGED)
        off = output_tokens - self._output
        self._output += latest * off
        # Of one reply alone nobody knows how far others are from it: as far as from none.
        self._output_variance += latest * (off * off - self._output_variance)
        if prompt_tokens and prompt_characters:
            found = prompt_tokens / prompt_characters
            self._per_character += latest * (found - self._per_character)
        if self.per_minute is None:
            return
        taken = prompt_tokens + output_tokens
        self._taken_sum += taken
        if self._replies == 1:  # the service may have counted it only now
            sent_at = now
            self._slot = now + self._seconds_of(taken)
        else:
            self._slot += self._seconds_of(taken - expected)
        heapq.heappush(self._taken, (sent_at, taken))

    def ended(self, expected: int) -> None:
        """Count a request that is over, however it ended."""
        self._open -= 1
        self._open_sum -= expected

    def _doubt(self) -> float:
        """How far all requests in flight together may be off: by chance, and by the average."""
        count = self._open + 1
        by_average = count * count / max(1, min(self._replies, _AVERAGED))
        return _DEVIATIONS * math.sqrt((count + by_average) * self._output_variance)

    def _seconds_of(self, tokens: float) -> float:
        return tokens * _MINUTE / ((self.per_minute or math.inf) * self._used_share)
