"""Exports of traces with fields that are null, missing or of another kind, and with tool calls."""

import json

import pytest

from core.errors import UserError
from task.importers import read_pairs
from tests.task.importers.test_odd_files import event

ATTRIBUTES = {
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "Hi",
    "gen_ai.completion.0.content": "Hello",
}
LISTED = [{"key": key, "value": {"stringValue": value}} for key, value in ATTRIBUTES.items()]
SPAN = {"spanId": "1", "traceId": "t", "attributes": LISTED}
TAGS = [{"key": key, "value": value} for key, value in ATTRIBUTES.items()]
JAEGER = {"spanID": "1", "traceID": "t", "tags": TAGS}
SCOPES = {"scopeSpans": [{"spans": [SPAN]}]}


def read(tmp_path, content):
    path = tmp_path / "spans.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_pairs(str(path))


def jaeger(*spans):
    return {"data": [{"traceID": "t", "spans": list(spans)}]}


READABLE = {
    "no logs": {"resourceSpans": [SCOPES], "resourceLogs": None},
    "no data": {"resourceSpans": [SCOPES], "data": None},
    "no batch": {"batches": [SCOPES, None]},
    "no first batch": {"batches": [None, SCOPES]},
    "batches of a trace": {"trace": {"batches": [SCOPES]}},
    "no scopes": {"resourceSpans": [{"scopeSpans": None}, SCOPES]},
    "no spans": {"resourceSpans": [{"scopeSpans": [{"spans": None}, {}]}, SCOPES]},
    "attributes without a key or value": {
        "resourceSpans": [
            {"scopeSpans": [{"spans": [SPAN | {"attributes": [*LISTED, None, {}, {"key": "n"}]}]}]}
        ]
    },
    "null in an array": {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            SPAN
                            | {
                                "attributes": [
                                    *LISTED,
                                    {"key": "a", "value": {"arrayValue": None}},
                                    {"key": "b", "value": {"kvlistValue": {"values": None}}},
                                ]
                            }
                        ]
                    }
                ]
            }
        ]
    },
    "Jaeger without a trace": {"data": [*jaeger(JAEGER)["data"], None]},
    "Jaeger's tag without a key": jaeger(JAEGER | {"tags": [*TAGS, {"value": 1}, None]}),
}


@pytest.mark.parametrize("content", READABLE.values(), ids=READABLE)
def test_what_is_null_in_an_export_of_traces_is_not_there(tmp_path, content):
    imported = read(tmp_path, content)
    assert [(p.conversation.text, p.output) for p in imported.pairs] == [("Hi", "Hello")]
    assert imported.refusals == ()


UNREADABLE = {
    "no scopes": ({"resourceSpans": [{"scopeSpans": None}]}, "it has no row"),
    "no spans": ({"batches": [{"scopeSpans": [{"spans": None}]}]}, "it has no row"),
    "no resources": ({"trace": {"resourceSpans": None}}, "it has no row"),
    "a text": ({"resourceSpans": [{"scopeSpans": "none"}]}, "scopeSpans must be a list of objects"),
    "numbers": ({"resourceLogs": [1, 2]}, "resourceLogs must be a list of objects, found"),
    "Jaeger without spans": (
        {"data": [{"traceID": "t", "spans": None}]},
        "it has no row",
    ),
    "Jaeger without tags": (jaeger(JAEGER | {"tags": None}), "a span without attributes of gen_ai"),
    "Jaeger's tags as an object": (jaeger(JAEGER | {"tags": {"a": 1}}), "tags must be a list of"),
}


@pytest.mark.parametrize(("content", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_export_of_traces_without_spans_says_what_is_amiss(tmp_path, content, reason):
    with pytest.raises(UserError, match=reason):
        read(tmp_path, content)


CHOICE = event("choice", message=json.dumps({"role": "assistant", "content": "Sunny."}))
ASKED = event("user.message", content="Weather?")
NO_TEXT = {
    "a tool's answer": ([ASKED, event("tool.message", content="sun", id="1"), CHOICE], "tool call"),
    "a choice of tools": (
        [ASKED, event("choice", finish_reason="tool_calls", message='{"tool_calls": []}')],
        "tool call",
    ),
    "no prompt": ([event("content.prompt"), CHOICE], "the request is empty"),
}


@pytest.mark.parametrize(("events", "reason"), NO_TEXT.values(), ids=NO_TEXT)
def test_events_without_an_exchange_of_texts_are_refused_by_name(tmp_path, events, reason):
    span = {"spanId": "1", "attributes": {"gen_ai.system": "openai"}, "events": events}
    with pytest.raises(UserError, match=reason):
        read(tmp_path, [span])


def test_an_event_that_is_null_is_not_there(tmp_path):
    events = [None, ASKED, CHOICE]
    span = {"spanId": "1", "attributes": {"gen_ai.system": "openai"}, "events": events}
    assert [pair.output for pair in read(tmp_path, [span]).pairs] == ["Sunny."]


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("gen_ai.completion.0.tool_calls.0.name", "it holds a tool call"),
        ("gen_ai.prompt.0.tool_call_id", "it holds a tool call"),
        ("llm.request.functions.0.name", "the request offers tools"),
    ],
)
def test_tools_in_numbered_attributes_are_refused_by_name(tmp_path, attribute, reason):
    span = {"spanId": "1", "attributes": ATTRIBUTES | {attribute: "find"}}
    with pytest.raises(UserError, match=reason):
        read(tmp_path, [span])
