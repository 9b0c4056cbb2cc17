"""Gemini's protocol, of Google AI Studio and of Vertex AI.

References:
    https://ai.google.dev/api/generate-content and
    https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from google.genai import types

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

# The finish reasons and block reasons that are a refusal.
_REFUSALS = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)
# https://cloud.google.com/apis/design/errors#error_codes
_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_UNSPECIFIED, _FINISHED = "FINISH_REASON_UNSPECIFIED", "STOP"


class Gemini:
    """The Gemini protocol.

    Args:
        name: `gemini` or `vertex`; they differ in their paths only.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def read_request(self, body: Mapping[str, Any], route: Route) -> Ask:
        """Return what a request asks for; see `Dialect`."""
        try:
            return _read_request(body, route)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnreadableError(type(error).__name__) from error

    def read_answer(self, reading: Reading, body: Any) -> None:
        """Add a response; see `Dialect`."""
        if isinstance(body, list):
            for part in body:
                self.read_answer(reading, part)
            return
        if not isinstance(body, dict):
            return
        reading.has_body = True
        if body.get("error"):
            reading.error = body
        feedback = body.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason"):
            reading.is_refused = True
            reading.finish = reading.finish or str(feedback["blockReason"])
        reading.add_version(body.get("modelVersion"))
        usage = body.get("usageMetadata")
        if isinstance(usage, dict):
            outputs = (usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount"))
            reading.add_usage(usage.get("promptTokenCount"), *outputs)
        candidates = body.get("candidates")
        if isinstance(candidates, list) and candidates and isinstance(candidates[0], dict):
            _read_candidate(reading, candidates[0])

    def write_answer(self, ask: Ask, answer: ModelAnswer, version: str) -> bytes:
        """Return a whole response; see `Dialect`."""
        return _json(_response(answer.text, answer, version, uuid.uuid4().hex, is_last=True))

    def write_stream(self, ask: Ask, answer: ModelAnswer, version: str) -> Iterator[bytes]:
        """Responses as events or as an array; see `Dialect`."""
        response_id = uuid.uuid4().hex
        pieces = answer.pieces or (answer.text,)
        for number, piece in enumerate(pieces):
            is_last = number == len(pieces) - 1
            body = _json(_response(piece, answer, version, response_id, is_last=is_last))
            if ask.stream is StreamForm.SSE:
                yield b"data: " + body + b"\r\n\r\n"
            else:
                yield (b"[" if number == 0 else b",\r\n") + body + (b"]" if is_last else b"")

    def write_error(
        self, status: int, message: str, retry_after_seconds: float | None = None
    ) -> bytes:
        """Return an error in Google's form; see `Dialect`."""
        return json.dumps(_error(status, message, retry_after_seconds)).encode()

    def write_stream_error(self, form: StreamForm, message: str, *, is_first: bool) -> bytes:
        """Return an error as the last event, or the last element of the array; see `Dialect`."""
        body = json.dumps(_error(503, message, None)).encode()
        if form is StreamForm.SSE:
            return b"data: " + body + b"\r\n\r\n"
        return (b"[" if is_first else b",\r\n") + body + b"]"


def _read_request(body: Mapping[str, Any], route: Route) -> Ask:
    system, beyond = "", ""
    if instruction := _of(body, "systemInstruction", "system_instruction"):
        system, beyond = _text_of(instruction, "system")
    contents = body["contents"]
    messages: list[Message] = []
    for content in contents if isinstance(contents, list) else [contents]:
        is_models = isinstance(content, dict) and content.get("role") == "model"
        role: Literal["user", "assistant"] = "assistant" if is_models else "user"
        text, problem = _text_of(content, role)
        beyond = beyond or problem
        messages.append(Message(role, text))
    config = _of(body, "generationConfig", "generation_config") or {}
    schema, unreadable = _schema(config)
    mime_type = _of(config, "responseMimeType", "response_mime_type") or ""
    thinking = _of(config, "thinkingConfig", "thinking_config") or {}
    return Ask(
        model=route.model,
        stream=route.stream,
        system=system,
        messages=tuple(messages),
        beyond=beyond or _beyond(body, config) or unreadable,
        wants_json=mime_type == "application/json",
        schema=schema,
        max_output_tokens=token_limit(_of(config, "maxOutputTokens", "max_output_tokens")),
        stop=tuple(_of(config, "stopSequences", "stop_sequences") or ()),
        thinking=json.dumps(thinking, sort_keys=True) if thinking else "",
    )


def _of(values: Mapping[str, Any], name: str, snake_name: str) -> Any:
    """Return a field by its name or its snake-case name; Google's servers read both."""
    value = values.get(name)
    return values.get(snake_name) if value is None else value


def _text_of(content: Any, role: str) -> tuple[str, str]:
    """Return the text of a content, and why it is no text alone."""
    if isinstance(content, str):
        return content, ""
    parts = content.get("parts") or []
    texts: list[str] = []
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, str):
            texts.append(part)
        elif problem := _beyond_text(part):
            return "", problem
        elif not part.get("thought"):
            texts.append(part["text"])
    return joined_parts(texts, role), ""


def _beyond_text(part: Mapping[str, Any]) -> str:
    names = part.keys()
    if names & {"inlineData", "inline_data"}:
        return "images"
    if names & {"fileData", "file_data"}:
        return "file_uri"
    if "text" not in names:
        return "tools"  # calls, responses, code
    return ""


def _beyond(body: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    if body.get("tools"):
        return "tools"
    if _of(body, "cachedContent", "cached_content"):
        return "cached_content"
    if (_of(config, "candidateCount", "candidate_count") or 1) > 1:
        return "candidates"
    modalities = _of(config, "responseModalities", "response_modalities") or ["TEXT"]
    if any(str(modality).upper() != "TEXT" for modality in modalities):
        return "modalities"
    if _of(config, "responseLogprobs", "response_logprobs"):
        return "logprobs"
    mime_type = _of(config, "responseMimeType", "response_mime_type") or "text/plain"
    return "" if mime_type in ("text/plain", "application/json") else "mime_type"


def _schema(config: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """Return the JSON Schema that is asked for, and why it cannot be used."""
    if schema := _of(config, "responseJsonSchema", "response_json_schema"):
        return (schema, "") if isinstance(schema, dict) else (None, "schema")
    if not (schema := _of(config, "responseSchema", "response_schema")):
        return None, ""
    try:
        converted = types.Schema.model_validate(schema).json_schema
    except ValueError:
        return None, "schema"
    return converted.model_dump(mode="json", by_alias=True, exclude_none=True), ""


def _read_candidate(reading: Reading, candidate: Mapping[str, Any]) -> None:
    reading.has_candidate = True
    finish = candidate.get("finishReason")
    if isinstance(finish, str) and finish != _UNSPECIFIED:
        reading.finish = finish
        reading.is_refused = reading.is_refused or finish in _REFUSALS
        reading.is_cut = finish != _FINISHED
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict):
            continue
        text = part.get("text")
        if isinstance(text, str):
            if not part.get("thought"):
                reading.add_text(text)
        elif part.keys() - {"thought", "thoughtSignature"}:
            reading.has_more = True


def _response(
    text: str, answer: ModelAnswer, version: str, response_id: str, *, is_last: bool
) -> types.GenerateContentResponse:
    finish = types.FinishReason.MAX_TOKENS if answer.is_cut else types.FinishReason.STOP
    usage = types.GenerateContentResponseUsageMetadata(
        prompt_token_count=answer.prompt_tokens,
        candidates_token_count=answer.output_tokens,
        total_token_count=(answer.prompt_tokens or 0) + answer.output_tokens,
    )
    return types.GenerateContentResponse(
        candidates=[
            types.Candidate(
                content=types.Content(role="model", parts=[types.Part(text=text)]),
                finish_reason=finish if is_last else None,
                index=0,
            )
        ],
        usage_metadata=usage if is_last else None,
        model_version=version,
        response_id=response_id,
    )


def _json(response: types.GenerateContentResponse) -> bytes:
    return response.model_dump_json(by_alias=True, exclude_none=True).encode()


def _error(status: int, message: str, retry_after_seconds: float | None) -> dict[str, Any]:
    error: dict[str, Any] = {
        "code": status,
        "message": message,
        "status": _STATUS_NAMES.get(status, "UNKNOWN"),
    }
    if retry_after_seconds is not None:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        error["details"] = [{"@type": kind, "retryDelay": f"{retry_after_seconds:g}s"}]
    return {"error": error}
