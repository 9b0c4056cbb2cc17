"""Shapes of traced calls: Langfuse, LangSmith and OpenTelemetry's conventions for GenAI."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.conversation import Message
from task.importers.content import (
    exchange_of,
    messages,
    request,
    response,
    text_of,
)
from task.importers.finishes import refuse_unfinished
from task.importers.openinference import is_openinference, read_openinference
from task.importers.pairs import pair
from task.importers.shape import Fields, Pair, Shape, SkippedError, has, optional_text, tags_of
from task.importers.values import items_of, mapping, parsed_list
from task.text_files import RowError

_LANGFUSE_ONLY = ("traceId", "trace_id", "traceName", "trace_name", "sessionId", "traceTags")
_MESSAGE_EVENT = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
_CHOICE_EVENTS = ("gen_ai.choice", "gen_ai.content.completion")
_TOOL_ATTRIBUTE = re.compile(r"gen_ai\.(prompt|completion)\.\d+\.(tool_call|function_call)")
_OFFERED = "llm.request.functions."  # OpenLLMetry's older attributes
_NUMBERED = re.compile(r"gen_ai\.(prompt|completion)\.(\d+)\.(\w+)")


def _is_langfuse(fields: Fields) -> bool:
    if has("input", "expectedOutput")(fields):  # an item of a dataset
        return True
    return has("input", "output")(fields) and any(name in fields for name in _LANGFUSE_ONLY)


def _read_langfuse(fields: Fields) -> Pair:
    answer = "expectedOutput" if "expectedOutput" in fields else "output"
    kind = str(fields.get("type") or "GENERATION")
    if kind != "GENERATION":
        raise SkippedError(f"an observation of type {kind}, not GENERATION")
    if fields.get("level") == "ERROR":
        raise SkippedError("the call failed")
    if set(mapping(fields["input"])) == {"args", "kwargs"}:
        raise ValueError(
            "its input holds the arguments of a Python function (args, kwargs), not what the model "
            "was sent; export the observations of type GENERATION below it"
        )
    return pair(
        fields,
        exchange_of(request(fields["input"]), response(fields[answer])),
        session=optional_text(fields, "sessionId", "session_id", "traceId", "trace_id"),
        tags=tags_of(fields.get("tags") or fields.get("traceTags")),
    )


def _read_langsmith(fields: Fields) -> Pair:
    kind = fields.get("run_type", "llm")
    if kind != "llm":
        raise SkippedError(f"a run of type {kind!r}, not 'llm'")
    if fields.get("error"):
        raise SkippedError("the call failed")
    extra = mapping(fields.get("extra"))
    if mapping(extra.get("invocation_params")).get("tools"):
        raise ValueError("the request offers tools, which the tuned model cannot use")
    metadata = mapping(extra.get("metadata"))
    return pair(
        fields,
        exchange_of(
            request(mapping(fields.get("inputs"))), response(mapping(fields.get("outputs")))
        ),
        # LangSmith's own session_id names the project.
        session=optional_text(metadata, "session_id", "thread_id", "conversation_id")
        or optional_text(fields, "trace_id"),
        tags=tags_of(fields.get("tags")),
    )


def spans(fields: Fields) -> Iterator[Fields]:
    """Yield the spans of an OTLP document, and its log records, which newer conventions write.

    Tempo calls the resources batches, and may put a trace around them; Jaeger has a list of traces,
    whose spans have tags.

    Raises:
        RowError: A field that has to be a list of objects is none.
    """
    inner = fields.get("trace")
    if isinstance(inner, Mapping):
        fields = inner
    for resource in [*_objects(fields, "resourceSpans"), *_objects(fields, "batches")]:
        for scope in _objects(resource, "scopeSpans"):
            yield from _objects(scope, "spans")
    for resource in _objects(fields, "resourceLogs"):
        for scope in _objects(resource, "scopeLogs"):
            # A record outside of any span has no id of one.
            yield from ({"spanId": "", **record} for record in _objects(scope, "logRecords"))
    for trace in _objects(fields, "data"):
        for span in _objects(trace, "spans"):
            tags = {tag["key"]: tag.get("value") for tag in _objects(span, "tags") if "key" in tag}
            ids = {"spanId": span.get("spanID"), "traceId": span.get("traceID")}
            yield {**ids, "attributes": tags}


def _objects(fields: Fields, name: str) -> list[Fields]:
    """Return a list of objects; what is null, in it or in its place, is not there."""
    value = fields.get(name, fields.get(_snake(name)))
    items = [] if value is None else value
    if not isinstance(items, list) or not all(i is None or isinstance(i, Mapping) for i in items):
        raise RowError(f"{name} must be a list of objects, found {repr(value)[:60]}")
    return [item for item in items if item is not None]


def _snake(name: str) -> str:
    """Return a name of OTLP as Phoenix's downloads spell it."""
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


def has_spans(fields: Fields) -> bool:
    """Whether `spans` yields what is in a document."""
    inner = fields.get("trace")
    if isinstance(inner, Mapping) and ("resourceSpans" in inner or "batches" in inner):
        return True
    return (
        any(name in fields or _snake(name) in fields for name in ("resourceSpans", "resourceLogs"))
        or _first(fields, "batches", "scopeSpans")
        or (_first(fields, "data", "traceID") and _first(fields, "data", "spans"))
    )


def _first(fields: Fields, name: str, key: str) -> bool:
    listed = fields.get(name)
    items = listed if isinstance(listed, list) else []
    first = next((item for item in items if item is not None), None)
    return isinstance(first, Mapping) and key in first


def _attributes(listed: object) -> dict[str, object]:
    """Return the attributes of a span as plain values, from OTLP's list or an object."""
    if isinstance(listed, Mapping):
        return dict(listed)
    if not isinstance(listed, list):
        return {}
    named = [item for item in listed if isinstance(item, Mapping) and "key" in item]
    return {str(item["key"]): _any_value(item.get("value")) for item in named}


def _any_value(value: object) -> Any:
    """Return a value in OTLP's JSON encoding: `{"stringValue": "text"}`."""
    if not isinstance(value, Mapping):
        return None
    for key, inner in value.items():
        if key in ("arrayValue", "array_value"):
            return [_any_value(item) for item in _objects(inner or {}, "values")]
        if key in ("kvlistValue", "kvlist_value"):
            return _attributes(_objects(inner or {}, "values"))
    return next(iter(value.values()), None)


def _span_attributes(fields: Fields) -> dict[str, object]:
    """Attributes of a span and of the events that newer conventions put the messages into."""
    found = _attributes(fields.get("attributes"))
    for event in items_of(fields.get("events")):
        if isinstance(event, Mapping) and str(event.get("name", "")).startswith("gen_ai"):
            found = _attributes(event.get("attributes")) | found
    return found


def _is_span(fields: Fields) -> bool:
    return "attributes" in fields and any(k in fields for k in ("spanId", "span_id", "context"))


def _read_span(fields: Fields) -> Pair:
    found = _span_attributes(fields)
    ids = {**mapping(fields.get("context")), **fields}
    if is_openinference(found):
        return read_openinference(found, ids)
    if found.get("gen_ai.tool.definitions"):
        raise ValueError(
            "the request offers tools (gen_ai.tool.definitions), which the tuned model cannot use"
        )
    if any(key.startswith(_OFFERED) for key in found):
        raise ValueError("the request offers tools, which the tuned model cannot use")
    if any(_TOOL_ATTRIBUTE.match(key) and value for key, value in found.items()):
        raise ValueError("it holds a tool call, which the tuned model cannot make")
    if not any(key.startswith("gen_ai.") for key in found):
        raise SkippedError("a span without attributes of gen_ai")
    asked, answer = _numbered(found)
    if "gen_ai.input.messages" in found:
        asked = messages(parsed_list(found["gen_ai.input.messages"]))
        answer = response(parsed_list(found.get("gen_ai.output.messages")) or {})
    if not asked:
        asked, answer = _of_events(fields)
    if not asked:
        raise SkippedError("a span without its messages; turn on capturing of content")
    refuse_unfinished({"finish_reasons": parsed_list(found.get("gen_ai.response.finish_reasons"))})
    if system := found.get("gen_ai.system_instructions"):
        asked = [Message(role="system", text=text_of(parsed_list(system))), *asked]
    return pair(
        {},
        exchange_of(asked, answer),
        id=optional_text(ids, "spanId", "span_id"),
        session=optional_text(found, "gen_ai.conversation.id")
        or optional_text(ids, "traceId", "trace_id"),
    )


def _of_events(fields: Fields) -> tuple[list[Message], str]:
    """Messages in events of a span, one each, as earlier conventions write them.

    An event has the message in its attributes, or as JSON in one of them; of those with all
    messages of a prompt, the attribute is a list.
    """
    asked: list[Message] = []
    answer = ""
    for event in _objects(fields, "events"):
        name = str(event.get("name", ""))
        found = _attributes(event.get("attributes"))
        body = mapping(found.get("gen_ai.event.content")) or found
        if role := _MESSAGE_EVENT.fullmatch(name):
            asked += request([{"role": role[1], **body}])
        elif name == "gen_ai.content.prompt":
            asked += request(parsed_list(found.get("gen_ai.prompt")))
        elif name in _CHOICE_EVENTS:
            refuse_unfinished(body)
            if str(body.get("finish_reason")) in ("tool_calls", "function_call"):
                raise ValueError("it holds a tool call, which the tuned model cannot make")
            given = body.get("message", body.get("gen_ai.completion"))
            answer = answer or response(mapping(given) or parsed_list(given) or "")
    return asked, answer


def _numbered(found: Mapping[str, object]) -> tuple[list[Message], str]:
    """Messages in OpenLLMetry's older attributes: `gen_ai.prompt.0.content`."""
    parts: dict[tuple[str, int], dict[str, object]] = {}
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
    | {"expectedOutput"}
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
    columns=frozenset({"attributes", "events", "spanId", "span_id", "traceId", "trace_id"})
    | {"context"},
)
