"""Tells an outage of the service from a request that it will never answer."""

import dataclasses
import random
from collections.abc import Callable

from core.progress import progress
from service_llm.errors import RejectedError, TransientError

_LONGEST_RETRY_SECONDS = 60.0
LONGEST_ASKED_SECONDS = 600.0  # a service that wants a longer pause ends the run
_REPORT_SECONDS = 15.0  # between two messages about the same outage
# Requests that may fail for good at the end of a run, when nothing else is left that could show
# whether the service answers: these, or this share of what was answered, and no more than that.
_FEW, _FEW_SHARE = 5, 0.05


@dataclasses.dataclass(eq=False)
class Trouble:
    """What has become of one request so far.

    Attributes:
        failures: Times it failed; for a quota, since others were last seen to fare better.
        alone: Times it failed while others were answered.
        is_silent: Whether none was answered between its last two failures: an outage may be on.
        since: When it failed first, by the limiter's clock.
        successes: Replies to all requests, when it failed last.
    """

    failures: int = 0
    alone: int = 0
    is_silent: bool = False
    since: float | None = None
    successes: int = 0


class Patience:
    """How long is waited for a service, and when a request is given up.

    While other requests are answered, one that fails `max_attempts` times is rejected with its
    reason: a server's error for one prompt must not end a run. While none is answered it may be an
    outage, so all are sent again until `give_up_after_seconds` have passed without a reply. Where
    no more than a few are left then, they are rejected, too.

    Args:
        model: The model, for messages.
        max_attempts: Times a request may fail while others are answered.
        give_up_after_seconds: Seconds without a reply.
        retry_seconds: Before the first retry; doubled at each further one.
        clock: The limiter's.
    """

    def __init__(
        self,
        *,
        model: str,
        max_attempts: int,
        give_up_after_seconds: float,
        retry_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._model = model
        self._max_attempts = max_attempts
        self._give_up_after_seconds = give_up_after_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._successes = 0
        self._known = 0
        self._failing: set[Trouble] = set()  # requests that failed since the last reply
        self._silent_since: float | None = None
        self._reported_at = 0.0

    @property
    def successes(self) -> int:
        """Replies so far."""
        return self._successes

    @property
    def answers(self) -> int:
        """Replies so far, those of earlier runs included."""
        return self._successes + self._known

    def known(self) -> None:
        """Note a reply of an earlier run: the service has answered such requests before."""
        self._known += 1

    def answered(self) -> None:
        """Note a reply."""
        if self._silent_since is not None and self._reported_at > self._silent_since:
            progress.info("%s answers again", self._model)
        self._successes += 1
        self._silent_since = None
        self._failing.clear()

    def seconds_after(self, trouble: Trouble, error: TransientError) -> float:
        """Seconds to wait before a request is sent again.

        Args:
            trouble: The request's, which this counts the failure in.
            error: How it failed.

        Raises:
            RejectedError: This request is given up.
            ServiceLLMError: The service is.
        """
        now = self._clock()
        others_answered = self._successes > trouble.successes
        trouble.successes = self._successes
        if error.is_quota and others_answered:  # the quota lets replies through: it takes waiting
            trouble.failures, trouble.since = 0, None
        trouble.failures += 1
        if others_answered or trouble.failures == 1:
            # The first failure after an outage may be the outage's last.
            trouble.alone = 1 if trouble.is_silent else trouble.alone + 1
        trouble.is_silent = trouble.failures > 1 and not others_answered
        trouble.since = now if trouble.since is None else trouble.since
        self._failing.add(trouble)
        if self._silent_since is None:
            self._silent_since = now
        silent = now - self._silent_since
        asked = error.wait_seconds or 0.0
        if asked > LONGEST_ASKED_SECONDS:
            raise error.final(trouble.failures)
        if self._is_never_reached(trouble, error):
            raise error.final(trouble.failures, silent)
        lasts = now - (trouble.since or now) >= self._give_up_after_seconds
        if others_answered and self._blames_request(trouble, error, lasts=lasts):
            raise RejectedError(str(error)) from error
        if silent >= self._give_up_after_seconds:
            if error.is_away or not self._are_few_failing():
                raise error.final(trouble.failures, silent) from error
            if lasts or trouble.failures >= self._max_attempts:
                raise RejectedError(str(error)) from error
        self._report(error, now, silent)
        doubled = self._retry_seconds * 2 ** min(trouble.failures - 1, 30)
        return max(min(doubled, _LONGEST_RETRY_SECONDS), asked) * random.uniform(1.0, 1.5)

    def _is_never_reached(self, trouble: Trouble, error: TransientError) -> bool:
        """Whether no connection has ever come about: the address is wrong, it is no outage."""
        was_reached = self._successes if error.is_away else self.answers
        return error.is_unreachable and not was_reached and trouble.failures >= self._max_attempts

    def _blames_request(self, trouble: Trouble, error: TransientError, *, lasts: bool) -> bool:
        """Whether a request is given up that fails while others are answered."""
        is_alone = error.may_be_the_request and trouble.alone >= self._max_attempts
        return is_alone or (lasts and not error.is_away)

    def _are_few_failing(self) -> bool:
        """Whether what fails may be requests and not the service, although none is answered.

        In an outage in the middle of a run, those that are sent next make them many.
        """
        few = max(_FEW, _FEW_SHARE * self.answers)
        return len(self._failing) <= min(few, self.answers)

    def _report(self, error: TransientError, now: float, silent: float) -> None:
        if silent >= _REPORT_SECONDS and now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            progress.info(
                "no reply for %.0f s (%s); trying until %.0f s",
                *(silent, error, self._give_up_after_seconds),
            )
