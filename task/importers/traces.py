"""Shapes of traced calls: Langfuse, LangSmith and OpenTelemetry's conventions for GenAI."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.conversation import Message
from task.importers.content import (
    exchange_of,
    messages,
    refuse_unfinished,
    request,
    response,
    text_of,
)
from task.importers.pairs import pair
from task.importers.shape import Fields, Pair, Shape, SkippedError, has, optional_text, tags_of
from task.importers.values import mapping, parsed_list

_LANGFUSE_ONLY = ("traceId", "trace_id", "traceName", "trace_name", "sessionId", "traceTags")
_NUMBERED = re.compile(r"gen_ai\.(prompt|completion)\.(\d+)\.(\w+)")


def _is_langfuse(fields: Fields) -> bool:
    return has("input", "output")(fields) and any(name in fields for name in _LANGFUSE_ONLY)


def _read_langfuse(fields: Fields) -> Pair:
    kind = str(fields.get("type") or "GENERATION")
    if kind != "GENERATION":
        raise SkippedError(f"an observation of type {kind}, not GENERATION")
    if fields.get("level") == "ERROR":
        raise SkippedError("the call failed")
    return pair(
        fields,
        exchange_of(request(fields["input"]), response(fields["output"])),
        session=optional_text(fields, "sessionId", "session_id", "traceId", "trace_id"),
        tags=tags_of(parsed_list(fields.get("tags") or fields.get("traceTags"))),
    )


def _read_langsmith(fields: Fields) -> Pair:
    kind = fields.get("run_type", "llm")
    if kind != "llm":
        raise SkippedError(f"a run of type {kind!r}, not 'llm'")
    if fields.get("error"):
        raise SkippedError("the call failed")
    metadata = mapping(mapping(fields.get("extra")).get("metadata"))
    return pair(
        fields,
        exchange_of(
            request(mapping(fields.get("inputs"))), response(mapping(fields.get("outputs")))
        ),
        # LangSmith's own session_id names the project.
        session=optional_text(metadata, "session_id", "thread_id", "conversation_id")
        or optional_text(fields, "trace_id"),
        tags=tags_of(parsed_list(fields.get("tags"))),
    )


def spans(fields: Fields) -> Iterator[Fields]:
    """Yield the spans of an OTLP document, their attributes as one plain object."""
    for resource in fields.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            yield from scope.get("spans", ())


def _attributes(listed: object) -> dict[str, Any]:
    """Return the attributes of a span as plain values, from OTLP's list or an object."""
    if isinstance(listed, Mapping):
        return dict(listed)
    if not isinstance(listed, list):
        return {}
    return {item["key"]: _any_value(item.get("value", {})) for item in listed}


def _any_value(value: Mapping[str, Any]) -> Any:
    """Return a value in OTLP's JSON encoding: `{"stringValue": "text"}`."""
    if "arrayValue" in value:
        return [_any_value(item) for item in value["arrayValue"].get("values", ())]
    if "kvlistValue" in value:
        return _attributes(value["kvlistValue"].get("values", []))
    return next(iter(value.values()), None)


def _span_attributes(fields: Fields) -> dict[str, Any]:
    """Attributes of a span and of the events that newer conventions put the messages into."""
    found = _attributes(fields.get("attributes"))
    for event in fields.get("events") or ():
        if isinstance(event, Mapping) and str(event.get("name", "")).startswith("gen_ai"):
            found = _attributes(event.get("attributes")) | found
    return found


def _is_span(fields: Fields) -> bool:
    return "attributes" in fields and any(k in fields for k in ("spanId", "span_id", "context"))


def _read_span(fields: Fields) -> Pair:
    found = _span_attributes(fields)
    if not any(key.startswith("gen_ai.") for key in found):
        raise SkippedError("a span without attributes of gen_ai")
    asked, answer = _numbered(found)
    if "gen_ai.input.messages" in found:
        asked = messages(parsed_list(found["gen_ai.input.messages"]))
        answer = response(parsed_list(found.get("gen_ai.output.messages")) or {})
    if not asked:
        raise SkippedError("a span without its messages; turn on capturing of content")
    refuse_unfinished({"finish_reasons": parsed_list(found.get("gen_ai.response.finish_reasons"))})
    if system := found.get("gen_ai.system_instructions"):
        asked = [Message(role="system", text=text_of(parsed_list(system))), *asked]
    return pair(
        {},
        exchange_of(asked, answer),
        id=optional_text(fields, "spanId", "span_id"),
        session=optional_text(found, "gen_ai.conversation.id")
        or optional_text(fields, "traceId", "trace_id"),
    )


def _numbered(found: Mapping[str, Any]) -> tuple[list[Message], str]:
    """Messages in OpenLLMetry's older attributes: `gen_ai.prompt.0.content`."""
    parts: dict[tuple[str, int], dict[str, Any]] = {}
    for key, value in found.items():
        if match := _NUMBERED.fullmatch(key):
            parts.setdefault((match[1], int(match[2])), {})[match[3]] = value
    asked = [request([parts[key]])[0] for key in sorted(parts) if key[0] == "prompt"]
    answers = [parts[key] for key in sorted(parts) if key[0] == "completion"]
    return asked, response({"role": "assistant", **answers[0]}) if answers else ""


LANGFUSE = Shape(
    name="langfuse",
    title="Langfuse export",
    source="https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields",
    matches=_is_langfuse,
    read=_read_langfuse,
    columns=frozenset({"id", "type", "level", "input", "output", "tags", "traceTags", "split"})
    | {"traceId", "trace_id", "sessionId", "session_id"},
    metadata=frozenset({"metadata"}),
)
LANGSMITH = Shape(
    name="langsmith",
    title="LangSmith runs and examples",
    source="https://docs.langchain.com/langsmith/run-data-format",
    matches=has("inputs", "outputs"),
    read=_read_langsmith,
    columns=frozenset({"id", "run_type", "error", "inputs", "outputs", "tags", "extra", "split"})
    | {"trace_id"},
    metadata=frozenset({"metadata"}),
)
OTEL = Shape(
    name="opentelemetry",
    title="OpenTelemetry spans of GenAI",
    source="https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/",
    matches=_is_span,
    read=_read_span,
    columns=frozenset({"attributes", "events", "spanId", "span_id", "traceId", "trace_id"}),
)
