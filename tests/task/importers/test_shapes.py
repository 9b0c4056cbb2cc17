import json

import pytest

from core.errors import UserError
from task.importers import SHAPES, read_pairs, shape_named
from task.importers.registry import detect
from tests.task.importers.examples import (
    ANSWERS,
    CHATS,
    PROMPTS,
    ROWS,
    SYSTEM,
    asked,
    chat_completion,
    langchain,
    openai,
    otel_attributes,
    otlp,
    otlp_span,
)

_WITHOUT_SYSTEM = ("alpaca", "understudy", "prompt-completion")


def write(tmp_path, rows, name="rows.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read(tmp_path, rows, **options):
    return read_pairs(write(tmp_path, rows), **options)


@pytest.mark.parametrize("name", ROWS)
def test_a_shape_is_found_by_itself_and_gives_its_pairs(tmp_path, name):
    imported = read(tmp_path, ROWS[name])
    assert imported.parts[0].shape.name == name
    assert imported.refusals == ()
    assert [pair.output for pair in imported.pairs] == ANSWERS
    wanted = [f"{SYSTEM}\n{prompt}" for prompt in PROMPTS] if name == "alpaca" else PROMPTS
    assert [pair.conversation.text for pair in imported.pairs] == wanted


@pytest.mark.parametrize(
    "name",
    [n for n in ROWS if n not in ("alpaca", "understudy", "prompt-completion") and "/" not in n],
)
def test_the_system_message_is_kept(tmp_path, name):
    pairs = read(tmp_path, ROWS[name]).pairs
    assert {pair.conversation.system for pair in pairs} == {SYSTEM}


def test_every_shape_names_its_documentation_and_most_are_shown_above():
    for shape in SHAPES.values():
        assert shape.source.startswith(("https://", "docs/", "README")), shape.name
    assert {name for name in SHAPES if "/" not in name} <= set(ROWS)


def test_an_unknown_shape_raises():
    with pytest.raises(UserError, match=r"no shape 'alpacca'.*alpaca"):
        shape_named("alpacca")


def test_unknown_columns_ask_for_their_names(tmp_path):
    rows = [{"ticket": p, "verdict": a} for p, a in CHATS]
    with pytest.raises(UserError, match=r"'ticket', 'verdict'.*--prompt-field"):
        read(tmp_path, rows)
    pairs = read(tmp_path, rows, prompt_field="ticket", output_field="verdict").pairs
    assert [(pair.conversation.text, pair.output) for pair in pairs] == CHATS
    with pytest.raises(UserError, match="ticket and verdickt; its columns are ticket, verdict"):
        read(tmp_path, rows, prompt_field="ticket", output_field="verdickt")
    with pytest.raises(UserError, match="together"):
        read(tmp_path, rows, prompt_field="ticket")


@pytest.mark.parametrize(
    ("prompt", "output"), [("prompt", "answer"), ("prompt", "label"), ("Question", "Answer ")]
)
def test_usual_names_of_the_two_columns_need_no_option(tmp_path, prompt, output):
    rows = [{prompt: p, output: a, "team": "north"} for p, a in CHATS]
    pairs = read(tmp_path, rows).pairs
    assert [(pair.conversation.text, pair.output) for pair in pairs] == CHATS


def test_two_columns_that_may_be_the_prompt_are_not_guessed_between(tmp_path):
    rows = [{"Question": p, "Message": p, "Label": a} for p, a in CHATS]
    with pytest.raises(UserError, match=r"'Question', 'Message', 'Label'.*--prompt-field"):
        read(tmp_path, rows)


def test_json_objects_are_outputs_and_prompts(tmp_path):
    rows = [{"prompt": {"subject": q}, "output": {"label": a, "n": 1}} for q, a in CHATS]
    pair = read(tmp_path, rows).pairs[0]
    assert json.loads(pair.output) == {"label": "defect", "n": 1}
    assert json.loads(pair.conversation.text) == {"subject": PROMPTS[0]}


@pytest.mark.parametrize("row", [{"prompt": "Hi", "output": None}, {"input": None, "output": "x"}])
def test_null_is_no_text(tmp_path, row):
    rows = [row, *(dict.fromkeys(row, "Hello") for _ in range(2))]
    imported = read(tmp_path, rows)
    assert [pair.output for pair in imported.pairs] == ["Hello", "Hello"]
    assert "the prompt or the answer is null" in imported.refusals[0].reason


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


@pytest.mark.parametrize("shape", ["langfuse", "langsmith"])
def test_an_answer_object_with_a_field_named_message_stays_whole(tmp_path, shape):
    output = {"message": "We refund you.", "category": "billing"}
    rows = {
        "langfuse": [{"traceId": "1", "type": "GENERATION", "input": "Hi", "output": output}],
        "langsmith": [{"inputs": {"question": "Hi"}, "outputs": output}],
    }[shape]
    pair = read(tmp_path, rows).pairs[0]
    assert json.loads(pair.output) == output
    assert pair.conversation.text == "Hi"


def test_turns_are_kept_and_the_last_answer_is_the_output(tmp_path):
    turns = [
        {"from": "system", "value": SYSTEM},
        {"from": "human", "value": "Hello"},
        {"from": "gpt", "value": "Hello, how can I help?"},
        {"from": "human", "value": "It leaks."},
        {"from": "gpt", "value": "defect"},
    ]
    pair = read(tmp_path, [{"conversations": turns}]).pairs[0]
    roles = [message.role for message in pair.conversation.messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert pair.output == "defect"


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
    ],
}


@pytest.mark.parametrize("name", SKIPPED)
def test_calls_that_failed_or_are_no_completions_are_skipped(tmp_path, name):
    first = ROWS[name][0]
    imported = read(tmp_path, [*ROWS[name], *(first | change for change in SKIPPED[name])])
    assert len(imported.pairs) == len(CHATS)
    assert [refusal.skipped for refusal in imported.refusals] == [True] * len(SKIPPED[name])


@pytest.mark.parametrize("name", ["langfuse", "langsmith", "helicone", "capture"])
def test_rows_of_a_session_know_it(tmp_path, name):
    sessions = [pair.session for pair in read(tmp_path, ROWS[name]).pairs]
    assert sessions == ["s0", "s0", "s1", "s1", "s2", "s2"]


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


def test_columns_with_few_values_become_tags_and_the_others_are_named(tmp_path):
    rows = [
        row | {"team": "north" if n < 3 else "south", "ticket_number": f"T{n}", "stream": True}
        for n, row in enumerate(ROWS["understudy"])
    ]
    imported = read(tmp_path, rows)
    assert imported.parts[0].columns.tags == ("team",)
    assert imported.parts[0].columns.ignored == ("stream", "ticket_number")
    assert imported.pairs[0].tags == ("en", "team:north")
    said = imported.lines()
    assert "Columns used as tags: team." in said
    assert "Columns ignored: stream, ticket_number." in said


def test_properties_of_a_log_become_tags(tmp_path):
    rows = [
        row
        | {"request_properties": {"plan": "free" if n % 2 else "paid", "Helicone-Session-Id": n}}
        for n, row in enumerate(ROWS["helicone"])
    ]
    assert read(tmp_path, rows).pairs[1].tags == ("request_properties.plan:free",)


def test_the_commonest_shape_wins_and_the_more_particular_of_equals():
    assert detect([*ROWS["litellm"], {"prompt": "a", "output": "b"}]).name == "litellm"
    assert detect(ROWS["alpaca"]).name == "alpaca"


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


def test_references_without_an_output_say_what_to_do(tmp_path):
    rows = [{"prompt": "a", "references": ["x", "y"]}, {"prompt": "b", "output": "q"}]
    (refusal,) = read(tmp_path, rows).refusals
    assert "give one of them as the output" in refusal.reason
