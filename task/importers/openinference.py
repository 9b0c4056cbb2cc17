"""Spans of OpenInference, as Phoenix and Arize trace model calls.

Attributes are flat, with numbers for the items of lists (`llm.input_messages.0.message.content`),
as OTLP has them, or nested, as data frames have them. Some instrumentations write the bodies of
request and response alone (`input.value`, `output.value`), and most write what the messages leave
out, such as why an answer ended, only there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from core.conversation import Message
from task.importers.content import exchange_of, message, request, response, system_of
from task.importers.finishes import refuse_unfinished
from task.importers.pairs import pair
from task.importers.shape import Fields, Pair, Shape, SkippedError, has, optional_text, tags_of
from task.importers.values import items_of, mapping, parsed_list

_KIND = "openinference.span.kind"
_COLUMN = "attributes."  # of a data frame, before the name of each attribute
_MESSAGE = re.compile(r"llm\.(input|output)_messages\.(\d+)\.message\.(.+)")
_PART = re.compile(r"contents\.(\d+)\.message_content\.(\w+)")
_PROMPT = re.compile(r"llm\.prompts\.\d+(\.prompt\.text)?")
_TOOLS = re.compile(r"llm\.tools\.\d+\.")
_TAG = re.compile(r"tag\.tags\.\d+")
_LISTS = ("llm.input_messages", "llm.output_messages", "llm.prompts", "llm.tools", "tag.tags")
_FAILED = {"error", "status_code_error", "2"}
_HIDDEN = "__REDACTED__"  # in the place of what a trace was told to hide
# What a request body has, and no text that a person sends.
_BODY_KEYS = ("messages", "contents", "model", "prompts", "max_tokens")


def is_openinference(attributes: Fields) -> bool:
    """Whether a span is one of OpenInference."""
    names = [name for name, _ in _flat("", attributes)]
    return any(name == _KIND or _MESSAGE.fullmatch(name) for name in names)


def read_openinference(attributes: Fields, ids: Fields) -> Pair:
    """Read a span of a model call.

    Args:
        attributes: Of the span, flat or nested.
        ids: Where its ids and its status are: `span_id`, `trace_id` and their like.

    Raises:
        SkippedError: It is no span of a model call, the call failed, or its texts are hidden.
        ValueError: It offers or calls tools, or holds something else than text.
    """
    listed = {key: parsed_list(attributes[key]) for key in _LISTS if key in attributes}
    found = dict(_flat("", {**attributes, **listed}))  # a table may have lists as text
    kind = str(found.get(_KIND) or ids.get("span_kind") or "LLM").upper()
    if kind != "LLM":
        raise SkippedError(f"a span of kind {kind}, not LLM")
    if _has_failed(found, ids):
        raise SkippedError("the call failed")
    sent, came = mapping(found.get("input.value")), mapping(found.get("output.value"))
    bodies = [sent, mapping(found.get("llm.invocation_parameters"))]
    bodies += [mapping(body.get("config")) for body in bodies]
    if _offers_tools(found, bodies):
        raise ValueError("the request offers tools, which the tuned model cannot use")
    asked = _asked(found, sent)
    if asked and asked[0].role != "system" and (system := system_of(bodies)):
        asked = [Message(role="system", text=system), *asked]
    refuse_unfinished({"finish_reason": found.get("llm.finish_reason")})
    _refuse_unfinished_body(came)
    answer = _answer(found, came)
    if not asked or _HIDDEN in {answer, *(each.text for each in asked)}:
        raise SkippedError("a span without its messages; show inputs and outputs when tracing")
    return pair(
        {},
        exchange_of(asked, answer),
        id=optional_text(ids, "spanId", "span_id"),
        session=optional_text(found, "session.id") or optional_text(ids, "traceId", "trace_id"),
        tags=tags_of([value for key, value in found.items() if _TAG.fullmatch(key) and value]),
    )


def _offers_tools(found: Fields, bodies: Iterable[Fields]) -> bool:
    if any(_TOOLS.match(key) and value for key, value in found.items()):
        return True
    return any(body.get(key) for body in bodies for key in ("tools", "functions"))


def _has_failed(found: Fields, ids: Fields) -> bool:
    status = {**ids, **mapping(ids.get("status")), "otel": found.get("otel.status_code")}
    words = {str(status.get(key)).lower() for key in ("status_code", "code", "otel")}
    return bool({word.removeprefix("statuscode.") for word in words} & _FAILED) or (
        str(found.get("error")).lower() == "true"
    )


def _flat(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield all values inside a value, by the names that OpenInference's flat form gives them."""
    inner: Iterable[tuple[object, object]]
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        yield name, value
        return
    for key, item in inner:
        yield from _flat(f"{name}.{key}" if name else str(key), item)


def _asked(found: Fields, body: Fields) -> list[Message]:
    if asked := _messages(found, "input"):
        return asked
    prompts = [value for key, value in found.items() if _PROMPT.fullmatch(key) and value]
    prompts = prompts or items_of(body.get("prompts"))
    if len(prompts) > 1:
        raise ValueError(f"one span has {len(prompts)} prompts, and only one can be read")
    text = prompts[0] if prompts else found.get("input.value")
    if not prompts and any(key in body for key in _BODY_KEYS):
        return request(body)
    return [Message(role="user", text=str(text))] if text else []


def _answer(found: Fields, body: Fields) -> str:
    if answers := _messages(found, "output"):
        return answers[-1].text
    return response(body or found.get("output.value") or "")


def _refuse_unfinished_body(body: Fields) -> None:
    """Refuse an answer that its response's body says is cut off or refused."""
    items = [
        item for key in ("choices", "candidates", "generations") for item in items_of(body.get(key))
    ]
    for each in [body, *items]:
        for one in each if isinstance(each, list) else [each]:
            refuse_unfinished(mapping(one))


def _messages(found: Fields, direction: str) -> list[Message]:
    by_number: dict[int, dict[str, object]] = {}
    role = "user" if direction == "input" else "assistant"  # of a message that names none
    for key, value in found.items():
        match = _MESSAGE.fullmatch(key)
        if match and match[1] == direction and value is not None:
            by_number.setdefault(int(match[2]), {"role": role})[match[3]] = value
    return [_message(by_number[number]) for number in sorted(by_number)]


def _message(fields: Fields) -> Message:
    """Read one message; a part with an image or a call of a tool is refused by `message`."""
    parts: dict[int, dict[str, object]] = {}
    for key, value in fields.items():
        if match := _PART.match(key):
            parts.setdefault(int(match[1]), {})[match[2]] = value
    calls = [key for key in fields if key.startswith(("tool_calls", "function_call"))]
    content = fields.get("content") or [parts[number] for number in sorted(parts)]
    return message({"role": fields.get("role"), "content": content, "tool_calls": calls})


def _read_row(fields: Fields) -> Pair:
    attributes = {
        key.removeprefix(_COLUMN): value for key, value in fields.items() if key.startswith(_COLUMN)
    }
    ids = {key.removeprefix("context."): value for key, value in fields.items()}
    return read_openinference(attributes, ids)


OPENINFERENCE = Shape(
    name="openinference",
    title="data frame of OpenInference spans (Phoenix)",
    source="https://arize-ai.github.io/openinference/spec/attributes/semantic-conventions.html",
    matches=has(f"{_COLUMN}{_KIND}"),
    read=_read_row,
    columns=frozenset(
        f"{_COLUMN}{name}"
        for name in (
            *(_KIND, *_LISTS, "llm.finish_reason", "llm.invocation_parameters", "session.id"),
            *("input.value", "output.value", "input.mime_type", "output.mime_type"),
            *("llm.model_name", "llm.provider", "llm.system"),
        )
    )
    | {"context.span_id", "context.trace_id"},
)
