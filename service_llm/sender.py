"""Gets one reply at a time: paced by the project's limiter, retried, and stopped on request."""

import asyncio
import contextlib
import dataclasses
import logging
import math
from collections.abc import Callable
from typing import Any

from core.interruption import interruption
from core.progress import progress
from service_llm.errors import (
    KEPT,
    AuthenticationError,
    BadRequestError,
    NotAcceptedError,
    RejectedError,
    TransientError,
)
from service_llm.pacing.limiter import Limiter
from service_llm.pacing.patience import Patience, Trouble
from service_llm.providers.registry import open_provider
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Reply, Request

# Refusals in a row: more than these, and than this share of what was answered, are no matter of
# single requests. While none was answered yet, that many end the run.
_MAX_REJECTED, _MAX_REJECTED_SHARE = 10, 0.2
_MAX_FORBIDDEN = 5  # a filter's word for one prompt, or a key's that is not allowed in any longer
_CROWDED_SECONDS = 1.0  # until a place that another user of the limiter freed is noticed
_LOG = logging.getLogger(__name__)


class Sender:
    """Sends requests of one event loop.

    Args:
        settings: The service LLM.
        limiter: The pace of its project.
        before_request: Called before each request; raises where nothing more may be spent.
        has_kind: Whether a request that differs in its texts alone was ever answered.
    """

    def __init__(
        self,
        settings: ServiceLLMSettings,
        limiter: Limiter,
        before_request: Callable[[], object],
        has_kind: Callable[[Request], bool] = lambda request: False,
    ) -> None:
        self._settings = settings
        self._limiter = limiter
        self._before_request = before_request
        self._has_kind = has_kind
        self.patience = Patience(
            model=settings.model,
            max_attempts=settings.max_attempts,
            give_up_after_seconds=settings.give_up_after_seconds,
            retry_seconds=settings.retry_seconds,
            clock=limiter.now,
        )
        self._provider: Any = None
        self._answered_schemas: set[type] = set()
        self._rejected_in_a_row = 0
        self._rejected_at_the_start = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()
        self._stop = asyncio.Event()

    async def send(
        self,
        request: Request,
        permitted: Callable[[], None],
        stuck: Callable[[], None] = lambda: None,
    ) -> Reply:
        """One reply, however many times the request has to be sent for it.

        Args:
            request: The request.
            permitted: Called once, when it is sent for the first time.
            stuck: Called whenever it failed while nothing has been answered yet.

        Raises:
            RejectedError: The service answers others, and not this one.
            ServiceLLMError: Sending it again would not help, or has not.
            asyncio.CancelledError: `stop` was called, or Ctrl-C pressed, before it was sent.
        """
        trouble = Trouble(successes=self.patience.successes)
        is_first = True
        while True:
            expected = self._expected_tokens(request)
            await self._permit(expected)
            if is_first:
                permitted()
            is_first = False
            sent_at = self._limiter.now()
            try:
                reply = await self._permitted(request, expected, sent_at)
            except NotAcceptedError as error:
                if not self._is_about_one_request(request, error):
                    raise
                raise RejectedError(error.reason) from error
            except RejectedError as error:
                self._raise_if_all_are_rejected(request, error)
                raise
            except TransientError as error:
                if error.is_adapted:
                    continue
                if error.may_be_the_request and not self._limiter.successes:
                    self._limiter.let_a_second_show()
                    stuck()
                wait = self.patience.seconds_after(trouble, error)
                await self._back_off(error, sent_at, wait)
            else:
                self.patience.answered()
                self._answered_schemas.add(request.schema)
                self._rejected_in_a_row = 0
                return reply

    def stop(self) -> None:
        """Send nothing more until `go_on`; what is in flight is finished."""
        self._stop.set()

    def go_on(self) -> None:
        """Send again."""
        self._stop.clear()

    async def close(self) -> None:
        """Close the connections."""
        if self._provider is not None:
            await self._provider.close()

    def known(self, request: Request) -> None:
        """Note a reply of an earlier run."""
        self.patience.known()
        self._answered_schemas.add(request.schema)

    def _is_about_one_request(self, request: Request, error: NotAcceptedError) -> bool:
        """Whether a refusal is about a prompt: others of its kind were answered.

        Services have too many words for it to know them all. A refusal that all requests get ends
        the run with its own words.
        """
        answered = request.schema in self._answered_schemas or self._has_kind(request)
        if not (error.reason and answered):
            return False
        self._rejected_in_a_row += 1
        if isinstance(error, AuthenticationError):  # in words that name neither key nor account
            return self._rejected_in_a_row <= _MAX_FORBIDDEN
        most = max(_MAX_REJECTED, _MAX_REJECTED_SHARE * self.patience.answers)
        return self._rejected_in_a_row <= most

    def _raise_if_all_are_rejected(self, request: Request, error: RejectedError) -> None:
        """End a run that has seen refusals alone, as of a server whose context is too short."""
        if self._answered_schemas or self._has_kind(request):
            return
        self._rejected_at_the_start += 1
        if self._rejected_at_the_start >= _MAX_REJECTED:
            raise BadRequestError(
                f"{error} The first {self._rejected_at_the_start} requests were all refused. Check "
                f"the model and the settings of the service LLM. {KEPT}"
            ) from error

    async def _permitted(self, request: Request, expected_tokens: int, sent_at: float) -> Reply:
        """One attempt; says what became of it to the limiter."""
        seconds = self._settings.timeout_seconds
        try:
            if self._provider is None:
                self._provider = open_provider(self._settings)
            async with asyncio.timeout(seconds):
                started = self._limiter.now()  # without the start of the provider's client
                reply: Reply = await self._provider.send(request)
                taken = round(self._limiter.now() - started, 4)
            reply = dataclasses.replace(reply, seconds=taken)
        except TimeoutError as error:
            self._limiter.overloaded()
            message = f"{self._settings.model} did not answer within {seconds:g} s."
            raise TransientError(message) from error
        except TransientError as error:
            if not (error.is_quota or error.is_adapted):
                self._limiter.overloaded(is_outage=error.is_overload or error.is_unreachable)
            raise
        else:
            self._limiter.succeeded(
                sent_at=sent_at,
                expected_tokens=expected_tokens,
                prompt_characters=_characters(request),
                prompt_tokens=reply.prompt_tokens,
                output_tokens=reply.output_tokens,
            )
            if self._settings.log_prompts:
                said = (request.system, request.prompt, reply.finish.value, reply.text)
                _LOG.info("%s\n%s\nReply (%s): %s", *said)
            return reply
        finally:
            self._limiter.ended(expected_tokens)
            self._freed.set()

    def _expected_tokens(self, request: Request) -> int:
        most = self._settings.output_token_limit(request.max_output_tokens)
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

    async def _back_off(self, error: TransientError, sent_at: float, wait: float) -> None:
        if error.is_quota:
            before = self._limiter.requests_per_minute
            self._limiter.quota_exceeded(sent_at, error.wait_seconds)
            if (rate := self._limiter.requests_per_minute) < before:
                progress.info("the quota is exceeded; slower now: %.0f requests a minute", rate)
            return  # the next permit comes after the pause
        await self._wait(self._stop, wait)
        self._raise_if_stopped()

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)

    def _raise_if_stopped(self) -> None:
        if self._stop.is_set() or interruption.is_requested:
            raise asyncio.CancelledError


def _characters(request: Request) -> int:
    return len(request.prompt) + len(request.system)
