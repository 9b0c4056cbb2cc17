"""OpenAI's protocol for chat completions.

Reference:
    https://platform.openai.com/docs/api-reference/chat
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_chunk import Choice as ChunkChoice
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from core.conversation import joined_parts
from serving.gateway.protocols.base import (
    Ask,
    ModelAnswer,
    Reading,
    Route,
    StreamForm,
    UnreadableError,
    token_limit,
)
from serving.gateway.task import Message

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_DONE = b"data: [DONE]\n\n"


class OpenAI:
    """The protocol of OpenAI's chat completions."""

    name = "openai"

    def read_request(self, body: Mapping[str, Any], route: Route) -> Ask:
        """Return what a request asks for; see `Dialect`."""
        try:
            return _read_request(body)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnreadableError(type(error).__name__) from error

    def read_answer(self, reading: Reading, body: Any) -> None:
        """Add a completion or a chunk; see `Dialect`."""
        if isinstance(body, list) and body:
            body = body[-1]
        if not isinstance(body, dict):
            return
        reading.has_body = True
        if body.get("error"):
            reading.error = body
        reading.add_version(body.get("model"))
        usage = body.get("usage")
        if isinstance(usage, dict):
            reading.add_usage(usage.get("prompt_tokens"), usage.get("completion_tokens"))
        choices = body.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            _read_choice(reading, choices[0])

    def write_answer(self, ask: Ask, answer: ModelAnswer, version: str) -> bytes:
        """Return a chat completion; see `Dialect`."""
        message = ChatCompletionMessage(role="assistant", content=answer.text)
        return _json(
            ChatCompletion(
                id=_id(),
                choices=[Choice(index=0, message=message, finish_reason=_finish(answer))],
                created=int(time.time()),
                model=version,
                object="chat.completion",
                usage=_usage(answer),
            )
        )

    def write_stream(self, ask: Ask, answer: ModelAnswer, version: str) -> Iterator[bytes]:
        """Chunks as events; see `Dialect`."""
        name, created = _id(), int(time.time())

        def event(choices: list[ChunkChoice], usage: CompletionUsage | None = None) -> bytes:
            chunk = ChatCompletionChunk(
                id=name,
                choices=choices,
                created=created,
                model=version,
                object="chat.completion.chunk",
                usage=usage,
            )
            return b"data: " + _json(chunk) + b"\n\n"

        deltas = [ChoiceDelta(content=piece) for piece in answer.pieces or (answer.text,)]
        for delta in (ChoiceDelta(role="assistant", content=""), *deltas):
            yield event([ChunkChoice(index=0, delta=delta, finish_reason=None)])
        yield event([ChunkChoice(index=0, delta=ChoiceDelta(), finish_reason=_finish(answer))])
        if ask.has_usage:
            yield event([], _usage(answer))
        yield _DONE

    def write_error(
        self, status: int, message: str, retry_after_seconds: float | None = None
    ) -> bytes:
        """Return an error in OpenAI's form; see `Dialect`."""
        return json.dumps(_error(status, message)).encode()

    def write_stream_error(self, form: StreamForm, message: str, *, is_first: bool) -> bytes:
        """Return an error as the last event, without the mark of the end; see `Dialect`."""
        return b"data: " + json.dumps(_error(503, message)).encode() + b"\n\n"


def _read_request(body: Mapping[str, Any]) -> Ask:
    systems: list[str] = []
    messages: list[Message] = []
    beyond = ""
    for message in body["messages"]:
        role = message["role"]
        text, problem = _text_of(message.get("content"), role)
        is_call = message.get("tool_calls") or message.get("function_call")
        if role in ("tool", "function") or is_call:
            problem = "tools"
        beyond = beyond or problem
        if role in ("system", "developer"):
            systems.append(text)
        else:
            messages.append(Message("assistant" if role == "assistant" else "user", text))
    wants_json, schema, unreadable = _format(body.get("response_format"))
    stop = body.get("stop") or ()
    return Ask(
        model=str(body.get("model") or ""),
        stream=StreamForm.SSE if body.get("stream") else None,
        system="\n\n".join(systems),
        messages=tuple(messages),
        beyond=beyond or _beyond(body) or unreadable,
        wants_json=wants_json,
        schema=schema,
        max_output_tokens=token_limit(body.get("max_completion_tokens") or body.get("max_tokens")),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        thinking=_thinking(body),
        has_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        user=str(body.get("user") or body.get("safety_identifier") or ""),
    )


def _text_of(content: Any, role: str) -> tuple[str, str]:
    """Return the text of a message, and why it is no text alone."""
    if content is None or isinstance(content, str):
        return content or "", ""
    texts: list[str] = []
    for part in content:
        kind = part.get("type")
        if kind != "text":
            return "", "file_uri" if kind == "file" else "images"
        texts.append(part["text"])
    return joined_parts(texts, role), ""


def _beyond(body: Mapping[str, Any]) -> str:
    if body.get("tools") or body.get("functions") or body.get("web_search_options") is not None:
        return "tools"
    if (body.get("n") or 1) > 1:
        return "candidates"
    if any(modality != "text" for modality in body.get("modalities") or ()):
        return "modalities"
    if _of_google(body).get("cached_content"):
        return "cached_content"
    return "logprobs" if body.get("logprobs") else ""


def _of_google(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what only Gemini's own endpoint for this protocol reads."""
    return (body.get("extra_body") or {}).get("google") or {}


def _thinking(body: Mapping[str, Any]) -> str:
    effort = str(body.get("reasoning_effort") or "")
    config = _of_google(body).get("thinking_config")
    return effort + json.dumps(config, sort_keys=True) if config else effort


def _format(value: Any) -> tuple[bool, Mapping[str, Any] | None, str]:
    """Whether JSON is asked for, its JSON Schema, and why that cannot be used."""
    kind = (value or {}).get("type", "text")
    if kind == "json_schema":
        schema = value["json_schema"].get("schema")
        return True, schema, "" if isinstance(schema, dict) else "schema"
    return kind == "json_object", None, "" if kind in ("text", "json_object") else "schema"


def _read_choice(reading: Reading, choice: Mapping[str, Any]) -> None:
    reading.has_candidate = True
    # Gemini's endpoint for this protocol has been seen to write its own name
    # (jakobdylanc/llmcord#84).
    finish = choice.get("finish_reason") or choice.get("finishReason")
    if isinstance(finish, str):
        reading.finish = finish
        reading.is_cut = finish == "length"
        reading.is_refused = reading.is_refused or finish.startswith("content_filter")
    message = choice.get("message") or choice.get("delta")
    if not isinstance(message, dict):
        return
    if isinstance(message.get("content"), str):
        reading.add_text(message["content"])
    if message.get("refusal"):
        reading.is_refused = True
    if message.get("tool_calls") or message.get("function_call") or message.get("audio"):
        reading.has_more = True


def _finish(answer: ModelAnswer) -> Literal["length", "stop"]:
    return "length" if answer.is_cut else "stop"


def _id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


def _usage(answer: ModelAnswer) -> CompletionUsage:
    prompt_tokens = answer.prompt_tokens or 0
    return CompletionUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=answer.output_tokens,
        total_tokens=prompt_tokens + answer.output_tokens,
    )


def _json(body: ChatCompletion | ChatCompletionChunk) -> bytes:
    return body.model_dump_json(exclude_unset=True).encode()


def _error(status: int, message: str) -> dict[str, Any]:
    kind = _TYPES.get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": str(status)}}
