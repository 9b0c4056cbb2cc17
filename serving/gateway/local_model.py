"""The tuned model: asked over OpenAI's protocol, and its answer checked like anyone else's."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
from pydantic_core import from_json

from serving.gateway import checks
from serving.gateway.breakers import Breaker, Permit
from serving.gateway.capacity import BusyError, Slots, UsualTime
from serving.gateway.placeholders import hidden, restored
from serving.gateway.protocols.base import Ask, ModelAnswer
from serving.gateway.streams import EventSplitter
from serving.gateway.task import Message, ServedTask, turns_of
from serving.gateway.upstream import CONNECTION_ERRORS
from serving.settings import BreakerSettings, ModelServerSettings

# Engines differ by a control token or two in what they count; cutting takes away more.
_TOKEN_SLACK = 8
_INVISIBLE = "\u200b"  # splits a turn marker that a user typed, so that it stays text
_MAX_ERROR_BYTES = 4096
_MAX_WAIT_SECONDS = 1.0  # of the breaker
# Where a grammar forces a token that the model gives no probability, servers say -infinity, or the
# least float.
_LEAST_LOG = -100.0
_NO_ROOM = (429, 503)


class ModelFailedError(Exception):
    """The tuned model cannot answer, or its answer is not fit to be given.

    Attributes:
        retry_after_seconds: When it may be able to.
        was_asked: Whether it was asked at all: a server that is away, restarts or has no room says
            nothing about what the model would have answered.
    """

    def __init__(
        self, message: str, retry_after_seconds: int = 1, *, was_asked: bool = True
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.was_asked = was_asked


class _EngineError(ModelFailedError):
    """The model's server failed, which counts for its breaker."""


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
        self._session = session
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
        asked, _ = hidden(messages, self.task.privacy)
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
        messages, originals = hidden(messages, self.task.privacy)
        self.in_use += 1
        try:
            async with self.slots.slot(is_copy=is_copy):
                answer = restored(await self._in_time(ask, messages, permit), originals)
            permit.success()
        except BusyError as error:
            message, seconds = str(error), error.retry_after_seconds
            raise ModelFailedError(message, seconds, was_asked=False) from None
        except _EngineError as error:
            permit.failure(str(error))
            raise
        finally:
            permit.release()
            self.in_use -= 1
            self.last_used = time.monotonic()
        return answer

    def as_text(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Return the messages with turn markers that somebody typed made into plain text."""
        markers = [marker for marker in self.task.turn_markers if marker]
        if not any(marker in message.text for message in messages for marker in markers):
            return messages
        plain = []
        for role, text in messages:
            split = text
            for marker in markers:
                split = split.replace(marker, marker[0] + _INVISIBLE + marker[1:])
            plain.append(Message(role, split))
        return tuple(plain)

    async def _problem(
        self, ask: Ask, messages: tuple[Message, ...], answer: ModelAnswer
    ) -> str | None:
        counted = await asyncio.to_thread(self.task.count_tokens, self.as_text(messages))
        if answer.prompt_tokens < counted - _TOKEN_SLACK:
            return (
                f"the tuned model's server read {answer.prompt_tokens} of the prompt's {counted} "
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
                    return await self._once(ask, messages)
                except CONNECTION_ERRORS:
                    # The server may have restarted just now. Unlike the service, the tuned model
                    # may be asked twice.
                    return await self._once(ask, messages)
        except TimeoutError:
            raise _EngineError(
                f"the tuned model did not answer within {self._timeout_seconds:g} s"
            ) from None
        except CONNECTION_ERRORS as error:
            raise _EngineError(
                f"the tuned model's server cannot be reached ({type(error).__name__})",
                was_asked=not isinstance(error, aiohttp.ClientConnectorError),
            ) from None

    async def _once(self, ask: Ask, messages: tuple[Message, ...]) -> ModelAnswer:
        async with self._post(ask, messages) as chunks:
            return await _gather(chunks)

    @contextlib.asynccontextmanager
    async def _post(
        self, ask: Ask, messages: tuple[Message, ...]
    ) -> AsyncIterator[AsyncIterator[Any]]:
        task = self.task
        # Kept open, a connection holds one of llama.cpp's few threads, and is closed by it after
        # five seconds: a request that leaves in that moment would be lost.
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if key := task.api_key.get_secret_value():
            headers["Authorization"] = f"Bearer {key}"
        async with self._session().post(
            f"{task.base_url.rstrip('/')}/chat/completions",
            data=json.dumps(self._payload(ask, messages)).encode(),
            headers=headers,
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                text = (await response.content.read(_MAX_ERROR_BYTES)).decode(errors="replace")
                said = " ".join(text.split())[:200]
                message = f"the tuned model's server answered {response.status}: {said}"
                was_asked = response.status not in _NO_ROOM
                if response.status >= 500 or response.status == 404:
                    raise _EngineError(message, was_asked=was_asked)
                raise ModelFailedError(message, was_asked=was_asked)
            yield _chunks(response)

    def _payload(self, ask: Ask, messages: tuple[Message, ...]) -> dict[str, Any]:
        task = self.task
        payload: dict[str, Any] = {
            "model": task.api_model,
            "messages": [{"role": role, "content": text} for role, text in self.as_text(messages)],
            "max_tokens": min(
                ask.max_output_tokens or task.max_output_tokens, task.max_output_tokens
            ),
            # As it was evaluated, whatever the application asks of the service.
            "temperature": 0,
            # A server notices that nobody listens any more when it writes.
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if task.measures_confidence:
            payload["logprobs"] = True
        if ask.stop:
            payload["stop"] = list(ask.stop)
        if ask.schema is not None:
            payload["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": ask.schema, "strict": True},
            }
        return payload


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    events = EventSplitter()
    async for part in response.content.iter_any():
        for body in events.feed(part):
            with contextlib.suppress(ValueError):  # the mark of the end
                yield from_json(body)


async def _gather(chunks: AsyncIterator[Any]) -> ModelAnswer:
    pieces: list[str] = []
    logs: list[float] = []
    finish: str | None = None
    usage: dict[str, Any] = {}
    async for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        if chunk.get("error"):
            raise _EngineError("the tuned model's server sent an error inside its answer")
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or []:
            finish = choice.get("finish_reason") or finish
            if piece := (choice.get("delta") or {}).get("content"):
                pieces.append(piece)
            for token in (choice.get("logprobs") or {}).get("content") or []:
                logs.append(max(float(token["logprob"]), _LEAST_LOG))
    if finish is None:
        raise _EngineError("the tuned model's answer was cut off")
    return ModelAnswer(
        text="".join(pieces),
        pieces=tuple(pieces),
        is_cut=finish == "length",
        prompt_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or len(pieces),
        confidence=sum(logs) / len(logs) if logs else None,
    )
