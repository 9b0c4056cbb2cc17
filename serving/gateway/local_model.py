"""The tuned model: its queue and its breaker, and its answers checked like anyone else's."""

import asyncio
import time
from collections.abc import Callable, Mapping

import aiohttp

from serving.gateway import checks
from serving.gateway.breaker import Breaker, Permit
from serving.gateway.capacity import BusyError, Slots, UsualTime
from serving.gateway.model_server import ModelFailedError, ModelServer, ModelServerError
from serving.gateway.placeholders import hidden, restored
from serving.gateway.protocols.base import Ask, ModelAnswer
from serving.gateway.task import Message, ServedTask, turns_of
from serving.gateway.threads import COUNTING, SEARCHING
from serving.gateway.upstream import CONNECTION_ERRORS
from serving.settings import BreakerSettings, ModelServerSettings

# Engines differ by a control token or two in what they count; cutting takes away more.
_TOKEN_SLACK = 8
_MAX_WAIT_SECONDS = 1.0  # of the breaker


class LocalModel:
    """One task's tuned model.

    Args:
        task: The task, with the server's address.
        session: The HTTP client.
        settings: Timeout and queue.
        breakers: When a server that fails is left alone.
        on_breaker: Called with the model when its breaker's state has changed.

    Attributes:
        task: The task.
        slots: The queue before it.
        breaker: Open while its server fails.
        last_used: When it last answered, monotonic seconds.
    """

    def __init__(
        self,
        task: ServedTask,
        session: Callable[[], aiohttp.ClientSession],
        settings: ModelServerSettings,
        breakers: BreakerSettings,
        on_breaker: "Callable[[LocalModel], None]" = lambda model: None,
    ) -> None:
        self.task = task
        self.slots = Slots(task.slots, settings.queue_length, settings.queue_seconds)
        # A probe costs nothing, and a restarted server is ready within seconds.
        wait = min(breakers.wait_seconds, _MAX_WAIT_SECONDS)
        quick = {"wait_seconds": wait, "max_wait_seconds": _MAX_WAIT_SECONDS}
        self.breaker = Breaker(
            breakers.model_copy(update=quick),
            breakers.failures_to_open,
            on_change=lambda _: on_breaker(self),
        )
        self.last_used = 0.0
        self.in_use = 0
        self._server = ModelServer(task, session)
        self._timeout_seconds = settings.timeout_seconds
        self._usual = UsualTime(settings.timeout_seconds)

    async def sample(self, text: str) -> ModelAnswer:
        """Answer a coverage prompt, checked as all answers are.

        Raises:
            ModelFailedError: The model cannot answer, or not well.
        """
        messages = turns_of(text)
        ask = Ask(model="", stream=None, system="", messages=messages)
        return await self.answer(ask, messages)

    async def answer(self, ask: Ask, messages: tuple[Message, ...]) -> ModelAnswer:
        """Answer a request.

        Args:
            ask: Its schema, limit of tokens and stops count.
            messages: What the model gets.

        Raises:
            ModelFailedError: The model cannot answer, or its answer is not fit to be given.
        """
        answer = await self.answer_unchecked(ask, messages)
        asked, _ = await self._hidden(messages)
        if problem := await self._problem(ask, asked, answer):
            raise ModelFailedError(problem)
        return answer

    async def answer_unchecked(
        self, ask: Ask, messages: tuple[Message, ...], *, is_copy: bool = False
    ) -> ModelAnswer:
        """Answer a request, fit to be given or not; see `answer`.

        Args:
            ask: See `answer`.
            messages: See `answer`.
            is_copy: See `Slots.slot`.

        Raises:
            ModelFailedError: The model cannot answer.
        """
        permit = self.breaker.permit()
        if permit is None:
            raise ModelFailedError(
                "the tuned model's server does not answer",
                max(1, round(self.breaker.seconds_left())),
                was_asked=False,
            )
        self.in_use += 1
        try:
            messages, originals = await self._hidden(messages)
            async with self.slots.slot(is_copy=is_copy):
                answer = restored(await self._in_time(ask, messages, permit), originals)
            permit.success()
        except BusyError as error:
            message, seconds = str(error), error.retry_after_seconds
            raise ModelFailedError(message, seconds, was_asked=False) from None
        except ModelServerError as error:
            permit.failure(str(error))
            raise
        finally:
            permit.release()
            self.in_use -= 1
            self.last_used = time.monotonic()
        return answer

    async def _hidden(
        self, messages: tuple[Message, ...]
    ) -> tuple[tuple[Message, ...], Mapping[str, str]]:
        """Return what `hidden` does; long numbers take it seconds, and nobody else waits."""
        if not self.task.privacy.redact:
            return messages, {}
        return await SEARCHING.run(hidden, messages, self.task.privacy)

    async def _problem(
        self, ask: Ask, messages: tuple[Message, ...], answer: ModelAnswer
    ) -> str | None:
        counted = await COUNTING.run(self.task.count_tokens, self._server.as_text(messages))
        read = counted if answer.prompt_tokens is None else answer.prompt_tokens
        if read < counted - _TOKEN_SLACK:
            return (
                f"the tuned model's server read {read} of the prompt's {counted} "
                "tokens; raise its context length"
            )
        if not answer.text.strip():
            return "the tuned model's answer is empty"
        if problem := checks.request_problem(ask, answer.text):
            return f"the tuned model's answer does not fit the request's schema: {problem}"
        if problem := checks.contract_problem(self.task, answer.text):
            return f"the tuned model's answer breaks the task's contract: {problem}"
        return None

    async def _in_time(
        self, ask: Ask, messages: tuple[Message, ...], permit: Permit
    ) -> ModelAnswer:
        """Ask the server; whoever gives it up later than it usually answers counts as a failure.

        A server that hangs would not be found out by callers that wait for less than its timeout.
        Those that wait for less than is usual say nothing about it.
        """
        started = time.monotonic()
        try:
            answer = await self._generate(ask, messages)
        except asyncio.CancelledError:
            seconds = time.monotonic() - started
            if seconds >= self._usual.limit_seconds:
                permit.failure(f"the tuned model did not answer within {seconds:.3g} s")
            raise
        self._usual.record(time.monotonic() - started)
        return answer

    async def _generate(self, ask: Ask, messages: tuple[Message, ...]) -> ModelAnswer:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                try:
                    return await self._server.ask(ask, messages)
                except CONNECTION_ERRORS:
                    # The server may have restarted just now. Unlike the service, the tuned model
                    # may be asked twice.
                    return await self._server.ask(ask, messages)
        except TimeoutError:
            raise ModelServerError(
                f"the tuned model did not answer within {self._timeout_seconds:g} s"
            ) from None
        except CONNECTION_ERRORS as error:
            raise ModelServerError(
                f"the tuned model's server cannot be reached ({type(error).__name__})",
                was_asked=not isinstance(error, aiohttp.ClientConnectorError),
            ) from None
