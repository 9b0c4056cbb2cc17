"""Gets one reply at a time: paced by the project's limiter, retried, and stopped on request."""

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable
from typing import Any

from components.service_llm.errors import TransientError
from components.service_llm.limiter import Limiter
from components.service_llm.provider import open_provider
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Reply, Request

_LONGEST_RETRY_SECONDS = 60.0
_LONGEST_ASKED_SECONDS = 600.0  # a service that wants a longer pause ends the run
_CROWDED_SECONDS = 1.0  # until a place that another user of the limiter freed is noticed
_LOG = logging.getLogger(__name__)
_progress = logging.getLogger("understudy.progress")


class Sender:
    """Sends requests of one event loop.

    Args:
        settings: The service LLM.
        limiter: The pace of its project.
        before_request: Called before each request; raises where nothing more may be spent.
    """

    def __init__(
        self, settings: ServiceLLMSettings, limiter: Limiter, before_request: Callable[[], object]
    ) -> None:
        self._settings = settings
        self._limiter = limiter
        self._before_request = before_request
        self._provider: Any = None
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()
        self._stop = asyncio.Event()

    async def send(self, request: Request, permitted: Callable[[], None]) -> Reply:
        """One reply, however many times the request has to be sent for it.

        Args:
            request: The request.
            permitted: Called once, when it is sent for the first time.

        Raises:
            ServiceLLMError: Sending it again would not help, or has not.
            asyncio.CancelledError: `stop` was called before it was sent.
        """
        failures = 0
        while True:
            expected = self._expected_tokens(request)
            await self._permit(expected)
            if failures == 0:
                permitted()
            sent_at, successes = self._limiter.now(), self._limiter.successes
            try:
                return await self._permitted(request, expected, sent_at)
            except TransientError as error:
                if error.is_quota and self._limiter.successes > successes:
                    failures = 0  # the quota lets replies through: it is only a matter of waiting
                failures += 1
                asked = error.wait_seconds or 0.0
                if failures >= self._settings.max_attempts or asked > _LONGEST_ASKED_SECONDS:
                    raise error.final(failures) from error
                await self._back_off(error, failures, sent_at)

    def stop(self) -> None:
        """Send nothing more until `go_on`; what is under way comes to its end."""
        self._stop.set()

    def go_on(self) -> None:
        """Send again."""
        self._stop.clear()

    async def close(self) -> None:
        """Close the connections."""
        if self._provider is not None:
            await self._provider.close()

    async def _permitted(self, request: Request, expected_tokens: int, sent_at: float) -> Reply:
        """One attempt; says what became of it to the limiter."""
        seconds = self._settings.timeout_seconds
        try:
            if self._provider is None:
                self._provider = open_provider(self._settings)
            async with asyncio.timeout(seconds):
                reply: Reply = await self._provider.send(request)
        except (TransientError, TimeoutError) as error:
            if not (isinstance(error, TransientError) and error.is_quota):
                self._limiter.overloaded()
            if isinstance(error, TransientError):
                raise
            message = f"{self._settings.model} did not answer within {seconds:g} s."
            raise TransientError(message, is_unreachable=True) from error
        else:
            self._limiter.succeeded(
                sent_at=sent_at,
                expected_tokens=expected_tokens,
                prompt_characters=_characters(request),
                prompt_tokens=reply.prompt_tokens,
                output_tokens=reply.output_tokens,
            )
            if self._settings.log_prompts:
                _LOG.info("%s\n%s\nReply (%s): %s", request.system, request.prompt, *_told(reply))
            return reply
        finally:
            self._limiter.ended(expected_tokens)
            self._freed.set()

    def _expected_tokens(self, request: Request) -> int:
        most = self._settings.most_output_tokens(request.max_output_tokens)
        return self._limiter.expected_tokens(_characters(request), most)

    async def _permit(self, expected_tokens: int) -> None:
        async with self._turn:  # in order, and only one waits for the clock
            while True:
                self._raise_if_stopped()
                self._before_request()
                self._freed.clear()
                wait = self._limiter.try_acquire(expected_tokens)
                if wait == 0:
                    return
                if math.isinf(wait):
                    await self._wait(self._freed, _CROWDED_SECONDS)
                else:
                    await self._wait(self._stop, wait)

    async def _back_off(self, error: TransientError, failures: int, sent_at: float) -> None:
        if error.is_quota:
            before = self._limiter.requests_per_minute
            self._limiter.quota_exceeded(sent_at, error.wait_seconds)
            if (rate := self._limiter.requests_per_minute) < before:
                _progress.info("the quota is exceeded; slower now: %.0f requests a minute", rate)
            return  # the next permit comes after the pause
        doubled = self._settings.retry_seconds * 2 ** (failures - 1)
        wait = max(min(doubled, _LONGEST_RETRY_SECONDS), error.wait_seconds or 0.0)
        await self._wait(self._stop, wait * random.uniform(1.0, 1.5))
        self._raise_if_stopped()

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)

    def _raise_if_stopped(self) -> None:
        if self._stop.is_set():
            raise asyncio.CancelledError


def _characters(request: Request) -> int:
    return len(request.prompt) + len(request.system)


def _told(reply: Reply) -> tuple[str, str]:
    return reply.finish.value, reply.text
