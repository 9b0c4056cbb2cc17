"""Spans of OpenInference, as OTLP, Phoenix's API and its data frames write them.

The attributes are those of the conventions (Arize-ai/openinference, spec/semantic_conventions.md).
"""

import json

import pytest

from core.errors import UserError
from task.importers import read_pairs

FLAT = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gemini-2.5-flash",
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Sort it.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Where is my parcel?",
    "llm.output_messages.0.message.role": "model",
    "llm.output_messages.0.message.content": "shipping",
    "output.mime_type": "application/json",
    "output.value": json.dumps(
        {"candidates": [{"content": {"parts": [{"text": "shipping"}]}, "finishReason": "STOP"}]}
    ),
    "session.id": "s1",
}


def read(tmp_path, *rows):
    path = tmp_path / "spans.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return read_pairs(str(path))


def phoenix(attributes, **fields):
    """A span as `GET /v1/projects/{project}/spans` of Phoenix gives it."""
    context = {"trace_id": "t1", "span_id": "1a2b3c4d5e6f7a8b"}
    kept = {"id": "U3Bhbjox", "name": "generate_content", "context": context}
    rest = {"span_kind": "LLM", "status_code": "OK", "events": [], "attributes": attributes}
    return kept | rest | fields


def otlp(attributes, **fields):
    listed = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    span = {"traceId": "t1", "spanId": "1a2b3c4d5e6f7a8b", "attributes": listed, **fields}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


@pytest.mark.parametrize("form", [phoenix, otlp])
def test_a_span_of_a_model_call_is_read(tmp_path, form):
    (pair,) = read(tmp_path, form(FLAT | {"tag.tags.0": "returns"})).pairs
    assert pair.conversation.system == "Sort it."
    assert pair.conversation.text == "Where is my parcel?"
    assert (pair.output, pair.session, pair.tags) == ("shipping", "s1", ("returns",))
    assert pair.id == "1a2b3c4d5e6f7a8b"


def test_a_span_has_its_text_in_input_and_output_where_it_has_no_messages(tmp_path):
    plain = {"openinference.span.kind": "LLM", "input.value": "Hello", "output.value": "other"}
    (pair,) = read(tmp_path, phoenix(plain)).pairs
    assert (pair.conversation.text, pair.output, pair.session) == ("Hello", "other", "t1")


def test_messages_without_a_role_are_the_users_and_the_models(tmp_path):
    bare = {key: value for key, value in FLAT.items() if not key.endswith("1.message.role")}
    del bare["llm.output_messages.0.message.role"]
    (pair,) = read(tmp_path, phoenix(bare)).pairs
    assert (pair.conversation.text, pair.output) == ("Where is my parcel?", "shipping")


@pytest.mark.parametrize(
    "row",
    [
        phoenix(FLAT | {"openinference.span.kind": "CHAIN"}),
        phoenix({"llm.input_messages.0.message.role": "user"}, span_kind="AGENT"),
        phoenix(FLAT, status_code="ERROR"),
        otlp(FLAT, status={"code": 2}),
        otlp({"openinference.span.kind": "LLM", "input.mime_type": "text/plain"}),
    ],
    ids=["a chain", "an agent", "failed", "failed in OTLP", "hidden"],
)
def test_spans_that_are_no_exchange_are_left_out(tmp_path, row):
    imported = read(tmp_path, phoenix(FLAT), row)
    assert len(imported.pairs) == 1
    assert [refusal.skipped for refusal in imported.refusals] == [True]


CUT = {"candidates": [{"content": {"parts": [{"text": "ship"}]}, "finishReason": "MAX_TOKENS"}]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"llm.tools.0.tool.json_schema": '{"name": "find"}'}, "offers tools"),
        ({"llm.output_messages.0.message.tool_calls.0.tool_call.id": "c"}, "a tool call"),
        ({"llm.finish_reason": "max_tokens"}, "cut off"),
        ({"output.value": json.dumps(CUT)}, "cut off"),
        (
            {"llm.input_messages.1.message.contents.1.message_content.image.image.url": "data:x"},
            "it holds an image",
        ),
    ],
)
def test_what_the_tuned_model_cannot_do_is_refused_with_its_reason(tmp_path, changes, reason):
    (refusal,) = read(tmp_path, phoenix(FLAT), phoenix(FLAT | changes)).refusals
    assert reason in refusal.reason


def test_a_file_without_what_was_said_is_refused(tmp_path):
    with pytest.raises(UserError, match="show inputs and outputs when tracing"):
        read(tmp_path, phoenix({"openinference.span.kind": "LLM"}))
