"""Spans of OpenInference, as Phoenix and Arize trace model calls.

Attributes are flat, with numbers for the items of lists (`llm.input_messages.0.message.content`),
as OTLP has them, or nested, as data frames have them.
"""

import re
from collections.abc import Iterator, Mapping

from core.conversation import Message
from task.importers.content import exchange_of, message, request, response
from task.importers.finishes import refuse_unfinished
from task.importers.pairs import pair
from task.importers.shape import Fields, Pair, Shape, SkippedError, has, optional_text
from task.importers.values import mapping, parsed

_KIND = "openinference.span.kind"
_COLUMN = "attributes."  # of a data frame, before the name of each attribute
_MESSAGE = re.compile(r"llm\.(input|output)_messages\.(\d+)\.message\.(.+)")
_PART = re.compile(r"contents\.(\d+)\.message_content\.(\w+)")
_TOOLS = re.compile(r"llm\.tools\.\d+\.")
_FAILED = {"ERROR", "STATUS_CODE_ERROR", "2"}
_TAG = re.compile(r"tag\.tags\.\d+")


def is_openinference(attributes: Fields) -> bool:
    """Whether a span has attributes of OpenInference."""
    return any(key == _KIND or key.startswith("llm.input_messages") for key in attributes)


def read_openinference(attributes: Fields, ids: Fields) -> Pair:
    """Read a span of a model call.

    Args:
        attributes: Of the span, flat or nested.
        ids: Where its ids are: `span_id`, `trace_id` and their like.

    Raises:
        SkippedError: It is no span of a model call, or the call failed.
        ValueError: It offers or calls tools, or holds something else than text.
    """
    found = dict(_flat("", attributes))
    kind = str(found.get(_KIND) or ids.get("span_kind") or "LLM").upper()
    if kind != "LLM":
        raise SkippedError(f"a span of kind {kind}, not LLM")
    status = {**ids, **mapping(ids.get("status"))}
    if {str(status.get(key)).upper() for key in ("status_code", "code")} & _FAILED:
        raise SkippedError("the call failed")
    if any(_TOOLS.match(key) and value for key, value in found.items()):
        raise ValueError("the request offers tools (llm.tools), which the tuned model cannot use")
    refuse_unfinished({"finish_reason": found.get("llm.finish_reason")})
    sent, came = found.get("input.value"), parsed(found.get("output.value"))
    asked = _messages(found, "input") or (request(sent) if sent else [])
    if not asked:
        raise SkippedError("a span without its messages; show inputs and outputs when tracing")
    answers = _messages(found, "output")
    # The whole body says why the answer ended, which the messages do not.
    whole = response(came) if mapping(came) or not answers else ""
    return pair(
        {},
        exchange_of(asked, answers[-1].text if answers else whole),
        id=optional_text(ids, "spanId", "span_id"),
        session=optional_text(found, "session.id") or optional_text(ids, "traceId", "trace_id"),
        tags=tuple(str(value) for key, value in found.items() if _TAG.fullmatch(key)),
    )


def _flat(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield all values inside a value, by the names that OpenInference's flat form gives them."""
    inner: Iterator[tuple[object, object]] | None = None
    if isinstance(value, Mapping):
        inner = iter(value.items())
    elif isinstance(value, list):
        inner = iter(enumerate(value))
    if inner is None:
        yield name, value
        return
    for key, item in inner:
        yield from _flat(f"{name}.{key}" if name else str(key), item)


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
    listed = [parts[number] for number in sorted(parts)]
    return message(
        {
            "role": fields.get("role"),
            "content": fields.get("content") or listed,
            "tool_calls": calls,
        }
    )


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
            _KIND,
            *("llm.input_messages", "llm.output_messages", "llm.tools", "llm.finish_reason"),
            *("input.value", "output.value", "session.id", "tag.tags"),
        )
    )
    | {"context.span_id", "context.trace_id", "span_kind", "status_code"},
)
