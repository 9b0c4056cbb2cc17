"""Repeats calls that have no limiter, while the service fails: those about batch jobs."""

from collections.abc import Callable
from typing import TypeVar

from core.progress import progress
from service_llm.errors import TransientError
from service_llm.pacing.patience import LONGEST_ASKED_SECONDS
from service_llm.settings import ServiceLLMSettings

_T = TypeVar("_T")
_LONGEST_RETRY_SECONDS = 60.0


class Persistence:
    """Calls a service until it answers.

    Args:
        settings: How long that may take.
        wait: Called between two calls, with seconds.
    """

    def __init__(self, settings: ServiceLLMSettings, wait: Callable[[float], None]) -> None:
        self._settings = settings
        self._wait = wait
        self._has_answered = False

    def call(self, function: Callable[[], _T]) -> _T:
        """Return what a function returns, called again while it raises TransientError.

        Raises:
            ServiceLLMError: The service has not answered for `give_up_after_seconds`, no
                connection has ever come about, or it asks for a pause that is too long.
        """
        settings = self._settings
        failures, waited = 0, 0.0
        while True:
            try:
                result = function()
            except TransientError as error:
                failures += 1
                if (error.wait_seconds or 0.0) > LONGEST_ASKED_SECONDS:
                    raise error.final(failures) from error
                is_never_reached = error.is_unreachable and not self._has_answered
                if waited >= settings.give_up_after_seconds or (
                    is_never_reached and failures >= settings.max_attempts
                ):
                    raise error.final(failures, waited) from error
                doubled = min(settings.retry_seconds * 2 ** (failures - 1), _LONGEST_RETRY_SECONDS)
                seconds = max(doubled, error.wait_seconds or 0.0)
                progress.info(
                    "%s; no answer for %.0f s, trying again in %.0f s, until %.0f s have passed",
                    *(error, waited, seconds, settings.give_up_after_seconds),
                )
                self._wait(seconds)
                waited += seconds
            else:
                self._has_answered = True
                return result
