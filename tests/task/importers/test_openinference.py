"""Spans of OpenInference, as OTLP, Phoenix's API and its data frames write them.

The attributes are those of the conventions (Arize-ai/openinference, spec/semantic_conventions.md).
"""

import json

import pandas as pd
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


def downloaded(attributes):
    """A span as Phoenix' page downloads it: OTLP, spelled with underscores."""
    listed = [{"key": key, "value": {"string_value": value}} for key, value in attributes.items()]
    span = {"trace_id": "t1", "span_id": "1a2b3c4d5e6f7a8b", "attributes": listed}
    return {"resource_spans": [{"scope_spans": [{"spans": [span]}]}]}


def nested(attributes):
    """A span whose attributes are objects in each other."""
    inner = {}
    for name, value in attributes.items():
        *path, last = name.split(".")
        place = inner
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return phoenix(inner)


@pytest.mark.parametrize("form", [phoenix, otlp, downloaded, nested])
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


HIDDEN = ("input.value", "output.value")


@pytest.mark.parametrize(
    "row",
    [
        phoenix(FLAT | {"openinference.span.kind": "CHAIN"}),
        phoenix({"llm.input_messages.0.message.role": "user"}, span_kind="AGENT"),
        phoenix(FLAT, status_code="ERROR"),
        otlp(FLAT, status={"code": 2}),
        phoenix(FLAT, status_code="StatusCode.ERROR"),
        phoenix(FLAT | {"otel.status_code": "ERROR"}),
        phoenix(FLAT | {"error": True}),
        otlp({"openinference.span.kind": "LLM", "input.mime_type": "text/plain"}),
        phoenix({"openinference.span.kind": "LLM"} | dict.fromkeys(HIDDEN, "__REDACTED__")),
        phoenix(FLAT | {"llm.output_messages.0.message.content": "__REDACTED__"}),
        phoenix(FLAT | {"openinference.span.kind": "CHAIN", "gen_ai.prompt.0.content": "Hi"}),
    ],
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
        ({"input.value": json.dumps({"contents": [], "config": {"tools": [{}]}})}, "offers tools"),
        ({"llm.invocation_parameters": json.dumps({"tools": [{}]})}, "offers tools"),
        ({"llm.output_messages.0.message.tool_calls.0.tool_call.id": "c"}, "a tool call"),
        ({"llm.finish_reason": "max_tokens"}, "cut off"),
        ({"output.value": json.dumps(CUT)}, "cut off"),
        ({"output.value": json.dumps({"content": {}, "finish_reason": "MAX_TOKENS"})}, "cut off"),
        (
            {"output.value": json.dumps({"incomplete_details": {"reason": "max_output_tokens"}})},
            "cut off",
        ),
        (
            {"output.value": json.dumps({"generations": [[{"finish_reason": "length"}]]})},
            "cut off",
        ),
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


LLM = {"openinference.span.kind": "LLM"}
RESPONSES = {
    "object": "response",
    "output": [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "shipping"}],
        }
    ],
}


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "input.value": json.dumps(
                {"model": "m", "input": "Where is my parcel?", "instructions": "Sort it."}
            ),
            "output.value": json.dumps(RESPONSES),
        },
        {
            "input.value": json.dumps(
                {
                    "contents": "Where is my parcel?",
                    "config": {"system_instruction": "Sort it.", "temperature": 0},
                }
            ),
            "output.value": FLAT["output.value"],
        },
        {
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "Where is my parcel?",
            "llm.invocation_parameters": json.dumps({"system": "Sort it.", "max_tokens": 64}),
            "output.value": "shipping",
        },
    ],
    ids=["Responses", "Gemini", "Anthropic"],
)
def test_bodies_of_requests_and_responses_are_read(tmp_path, attributes):
    (pair,) = read(tmp_path, phoenix(LLM | attributes)).pairs
    assert pair.conversation.text == "Where is my parcel?"
    assert (pair.conversation.system, pair.output) == ("Sort it.", "shipping")


@pytest.mark.parametrize(
    "attributes",
    [
        {"input.value": json.dumps({"model": "m", "prompt": "Where is my parcel?"})},
        {"input.value": json.dumps({"prompts": ["Where is my parcel?"]})},
        {"llm.prompts.0.prompt.text": "Where is my parcel?"},
        {"llm.prompts": ["Where is my parcel?"], "input.value": "{}"},
    ],
)
def test_prompts_of_completions_are_read(tmp_path, attributes):
    (pair,) = read(tmp_path, phoenix(LLM | attributes | {"output.value": "shipping"})).pairs
    assert pair.conversation.text == "Where is my parcel?"


def test_several_prompts_of_one_span_are_refused(tmp_path):
    several = LLM | {"llm.prompts": ["a", "b"], "output.value": "c"}
    (refusal,) = read(tmp_path, phoenix(FLAT), phoenix(several)).refusals
    assert "2 prompts" in refusal.reason


@pytest.mark.parametrize("text", ['{"role": "admin", "a": 1}', '{"candidates": ["a", "b"]}'])
def test_an_answer_that_looks_like_a_body_stays_a_text(tmp_path, text):
    said = {"llm.output_messages.0.message.content": text, "output.value": text}
    (pair,) = read(tmp_path, phoenix(FLAT | said)).pairs
    assert pair.output == text


def test_attributes_of_other_conventions_beside_them_hide_nothing(tmp_path):
    """Google's Agent Development Kit writes both."""
    both = FLAT | {"gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-flash"}
    (pair,) = read(tmp_path, phoenix(both)).pairs
    assert pair.output == "shipping"


FRAME = {
    "span_kind": ["LLM", "LLM"],
    "status_code": ["OK", "UNSET"],
    "context.span_id": ["S0", "S1"],
    "attributes.openinference.span.kind": ["LLM", "LLM"],
    "attributes.llm.model_name": ["gemini-2.5-flash", "gemini-2.5-pro"],
    "attributes.output.mime_type": ["text/plain", "application/json"],
    "attributes.llm.input_messages": [
        [{"message.role": "user", "message.content": text, "message.tool_calls": None}]
        for text in ("Hello", "Bye")
    ],
    "attributes.llm.output_messages": [
        [{"message": {"role": "model", "content": text}}] for text in ("greeting", "farewell")
    ],
    "attributes.tag.tags": [["a", None], None],
}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_data_frame_is_read_with_the_ids_of_its_spans(tmp_path, form):
    frame = pd.DataFrame(FRAME, index=["S0", "S1"])
    path = tmp_path / f"spans.{form}"
    frame.to_json(path) if form == "json" else frame.to_csv(path, index=False)
    (part,) = read_pairs(str(path)).parts
    found = [(pair.conversation.text, pair.output, pair.id, pair.tags) for pair in part.pairs]
    assert found == [("Hello", "greeting", "S0", ("a",)), ("Bye", "farewell", "S1", ())]
    assert part.columns.tags == (), "what a call was made with is no kind of row"


def test_what_a_table_holds_as_text_is_looked_at(tmp_path):
    frame = pd.DataFrame(FRAME)
    frame["attributes.llm.tools"] = ["[{'tool.json_schema': '{}'}]", None]
    frame.to_csv(tmp_path / "spans.csv")
    imported = read_pairs(str(tmp_path / "spans.csv"))
    assert [pair.output for pair in imported.pairs] == ["farewell"]
    assert ["offers tools" in refusal.reason for refusal in imported.refusals] == [True]
