"""Reads replies as the services send them: JSON of the Gemini API, and of OpenAI's.

The libraries' own models are not used for this: one field of another type, such as a count of
tokens as text, would cost a whole reply that was paid for.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from service_llm.errors import TransientError
from service_llm.types import Finish, Reply

_REFUSALS = {
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
}
# OpenAI, Z.ai: https://github.com/genkit-ai/genkit/pull/6259; Gemini's through other gateways.
_FILTERED = {"content_filter", "sensitive", *(reason.lower() for reason in _REFUSALS)}
# OpenAI, Anthropic's and Mistral's gateways, Z.ai.
_LENGTHS = {"length", "max_tokens", "model_length", "model_context_window_exceeded"}


class Tokens(NamedTuple):
    """Tokens of a reply; both 0 where the service did not say, or said what cannot be."""

    prompt: int
    output: int
    is_known: bool


def read_gemini(body: object, model: str) -> Reply:
    """Return what a `GenerateContentResponse` says.

    One without candidates is an empty reply where it counts tokens: they are billed.

    Raises:
        TransientError: The body is none.
    """
    body = body if isinstance(body, dict) else {}
    tokens = _gemini_tokens(body.get("usageMetadata"))
    if not (tokens.is_known or {"candidates", "promptFeedback"} & set(body)):
        raise TransientError(f"{model} sent a reply that does not match the Gemini API.")
    candidate = _first(body.get("candidates"))
    feedback = body.get("promptFeedback")
    blocked = str(feedback.get("blockReason") or "") if isinstance(feedback, dict) else ""
    reason = str(candidate.get("finishReason") or "STOP")
    if reason in _REFUSALS or (not candidate and blocked):
        finish = Finish.REFUSED
    else:
        finish = Finish.LENGTH if reason == "MAX_TOKENS" else Finish.STOP
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return Reply(
        "".join(_texts(parts)),
        finish,
        tokens.prompt,
        tokens.output,
        str(body.get("modelVersion") or ""),
        usage_known=tokens.is_known,
        reason=(blocked or reason) if finish is Finish.REFUSED else "",
    )


def read_openai(body: Any, model: str) -> Reply:
    """Return what a chat completion says.

    One without choices is an empty reply where it counts tokens: they are billed.

    Raises:
        TransientError: The body is none.
    """
    body = body if isinstance(body, dict) else {}
    choice = _first(body.get("choices"))
    message = choice.get("message")
    tokens = openai_tokens(body.get("usage"))
    if not isinstance(message, dict):
        if not (tokens.is_known and tokens.prompt):
            raise TransientError(f"{model} sent a reply that does not match the OpenAI API.")
        message = {}
    refusal = message.get("refusal")
    reason = str(choice.get("finish_reason") or "stop")
    if reason.lower() in _FILTERED or refusal:
        finish = Finish.REFUSED
    else:
        finish = Finish.LENGTH if reason.lower() in _LENGTHS else Finish.STOP
    return Reply(
        "".join(_texts(message.get("content"))),
        finish,
        tokens.prompt,
        tokens.output,
        str(body.get("model") or ""),
        usage_known=tokens.is_known,
        reason=str(refusal or reason) if finish is Finish.REFUSED else "",
    )


def _first(items: object) -> Mapping[str, Any]:
    first = items[0] if isinstance(items, list) and items else {}
    return first if isinstance(first, dict) else {}


def _texts(content: object) -> Iterator[str]:
    """Return the text of a message: as it is, or in parts of which some are thoughts."""
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else []:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            is_thought = bool(part.get("thought")) or part.get("type") in ("thinking", "reasoning")
            if not is_thought:
                yield part["text"]


def _gemini_tokens(usage: object) -> Tokens:
    """Count that are 0 are left out of the JSON; a prompt without tokens is none."""
    if not isinstance(usage, dict):
        return Tokens(0, 0, is_known=False)
    outputs = (usage.get("candidatesTokenCount", 0), usage.get("thoughtsTokenCount", 0))
    return _counted(usage.get("promptTokenCount"), *outputs)


def openai_tokens(usage: object, *, has_output: bool = True) -> Tokens:
    """Return the counts in OpenAI's `usage`.

    Args:
        usage: What stands there, of whatever type.
        has_output: Whether it has to count a reply's tokens, too.
    """
    if not isinstance(usage, dict):
        return Tokens(0, 0, is_known=False)
    output = usage.get("completion_tokens") if has_output else 0
    return _counted(usage.get("prompt_tokens"), output)


def _counted(prompt: Any, *outputs: Any) -> Tokens:
    if all(_is_count(count) for count in (prompt, *outputs)):
        return Tokens(prompt, sum(outputs), is_known=True)
    return Tokens(0, 0, is_known=False)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40
