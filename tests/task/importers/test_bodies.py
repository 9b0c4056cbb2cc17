"""Bodies of requests and responses of every API, wherever a log holds them."""

import json

import pytest

from core.errors import UserError
from task.importers import read_pairs
from tests.task.importers.examples import (
    ANSWERS,
    ROWS,
    SYSTEM,
    asked,
    langchain,
    otel_attributes,
    otlp,
    otlp_span,
)
from tests.task.importers.reading import read


def test_other_instrumentations_of_otel_are_read(tmp_path):
    numbered = {
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": SYSTEM,
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": "Hi",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "Hello",
    }
    event = {"name": "gen_ai.client.inference.operation.details"}
    event["attributes"] = otlp_span(1, otel_attributes("Hi", "Hello"))["attributes"]
    with_event = otlp_span(2, {"gen_ai.operation.name": "chat"}) | {"events": [event]}
    flat = {"span_id": "3", "trace_id": "3", "attributes": otel_attributes("Hi", "Hello")}
    silent = otlp_span(4, {"gen_ai.operation.name": "chat"})
    other = otlp_span(5, {"http.method": "GET"})
    imported = read(tmp_path, [otlp([otlp_span(1, numbered), with_event, silent, other]), flat])
    asked_and_said = [
        (p.conversation.text, p.conversation.system, p.output) for p in imported.pairs
    ]
    assert asked_and_said == [("Hi", SYSTEM, "Hello")] * 3
    assert [refusal.skipped for refusal in imported.refusals] == [True, True]


BODIES = {
    "gemini": (
        {"contents": [{"parts": [{"text": "Hi"}]}], "system_instruction": {"parts": ["S"]}},
        {
            "candidates": [
                {"content": {"parts": [{"thought": True, "text": "hm"}, {"text": "Hello"}]}}
            ]
        },
    ),
    "anthropic": (
        {"model": "c", "system": "S", "messages": [{"role": "user", "content": "Hi"}]},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}],
        },
    ),
    "openai-responses": (
        {"model": "g", "instructions": "S", "input": "Hi"},
        {
            "object": "response",
            "output": [
                {"type": "reasoning", "summary": []},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
                },
            ],
        },
    ),
    "openai-completions": (
        {"model": "g", "prompt": "Hi"},
        {"choices": [{"text": "Hello", "index": 0}]},
    ),
}


@pytest.mark.parametrize(("sent", "received"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("write_body", [dict, json.dumps], ids=["object", "json-text"])
def test_bodies_of_every_api_are_read_in_logs(tmp_path, sent, received, write_body):
    row = {"request_body": write_body(sent), "response_body": write_body(received)}
    pair = read(tmp_path, [row]).pairs[0]
    assert pair.conversation.turns[0].text == "Hi"
    assert pair.output == "Hello"
    assert pair.conversation.system in ("S", None)


def test_langchain_messages_are_read_in_all_their_forms(tmp_path):
    forms = [
        [langchain("Human", "Hi")],
        [{"type": "human", "data": {"content": "Hi"}}],
        [{"type": "human", "content": "Hi", "id": "1"}],
    ]
    rows = [
        {"run_type": "llm", "inputs": {"messages": form}, "outputs": {"output": "Hello"}}
        for form in forms
    ]
    pairs = read(tmp_path, rows).pairs
    assert [(pair.conversation.text, pair.output) for pair in pairs] == [("Hi", "Hello")] * 3


def test_a_document_of_an_api_is_unwrapped(tmp_path):
    (tmp_path / "list.json").write_text(
        json.dumps({"object": "list", "data": ROWS["openai-stored-completions"], "has_more": False})
    )
    imported = read_pairs(str(tmp_path / "list.json"))
    assert [pair.output for pair in imported.pairs] == ANSWERS


def test_text_parts_of_a_prompt_are_lines_and_those_of_an_answer_are_pieces(tmp_path):
    text = [{"type": "text", "text": "Summarize this:"}, {"type": "text", "text": "The mail."}]
    pieces = [{"type": "text", "text": "A sum"}, {"type": "text", "text": "mary."}]
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": pieces}]
    pair = read(tmp_path, [{"messages": messages}]).pairs[0]
    assert pair.conversation.text == "Summarize this:\nThe mail."
    assert pair.output == "A summary."


BESIDE = {
    "anthropic": {
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
        ],
    },
    "responses": {
        "object": "response",
        "incomplete_details": None,
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "output": [
            {"type": "reasoning", "summary": []},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Hello"}],
            },
        ],
    },
    "gemini batch": {
        "key": "1",
        "request": {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"parts": [{"text": "Hi"}]}],
        },
        "response": {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}
            ]
        },
    },
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_system_message_beside_the_turns_is_kept(tmp_path, name):
    (pair,) = read(tmp_path, [BESIDE[name]]).pairs
    assert pair.conversation.system == "Be brief."
    assert (pair.conversation.turns[0].text, pair.output) == ("Hi", "Hello")


def test_a_request_body_inside_a_field_is_no_prompt(tmp_path):
    body = {"inputTokenCount": 3, "inputBodyJson": {"messages": asked("Hi")}}
    with pytest.raises(UserError, match="request body inside its field 'inputBodyJson'"):
        read(tmp_path, [{"input": body, "output": {"text": "Hello"}}])


def test_a_langchain_messages_example_flag_and_id_are_no_calls(tmp_path):
    """https://python.langchain.com/api_reference/core/messages.html: both are always written."""
    ai = {"content": "Hello", "type": "ai", "id": "run-1", "example": True, "tool_calls": []}
    human = {"content": "Hi", "type": "human", "id": None, "example": True}
    row = {"messages": [{"type": "human", "data": human}, {"type": "ai", "data": ai}]}
    (pair,) = read(tmp_path, [row]).pairs
    assert (pair.conversation.text, pair.output) == ("Hi", "Hello")
