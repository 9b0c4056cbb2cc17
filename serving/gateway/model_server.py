"""Asks the server of a tuned model, over OpenAI's protocol."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
from pydantic_core import from_json

from service_llm.providers.replies import openai_tokens
from serving.gateway.protocols.base import Ask, ModelAnswer
from serving.gateway.streams import EventSplitter
from serving.gateway.task import Message, ServedTask

_Format = Callable[[object], dict[str, Any]]  # of a schema, as `response_format`

_INVISIBLE = "\u200b"  # splits a turn marker that a user typed, so that it stays text
_MAX_ERROR_BYTES = 4096
# Where a grammar forces a token that the model gives no probability, servers say -infinity, or the
# least float.
_MIN_LOG = -100.0
_NO_ROOM = (429, 503)
_UNREADABLE, _FORMAT = 422, "response_format"  # TGI names the field that it cannot read
_LONGEST_SAID = 200  # characters of a server's message
_TGI_NO_ROOM, _TGI_REFUSES = "Model is overloaded", "Input validation error"


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


class ModelServerError(ModelFailedError):
    """The model's server failed, which counts for its breaker."""


class _UnreadableRequestError(ModelFailedError):
    """The model's server cannot read the request."""


def _openai_format(schema: object) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


def _tgi_format(schema: object) -> dict[str, Any]:
    """Return a schema as TGI alone wants it: it has `value` where OpenAI has `json_schema`.

    Reference:
        `GrammarType` of
        https://github.com/huggingface/text-generation-inference/blob/main/router/src/lib.rs
    """
    return {"type": "json", "value": schema}


class ModelServer:
    """The server of one task's tuned model.

    Args:
        task: The task, with the server's address.
        session: The HTTP client.
    """

    def __init__(self, task: ServedTask, session: Callable[[], aiohttp.ClientSession]) -> None:
        self._task = task
        self._session = session
        self._format: _Format = _openai_format

    async def ask(self, ask: Ask, messages: tuple[Message, ...]) -> ModelAnswer:
        """Ask once; twice where the server cannot read how a schema is written.

        Args:
            ask: Its schema, limit of tokens and stops count.
            messages: What the model gets.

        Raises:
            ModelFailedError: The server does not answer this request.
            ModelServerError: The server fails.
            aiohttp.ClientError: It cannot be reached, like all `CONNECTION_ERRORS`.
        """
        try:
            return await self._ask(ask, messages, self._format)
        except _UnreadableRequestError:
            if ask.schema is None:
                raise
        other = _tgi_format if self._format is _openai_format else _openai_format
        answer = await self._ask(ask, messages, other)
        self._format = other
        return answer

    async def _ask(
        self, ask: Ask, messages: tuple[Message, ...], write_schema: _Format
    ) -> ModelAnswer:
        async with self._post(self._payload(ask, messages, write_schema)) as chunks:
            try:
                return await _gather(chunks)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                message = f"the tuned model's answer cannot be read ({type(error).__name__})"
                raise ModelServerError(message) from None

    @contextlib.asynccontextmanager
    async def _post(self, payload: dict[str, Any]) -> AsyncIterator[AsyncIterator[Any]]:
        task = self._task
        # Kept open, a connection holds one of llama.cpp's few threads, and is closed by it after
        # five seconds: a request that leaves in that moment would be lost.
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if key := task.api_key.get_secret_value():
            headers["Authorization"] = f"Bearer {key}"
        async with self._session().post(
            f"{task.base_url.rstrip('/')}/chat/completions",
            data=json.dumps(payload).encode(),
            headers=headers,
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                text = (await response.content.read(_MAX_ERROR_BYTES)).decode(errors="replace")
                said = " ".join(text.split())[:_LONGEST_SAID]
                message = f"the tuned model's server answered {response.status}: {said}"
                was_asked = response.status not in _NO_ROOM
                if response.status >= 500 or response.status == 404:
                    raise ModelServerError(message, was_asked=was_asked)
                is_unreadable = response.status == _UNREADABLE and _FORMAT in text
                kind = _UnreadableRequestError if is_unreadable else ModelFailedError
                raise kind(message, was_asked=was_asked)
            yield _chunks(response)

    def _payload(
        self, ask: Ask, messages: tuple[Message, ...], write_schema: _Format
    ) -> dict[str, Any]:
        task = self._task
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
            payload["response_format"] = write_schema(ask.schema)
        return payload

    def as_text(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Return the messages with turn markers that somebody typed made into plain text."""
        markers = [marker for marker in self._task.turn_markers if marker]
        if not any(marker in message.text for message in messages for marker in markers):
            return messages
        plain = []
        for role, text in messages:
            split = text
            for marker in markers:
                split = split.replace(marker, marker[0] + _INVISIBLE + marker[1:])
            plain.append(Message(role, split))
        return tuple(plain)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    events = EventSplitter()
    async for part in response.content.iter_any():
        for body in events.feed(part):
            with contextlib.suppress(ValueError):  # the mark of the end
                yield from_json(body)


def _error_inside(error: object) -> ModelFailedError:
    """Return what an error inside a 200 means.

    TGI has no other one: a stream begins before the prompt was read, or there was room for it.

    Reference:
        `InferError` of
        https://github.com/huggingface/text-generation-inference/blob/main/router/src/infer/mod.rs
    """
    said = " ".join(str(error.get("message") if isinstance(error, dict) else error).split())
    message = f"the tuned model's server sent an error inside its answer: {said[:_LONGEST_SAID]}"
    if said == _TGI_NO_ROOM:
        return ModelFailedError(message, was_asked=False)
    kind = ModelFailedError if said.startswith(_TGI_REFUSES) else ModelServerError
    return kind(message)


async def _gather(chunks: AsyncIterator[Any]) -> ModelAnswer:
    pieces: list[str] = []
    logs: list[float] = []
    finish: str | None = None
    usage: object = None
    async for chunk in chunks:
        if not isinstance(chunk, dict):
            continue
        if error := chunk.get("error"):
            raise _error_inside(error)
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or []:
            finish = choice.get("finish_reason") or finish
            if piece := (choice.get("delta") or {}).get("content"):
                pieces.append(piece)
            for token in (choice.get("logprobs") or {}).get("content") or []:
                logs.append(max(float(token["logprob"]), _MIN_LOG))
    if finish is None:
        raise ModelServerError("the tuned model's answer was cut off")
    prompt = openai_tokens(usage, has_output=False)
    return ModelAnswer(
        text="".join(pieces),
        pieces=tuple(pieces),
        is_cut=finish == "length",
        prompt_tokens=prompt.prompt if prompt.is_known else None,
        output_tokens=openai_tokens(usage).output or len(pieces),
        confidence=sum(logs) / len(logs) if logs else None,
    )
