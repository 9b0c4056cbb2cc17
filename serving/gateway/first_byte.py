"""How long to wait for a service's first byte before the tuned model starts in parallel."""

import math
from collections import OrderedDict, deque
from typing import Literal, NamedTuple

from serving.settings import FirstByteBounds

_SAMPLES = 200  # the latest healthy answers
_MIN_SAMPLES = 20
_QUANTILE = 0.99
_MARGIN = 2.0  # times the quantile
_RELEARN_EVERY = 10  # answers
_MAX_KINDS = 1024


class Kind(NamedTuple):
    """What answers of one speed have in common.

    Attributes:
        model: The model's name at the service.
        thinking: Its thinking setting as the request has it; empty where it says nothing.
        is_stream: Whether the answer is streamed: a whole answer's first byte comes at its end.
    """

    model: str
    thinking: str
    is_stream: bool


class _Learned:
    def __init__(self) -> None:
        self.samples: deque[float] = deque(maxlen=_SAMPLES)
        self.count = 0
        self.seconds: float | None = None


class FirstByteLimits:
    """The limit by kind of answer: fixed, or twice the 99th percentile of healthy answers.

    Args:
        seconds: The limit, or `auto` to learn it.
        bounds: Bounds of what is learned.
    """

    def __init__(self, seconds: float | Literal["auto"], bounds: FirstByteBounds) -> None:
        self._fixed = None if seconds == "auto" else float(seconds)
        self._bounds = bounds
        self._learned: OrderedDict[Kind, _Learned] = OrderedDict()

    def limit(
        self, kind: Kind, deadline_seconds: float | None = None, *, is_known_key: bool = True
    ) -> float:
        """Seconds to wait for the first byte.

        Args:
            kind: Of the answer.
            deadline_seconds: The caller's own deadline; half of it is left to the tuned model.
            is_known_key: Whether the service accepted the caller's key before. Else its refusal is
                waited for: with a deadline of no time anybody would get the tuned model's answers.
        """
        if self._fixed is not None:
            seconds = self._fixed
        else:
            learned = self._learned.get(kind)
            known = learned.seconds if learned else None
            seconds = self._bounds.unlearned_seconds if known is None else known
        if deadline_seconds is None:
            return seconds
        least = 0.0 if is_known_key else self._bounds.min_seconds
        return min(seconds, max(deadline_seconds / 2, least))

    @property
    def max_seconds(self) -> float:
        """Seconds after which a service that sent no byte is given up."""
        return max(self._fixed or 0.0, self._bounds.max_seconds)

    def record(self, kind: Kind, seconds: float) -> None:
        """Learn from a healthy answer.

        Args:
            kind: Of the answer.
            seconds: Until its first byte.
        """
        learned = self._of(kind)
        learned.samples.append(seconds)
        learned.count += 1
        is_due = learned.seconds is None or learned.count % _RELEARN_EVERY == 0
        if is_due and len(learned.samples) >= _MIN_SAMPLES:
            ordered = sorted(learned.samples)
            quantile = ordered[min(len(ordered) - 1, math.floor(_QUANTILE * len(ordered)))]
            learned.seconds = self._bounded(quantile)

    def record_late(self, kind: Kind, seconds: float) -> None:
        """Learn from a healthy answer that came after the limit: the limit is too short.

        Args:
            kind: Of the answer.
            seconds: Until its first byte.
        """
        learned = self._of(kind)
        learned.samples.append(seconds)
        learned.seconds = max(self._bounded(seconds), learned.seconds or 0.0)

    def _of(self, kind: Kind) -> _Learned:
        learned = self._learned.get(kind)
        if learned is None:
            learned = self._learned[kind] = _Learned()
            if len(self._learned) > _MAX_KINDS:
                self._learned.popitem(last=False)
        return learned

    def _bounded(self, seconds: float) -> float:
        bounds = self._bounds
        return min(max(_MARGIN * seconds, bounds.min_seconds), bounds.max_seconds)
