"""The two protocols that the stand-in speaks: Gemini's `generateContent` and OpenAI's chat.

References:
    https://ai.google.dev/api/generate-content and https://cloud.google.com/apis/design/errors;
    https://platform.openai.com/docs/api-reference/chat
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from standin.errors import Body, bad_request

MODEL_VERSION = "stand-in-1"
_CHARS_PER_TOKEN = 4


class Ask(NamedTuple):
    """A request, whichever protocol it came in.

    Attributes:
        prompt: All texts of the request, the system instruction first.
        fields: Names of the properties that the reply must have; empty where no schema was given.
        max_output_tokens: Tokens of the reply at most; None for no limit.
        seed: The request's seed number.
    """

    prompt: str
    fields: tuple[str, ...]
    max_output_tokens: int | None
    seed: int


class Told(NamedTuple):
    """A reply before it is put into a protocol.

    Attributes:
        text: The text, empty where it was refused.
        finish: `STOP`, `MAX_TOKENS` or `SAFETY`.
        prompt_tokens: Tokens of the request.
        output_tokens: Tokens of the text.
    """

    text: str
    finish: str
    prompt_tokens: int
    output_tokens: int


def count_tokens(text: str) -> int:
    """Roughly the tokens of a text: a quarter of its characters."""
    return math.ceil(len(text) / _CHARS_PER_TOKEN)


def cut_to(text: str, max_output_tokens: int | None) -> tuple[str, str]:
    """Return a reply's text within its limit, and how it finished."""
    if max_output_tokens is None or count_tokens(text) <= max_output_tokens:
        return text, "STOP"
    return text[: max_output_tokens * _CHARS_PER_TOKEN], "MAX_TOKENS"


def read_gemini(body: Mapping[str, Any]) -> Ask:
    """Read the body of `generateContent`.

    Raises:
        HttpError: It is not one.
    """
    try:
        contents = body["contents"]
        system = body.get("systemInstruction") or {}
        parts = [*system.get("parts", []), *(p for c in contents for p in c["parts"])]
        prompt = "\n\n".join(part["text"] for part in parts)
        config = body.get("generationConfig") or {}
        schema = config.get("responseSchema") or config.get("responseJsonSchema") or {}
        return Ask(
            prompt,
            tuple(schema.get("properties", {})),
            config.get("maxOutputTokens"),
            int(config.get("seed") or 0),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise bad_request(f"The body is not a generateContent request: {error!r}.") from error


def read_openai(body: Mapping[str, Any]) -> Ask:
    """Read the body of a chat completion.

    Raises:
        HttpError: It is not one.
    """
    if body.get("stream"):
        raise bad_request("The stand-in answers whole; leave stream out.", param="stream")
    try:
        prompt = "\n\n".join(message["content"] for message in body["messages"])
        schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
        return Ask(
            prompt,
            tuple(schema.get("properties", {})),
            body.get("max_completion_tokens") or body.get("max_tokens"),
            int(body.get("seed") or 0),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise bad_request(f"The body is not a chat completion request: {error!r}.") from error


def gemini_reply(told: Told, *, is_blocked_prompt: bool = False) -> Body:
    """Return a reply as Gemini sends it."""
    usage = {
        "promptTokenCount": told.prompt_tokens,
        "candidatesTokenCount": told.output_tokens,
        "totalTokenCount": told.prompt_tokens + told.output_tokens,
    }
    reply: Body = {"usageMetadata": usage, "modelVersion": MODEL_VERSION}
    if is_blocked_prompt:
        return {"promptFeedback": {"blockReason": "SAFETY"}, **reply}
    candidate: Body = {"finishReason": told.finish, "index": 0}
    if told.finish != "SAFETY":
        candidate["content"] = {"role": "model", "parts": [{"text": told.text}]}
    return {"candidates": [candidate], **reply}


def openai_reply(told: Told, *, is_blocked_prompt: bool = False) -> Body:
    """Return a reply as OpenAI sends it; a blocked prompt is a filtered reply there."""
    finish = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}[told.finish]
    return {
        "id": "chatcmpl-stand-in",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL_VERSION,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": told.text},
                "finish_reason": finish,
            }
        ],
        "usage": {
            "prompt_tokens": told.prompt_tokens,
            "completion_tokens": told.output_tokens,
            "total_tokens": told.prompt_tokens + told.output_tokens,
        },
    }
