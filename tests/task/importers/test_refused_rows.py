"""Rows without an answer to learn from: tools, images, failed calls, answers cut off or refused."""

import json

import pytest

from core.errors import UserError
from tests.task.importers.examples import (
    CHATS,
    ROWS,
    asked,
    chat_completion,
    openai,
    otel_attributes,
    otlp_span,
)
from tests.task.importers.reading import read


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ({"choices": [{"message": {"content": "We ref"}, "finish_reason": "length"}]}, "length"),
        ({"choices": [{"text": "We ref", "finish_reason": "length"}]}, "length"),
        (
            {
                "candidates": [
                    {"content": {"parts": [{"text": "We"}]}, "finishReason": "MAX_TOKENS"}
                ]
            },
            "MAX_TOKENS",
        ),
    ],
    ids=["chat", "text", "gemini"],
)
def test_an_answer_cut_off_at_its_limit_is_refused(tmp_path, answer, word):
    whole = {"request_body": {"messages": asked("Hi")}, "response_body": chat_completion("Hello")}
    imported = read(tmp_path, [whole | {"response_body": answer}, whole])
    assert [pair.output for pair in imported.pairs] == ["Hello"]
    assert f"cut off (the service stopped it with {word!r})" in imported.refusals[0].reason


TOOL_CALL = {"id": "1", "type": "function", "function": {"name": "find", "arguments": "{}"}}


REFUSED = {
    "openai-tool-call": (
        {"messages": [*asked("Hi"), {"role": "assistant", "tool_calls": [TOOL_CALL]}]},
        "tool call",
    ),
    "openai-tool-result": (
        {"messages": [{"role": "tool", "content": "3"}, {"role": "assistant", "content": "3"}]},
        "tool call",
    ),
    "openai-offered-tools": (openai("Hi", "Hello", tools=[{"type": "function"}]), "offers tools"),
    "openai-offered-functions": (
        openai("Hi", "Hello", functions=[{"name": "find"}]),
        r"offers tools \(functions\)",
    ),
    "no-message": (
        {"messages": ["Hi", {"role": "assistant", "content": "Hello"}]},
        "a message must be an object, found 'Hi'",
    ),
    "openai-image": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}},
                    ],
                },
                {"role": "assistant", "content": "a lamp"},
            ]
        },
        "an image",
    ),
    "openai-audio": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
                {"role": "assistant", "content": "a"},
            ]
        },
        "audio",
    ),
    "openai-no-answer": ({"messages": asked("Hi")}, "no answer"),
    "gemini-file": (
        {
            "contents": [
                {"role": "user", "parts": [{"fileData": {"fileUri": "gs://b/f.pdf"}}]},
                {"role": "model", "parts": [{"text": "an invoice"}]},
            ]
        },
        "a file",
    ),
    "gemini-function-call": (
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "find"}}]},
            ]
        },
        "tool call",
    ),
    "sharegpt-function-call": (
        {
            "conversations": [
                {"from": "human", "value": "Hi"},
                {"from": "function_call", "value": "find"},
                {"from": "gpt", "value": "Hello"},
            ]
        },
        "tool call",
    ),
    "anthropic-tool-use": (
        {
            "request_body": {"messages": asked("Hi")},
            "response_body": {"role": "assistant", "content": [{"type": "tool_use", "id": "1"}]},
        },
        "tool call",
    ),
    "otel-tool-call": (
        otlp_span(
            1,
            otel_attributes("Hi", "x")
            | {
                "gen_ai.output.messages": json.dumps(
                    [{"role": "assistant", "parts": [{"type": "tool_call", "name": "find"}]}]
                )
            },
        ),
        "tool call",
    ),
    "stored-without-prompt": (chat_completion("Hello"), "without its prompt"),
    "empty-answer": ({"prompt": "Hi", "output": "  "}, "has no text"),
    "stream": ({"prompt": "Hi", "output": 'data: {"choices": []}\n\n'}, "a stream of events"),
    "chosen-without-prompt": ({"chosen": "Hello", "rejected": "No"}, "'prompt' is missing"),
    "unknown-role": (
        {"messages": [{"role": "narrator", "content": "x"}, {"role": "assistant", "content": "y"}]},
        "'narrator' is unknown",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("row", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_a_text_model_cannot_take_over_is_refused_by_name(tmp_path, row, reason):
    with pytest.raises(UserError, match=reason):
        read(tmp_path, [row])


def test_refused_rows_are_named_and_the_others_kept(tmp_path):
    rows = [*ROWS["openai-messages"], REFUSED["openai-tool-call"][0], REFUSED["openai-image"][0]]
    imported = read(tmp_path, rows)
    assert len(imported.pairs) == len(CHATS)
    said = "\n".join(imported.lines())
    assert "1 row refused: it holds a tool call" in said
    assert "rows.jsonl, line 7" in said
    assert "an image (image_url)" in said


SKIPPED = {
    "litellm": [{"status": "failure"}, {"call_type": "aembedding"}],
    "langfuse": [{"type": "SPAN"}, {"level": "ERROR"}],
    "langsmith": [{"run_type": "chain"}, {"error": "timeout"}],
    "helicone": [{"response_status": 429}],
    "capture": [
        {"service": None},
        {"service": {"status": 503, "text": "busy"}},
        {"service": {"status": 200, "text": None}},  # cut off, or refused
        {"reason": "F11"},  # out of form, and passed on because the model failed, too
        {"reason": "model_failed:F11"},  # likewise, of a canary
    ],
}


@pytest.mark.parametrize("name", SKIPPED)
def test_calls_that_failed_or_are_no_completions_are_skipped(tmp_path, name):
    first = ROWS[name][0]
    imported = read(tmp_path, [*ROWS[name], *(first | change for change in SKIPPED[name])])
    assert len(imported.pairs) == len(CHATS)
    assert [refusal.skipped for refusal in imported.refusals] == [True] * len(SKIPPED[name])


CUT_ROWS = {
    "bare text": {"prompt": "Hi", "response": "We ref", "finish_reason": "length"},
    "anthropic": {"prompt": "Hi", "response": "We ref", "stop_reason": "max_tokens"},
    "ollama": {"prompt": "Hi", "response": "We ref", "done_reason": "length"},
    "langfuse": {
        "traceId": "1",
        "input": "Hi",
        "output": {"role": "assistant", "content": "We ref", "finish_reason": "length"},
    },
    "langchain": {
        "inputs": {"input": "Hi"},
        "outputs": {
            "generations": [
                [{"text": "We ref", "generation_info": {"finish_reason": "MAX_TOKENS"}}]
            ]
        },
    },
    "responses": {
        "request_body": {"model": "m", "input": "Hi"},
        "response_body": {
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "We ref"}],
                }
            ],
        },
    },
    "span": {
        "spanId": "1",
        "attributes": {
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "Hi",
            "gen_ai.completion.0.content": "We ref",
            "gen_ai.response.finish_reasons": ["length"],
        },
    },
    "span with messages": {
        "spanId": "1",
        "attributes": {
            "gen_ai.input.messages": [
                {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
            ],
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [{"type": "text", "content": "We ref"}],
                    "finish_reason": "length",
                }
            ],
        },
    },
}


@pytest.mark.parametrize("name", CUT_ROWS)
def test_an_answer_that_a_log_calls_cut_off_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"the answer is cut off \(the service stopped it with"):
        read(tmp_path, [CUT_ROWS[name]])


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("finishReason", "SAFETY"),
        ("finish_reason", "FinishReason.RECITATION"),
        ("finish_reason", "content_filter"),
        ("stop_reason", "refusal"),
    ],
)
def test_an_answer_that_a_log_calls_refused_is_none(tmp_path, key, reason):
    row = {"prompt": "Hi", "response": "I cannot", key: reason}
    with pytest.raises(UserError, match=r"the service refused to answer \(it stopped with"):
        read(tmp_path, [row])


@pytest.mark.parametrize("reason", ["stop", "end_turn", None, ["stop"]])
def test_an_answer_that_ended_by_itself_is_kept(tmp_path, reason):
    row = {"prompt": "Hi", "response": "We refund you.", "finish_reason": reason}
    assert read(tmp_path, [row]).pairs[0].output == "We refund you."


USER = [{"role": "user", "content": "Hi"}]
NOTHING = {
    "empty messages": {"messages": [], "ideal": "x"},
    "null messages": {"messages": None, "ideal": "x"},
    "no list": {"messages": "Hi", "ideal": "x"},
    "messages in a cell": {"messages": "[]", "ideal": "x"},
    "a system message": {"messages": [{"role": "system", "content": "s"}], "ideal": "x"},
    "no right answer": {"messages": USER, "ideal": []},
    "a right answer of null": {"messages": USER, "ideal": None},
    "right answers of null": {"messages": USER, "reference_answer": [None]},
    "no right answer to input": {"input": USER, "ideal": []},
    "an empty body": {"prompt": {"messages": []}, "output": "x"},
    "an empty body of a trace": {"input": {"messages": []}, "expectedOutput": "x"},
    "a body of nothing": {"input": {"model": "m", "contents": []}, "output": "x"},
    "no choice": {"prompt": "Hi", "output": {"object": "chat.completion", "choices": []}},
    "no candidate": {"prompt": "Hi", "response": {"candidates": [], "usageMetadata": {}}},
}


@pytest.mark.parametrize("row", NOTHING.values(), ids=NOTHING)
def test_a_row_without_a_prompt_or_an_answer_is_no_pair(tmp_path, row):
    keys = list(row)
    whole = (
        {"messages": USER, keys[1]: "Hello"}
        if keys[0] == "messages"
        else {keys[0]: "Hi", keys[1]: "Hello"}
    )
    imported = read(tmp_path, [row, whole])
    assert [pair.output for pair in imported.pairs] == ["Hello"]
    (refusal,) = imported.refusals
    assert refusal.place == "rows.jsonl, line 1"


@pytest.mark.parametrize("field", ["ideal", "reference_answer"])
def test_the_gold_answer_is_the_reference_where_a_model_answered_too(tmp_path, field):
    answered = [*USER, {"role": "assistant", "content": "a guess"}]
    rows = [
        {"messages": answered, field: "gold"},
        {"messages": answered, field: ["gold", "Gold"]},
        {"messages": answered, field: None},
        {"messages": answered, field: []},
    ]
    pairs = read(tmp_path, rows).pairs
    assert [pair.conversation.text for pair in pairs] == ["Hi"] * 4
    assert [(pair.output, pair.references) for pair in pairs] == [
        ("gold", ()),
        ("gold", ("Gold",)),
        ("a guess", ()),
        ("a guess", ()),
    ]


def test_why_a_row_is_refused_is_said_without_words_of_the_library(tmp_path):
    rows = [*ROWS["understudy"], {"prompt": "Hello", "output": "  "}]
    (refusal,) = read(tmp_path, rows).refusals
    assert refusal.reason == "a message has no text"


def test_of_many_refused_rows_a_few_places_are_named_and_the_others_counted(tmp_path):
    rows = [*ROWS["understudy"], *[{"prompt": "Hello", "output": " "}] * 7]
    (line,) = [text for text in read(tmp_path, rows).lines() if "refused" in text]
    count = len(ROWS["understudy"])
    places = "; ".join(f"rows.jsonl, line {count + n}" for n in (1, 2, 3))
    assert line == f"7 rows refused: a message has no text ({places} and 4 more)."
