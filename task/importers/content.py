"""Read messages of every provider's API: OpenAI, Gemini, Anthropic, LangChain, OpenTelemetry.

Tool calls, images, audio and files are refused by name: a text model cannot take them over.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from core.conversation import Message, Role, joined_parts
from task.importers.finishes import refuse_unfinished
from task.importers.values import items_of, mapping, parsed, plain
from task.messages import Exchange, exchange

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
}
_TOOL_ROLES = {"tool", "function", "function_call", "observation", "function_response"}
# Keys of a part that carries something else than text, in the APIs' spellings.
_NOT_TEXT = {
    "image": "an image",
    "audio": "audio",
    "video": "a video",
    "file": "a file",
    "document": "a file",
    "inline": "an image or a file",
    "blob": "an image or a file",
    "uri": "an image or a file",
    "tool": "a tool call",
    "function": "a tool call",
    "executable": "a tool call",
    "code_execution": "a tool call",
}
_THOUGHTS = {"thinking", "reasoning", "redacted_thinking"}
# Where response bodies have their answers, and what is in nothing but a body.
_ANSWERS = ("choices", "candidates", "generations")
_OF_BODIES = ("model", "object", "usage", "usageMetadata", "modelVersion", "promptFeedback")
_TOOL_CALL_KEYS = ("tool_calls", "function_call", "tool_call_id")


def message(value: object) -> Message:
    """Read one message of any API.

    Raises:
        ValueError: It is no message, or holds something else than text.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"a message must be an object, found {repr(value)[:60]}")
    value = _langchain(value)
    role_name = next((value[k] for k in ("role", "from", "type") if value.get(k)), None)
    role_name = str(role_name).lower()
    if role_name in _TOOL_ROLES or any(value.get(key) for key in _TOOL_CALL_KEYS):
        raise ValueError("it holds a tool call, which the tuned model cannot make")
    if role_name not in _ROLES:
        raise ValueError(f"the role {role_name!r} is unknown; expected system, user or assistant")
    for key in ("content", "parts", "value", "text"):
        if value.get(key):
            role = _ROLES[role_name]
            return Message(role=role, text=text_of(value[key], role))
    if value.get("refusal"):
        raise ValueError("the service refused to answer")
    raise ValueError(f"a message of {role_name} has no text")


def _langchain(value: Mapping[str, object]) -> Mapping[str, object]:
    """Return the fields of a LangChain message in any of its serialized forms."""
    kwargs, data = value.get("kwargs"), value.get("data")
    if isinstance(kwargs, Mapping):
        *_, class_name = ["", *items_of(value.get("id"))]
        kind = str(class_name).removesuffix("Chunk").removesuffix("Message")
        return {"role": kind.lower(), **_without_empty_calls(kwargs)}
    if isinstance(data, Mapping) and "type" in value:
        return {"role": value["type"], **_without_empty_calls(data)}
    return value


def _without_empty_calls(fields: Mapping[str, object]) -> dict[str, object]:
    return {key: field for key, field in fields.items() if key not in ("type", "id", "example")}


def text_of(content: object, role: Role = "system") -> str:
    """Read the text of a message's content: a text, or a list of parts.

    Args:
        content: The content.
        role: Whose it is.

    Raises:
        ValueError: A part is something else than text.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = content.get("parts", [content])
    if not isinstance(content, Sequence):
        raise ValueError(f"content must be text or a list of parts, found {repr(content)[:60]}")
    return joined_parts((text for part in content if (text := _part(part))), role)


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise ValueError(f"a part of the content must be an object, found {repr(part)[:60]}")
    kind = str(part.get("type") or "").lower()
    if kind in _THOUGHTS or part.get("thought") is True:
        return ""
    for key in (kind, *(key for key, value in part.items() if value)):
        for start, what in _NOT_TEXT.items():
            if key.lower().startswith(start) or key.lower().startswith(f"input_{start}"):
                raise ValueError(f"it holds {what} ({key}), which the tuned model cannot take")
    for key in ("text", "content"):
        if isinstance(part.get(key), str):
            return str(part[key])
    raise ValueError(f"a part of kind {kind or 'unknown'!r} is not text")


def messages(value: object) -> list[Message]:
    """Read a list of messages; a list inside a list is LangChain's batch of one.

    Raises:
        ValueError: It is no list of messages.
    """
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if not isinstance(value, list) or not value:
        raise ValueError(f"messages must be a list, found {repr(value)[:60]}")
    if len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    return [message(item) for item in value]


def request(value: object) -> list[Message]:
    """Read what was sent: a request body of any API, messages, a text, or an object of fields.

    Raises:
        ValueError: It is empty or holds something else than text.
    """
    value = parsed(value)
    if isinstance(value, str):
        return [Message(role="user", text=value)]
    if isinstance(value, list):
        return messages(value)
    if not isinstance(value, Mapping) or not value:
        raise ValueError("the request is empty")
    if declared := next((key for key in ("tools", "functions") if value.get(key)), None):
        raise ValueError(f"the request offers tools ({declared}), which the tuned model cannot use")
    system = system_of([value, mapping(value.get("config"))])
    start = [Message(role="system", text=system)] if system else []
    for key in ("messages", "contents", "input", "prompt"):
        if value.get(key) and key == "contents":
            return start + [_content(item) for item in _listed(value[key])]
        inner = value.get(key)
        if inner and (start or len(value) == 1 or "model" in value or isinstance(inner, list)):
            return start + request(inner)
    _refuse_empty(value)
    return [*start, Message(role="user", text=plain(value))]


def _refuse_empty(value: Mapping[str, object]) -> None:
    """Refuse a body that has no messages, and nothing in their place.

    Raises:
        ValueError: It is one.
    """
    listed = next((key for key in ("messages", "contents") if key in value), None)
    texts = [field for key, field in value.items() if key != "model" and field]
    if listed and not any(isinstance(field, str | list | dict) for field in texts):
        raise ValueError(f"the request has no prompt ({listed} is {value[listed]!r})")


def system_of(bodies: Iterable[Mapping[str, object]]) -> str:
    """Return the system message that one of some request bodies has outside of its messages.

    Raises:
        ValueError: It holds something else than text.
    """
    for body in bodies:
        for key in ("system", "instructions", "systemInstruction", "system_instruction"):
            if value := body.get(key):
                return text_of(value)
    return ""


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _content(item: object) -> Message:
    """Return a Gemini content; the API lets the role of the user be left out."""
    if isinstance(item, Mapping):
        return message({"role": "user", **item})
    return message({"role": "user", "content": item})


def response(value: object) -> str:
    """Read an answer: a response body of any API, messages, a text, or an object of fields.

    Raises:
        ValueError: It is empty or holds something else than text.
    """
    value = parsed(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        if value and all(isinstance(item, Mapping) for item in value):
            return _last_answer(value)
        return plain(value)
    if not isinstance(value, Mapping) or not value:
        raise ValueError("the response is empty")
    refuse_unfinished(value)
    for candidate in _candidates(value):
        return candidate
    for key in _ANSWERS:
        if value.get(key) == [] and any(name in value for name in _OF_BODIES):
            raise ValueError(f"the response has no answer ({key} is empty)")
    return plain(value)


def _last_answer(items: list[Mapping[str, object]]) -> str:
    last = items[-1]
    refuse_unfinished(last)
    if last.get("type") in _THOUGHTS and len(items) > 1:
        return _last_answer(items[:-1])
    if _is_message(last) or last.get("type") in _TOOL_ROLES:
        return message(last).text
    if _is_message(last.get("message")):  # a list of choices, as Braintrust logs it
        return response({"choices": items})
    return plain(items)


def _is_message(value: object) -> bool:
    return isinstance(value, Mapping) and any(key in value for key in ("role", "from", "kwargs"))


def _candidates(value: Mapping[str, object]) -> Iterator[str]:
    """Return the answers in a response body, in the spellings of the APIs."""
    if value.get("error"):
        raise ValueError(f"the call failed: {repr(value['error'])[:60]}")
    feedback = value.get("promptFeedback")
    if isinstance(feedback, Mapping) and feedback.get("blockReason"):
        raise ValueError(f"the service refused the prompt ({feedback['blockReason']})")
    for choice in map(mapping, items_of(value.get("choices"))):
        refuse_unfinished(choice)
        if "message" in choice:
            yield message({"role": "assistant", **mapping(choice["message"])}).text
        elif isinstance(choice.get("text"), str):
            yield str(choice["text"])
    for candidate in map(mapping, items_of(value.get("candidates"))):
        refuse_unfinished(candidate)
        yield message({"role": "model", **mapping(candidate.get("content"))}).text
    for generation in items_of(value.get("generations")):
        first = mapping(generation[0] if isinstance(generation, list) else generation)
        refuse_unfinished(first)
        yield message(first["message"]).text if first.get("message") else text_of(first["text"])
    if _is_message(value):
        yield message(value).text
    for key in ("output", "messages", "message"):
        inner = value.get(key)
        if _is_message(inner) or (isinstance(inner, list) and inner and _is_message(inner[-1])):
            yield response(inner)


def exchange_of(asked: list[Message], answer: str) -> Exchange:
    """Put a conversation and its answer together; see `task.messages.exchange`."""
    return exchange([*asked, Message(role="assistant", text=answer)])
