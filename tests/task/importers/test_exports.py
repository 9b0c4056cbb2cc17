"""Exports as the tools write them, with what is odd about each."""

import csv
import json

import pytest

from core.errors import UserError
from task.importers import read_pairs
from tests.task.importers.examples import (
    ANSWERS,
    CHATS,
    PROMPTS,
    ROWS,
    SYSTEM,
    asked,
    chat_completion,
    otel_attributes,
    otlp_span,
)
from tests.task.test_json_cells import export


def found(path):
    return [(pair.conversation.text, pair.output) for pair in read_pairs(str(path)).pairs]


def write_table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def cells(row, write):
    """A row of a table, with objects and lists as texts."""
    return {key: value if isinstance(value, str) else write(value) for key, value in row.items()}


def test_langfuse_csv_of_messages_is_read(tmp_path):
    path = tmp_path / "export.csv"
    path.write_text(export(ROWS["langfuse"]), encoding="utf-8")
    (part,) = read_pairs(str(path)).parts
    assert part.shape.name == "langfuse"
    assert [(p.conversation.text, p.conversation.system, p.output) for p in part.pairs] == [
        (question, SYSTEM, answer) for question, answer in CHATS
    ]


def test_texts_of_a_langfuse_csv_keep_quotes_commas_and_line_breaks(tmp_path):
    """One text with a comma, which its writer escapes, and one without, which it does not."""
    texts = [('Say "hi"\nto me', 'a "b"\nc'), ('Say "hi", please', 'a, "b"')]
    rows = [
        {"id": f"o{n}", "traceId": f"t{n}", "type": "GENERATION", "input": q, "output": a}
        for n, (q, a) in enumerate(texts)
    ]
    (tmp_path / "export.csv").write_text(export(rows), encoding="utf-8")
    assert found(tmp_path / "export.csv") == texts


def test_helicone_without_bodies_says_how_to_export_them(tmp_path):
    """Its CSV has no column for responses; its JSON has bodies only with --include-body."""
    columns = ("request_id", "request_body", "response_status", "request_properties")
    rows = [{key: json.dumps(row[key]) for key in columns} for row in ROWS["helicone"]]
    write_table(tmp_path / "export.csv", rows)
    with pytest.raises(UserError, match="response_body is missing; Helicone exports both bodies"):
        read_pairs(str(tmp_path / "export.csv"))


def test_litellm_logs_without_messages_are_skipped(tmp_path):
    """Without `store_prompts_in_spend_logs` both columns hold an empty object."""
    rows = [
        {
            "request_id": row["id"],
            "call_type": "acompletion",
            "model_group": "g",
            "messages": "{}" if n < 2 else json.dumps(row["messages"]),
            "response": "{}" if n < 2 else json.dumps(row["response"]),
        }
        for n, row in enumerate(ROWS["litellm"])
    ]
    write_table(tmp_path / "logs.csv", rows)
    imported = read_pairs(str(tmp_path / "logs.csv"))
    assert [pair.output for pair in imported.pairs] == ANSWERS[2:]
    assert [refusal.skipped for refusal in imported.refusals] == [True, True]
    assert "store_prompts_in_spend_logs" in imported.refusals[0].reason


def spend_log(row, **changes):
    """A row of LiteLLM's spend logs, where the body of the request has the prompt."""
    body = {"model": "gemini-flash", "messages": row["messages"], "metadata": {"user": "u"}}
    return {
        "request_id": row["id"],
        "call_type": "acompletion",
        "session_id": f"session-{row['id']}",
        "messages": {},
        "response": row["response"],
        "proxy_server_request": body,
    } | changes


def test_litellm_spend_logs_have_the_prompt_in_the_body_of_the_request(tmp_path):
    """https://github.com/BerriAI/litellm/issues/34747: their column messages is empty."""
    rows = [spend_log(row) for row in ROWS["litellm"]]
    write_jsonl(tmp_path / "logs.jsonl", rows)
    assert found(tmp_path / "logs.jsonl") == CHATS
    pair = read_pairs(str(tmp_path / "logs.jsonl")).pairs[0]
    assert (pair.id, pair.session) == ("chatcmpl-0", "session-chatcmpl-0")
    write_table(tmp_path / "logs.csv", [cells(row, json.dumps) for row in rows])
    assert found(tmp_path / "logs.csv") == CHATS
    whole = [row | {"proxy_server_request": {"body": row["proxy_server_request"]}} for row in rows]
    write_jsonl(tmp_path / "whole.jsonl", whole)
    assert found(tmp_path / "whole.jsonl") == CHATS


@pytest.mark.parametrize("messages", [{}, "{}", [], None, ""])
def test_litellm_logs_without_a_prompt_are_never_taken_for_one(tmp_path, messages):
    rows = [row | {"messages": messages} for row in ROWS["litellm"]]
    write_jsonl(tmp_path / "logs.jsonl", rows)
    with pytest.raises(UserError, match="store_prompts_in_spend_logs"):
        read_pairs(str(tmp_path / "logs.jsonl"))


CUT = (
    "Dear ... (litellm_truncated skipped 812 chars. Truncation is a DB storage safeguard.) ... Ada"
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"messages": [{"role": "user", "content": CUT}]}, "MAX_STRING_LENGTH_PROMPT_IN_DB"),
        (
            {"response": {"choices": [{"message": {"content": "Yes... (truncated 12 chars)"}}]}},
            "MAX_STRING_LENGTH_PROMPT_IN_DB",
        ),
        ({"response": {"text": "redacted-by-litellm"}}, "turn_off_message_logging"),
        (
            {"messages": [{"role": "user", "content": "redacted-by-litellm"}]},
            "turn_off_message_logging",
        ),
    ],
    ids=["prompt", "answer", "redacted answer", "redacted prompt"],
)
def test_texts_that_litellm_cut_off_or_redacted_are_no_pairs(tmp_path, changes, reason):
    first, *rest = ROWS["litellm"]
    write_jsonl(tmp_path / "logs.jsonl", [first | changes, *rest])
    imported = read_pairs(str(tmp_path / "logs.jsonl"))
    assert [pair.output for pair in imported.pairs] == ANSWERS[1:]
    assert reason in imported.refusals[0].reason


def test_a_system_message_that_litellm_cut_off_is_left_to_the_user(tmp_path):
    row = ROWS["litellm"][0]
    messages = [{"role": "system", "content": CUT}, row["messages"][-1]]
    write_jsonl(tmp_path / "logs.jsonl", [row | {"messages": messages}])
    (pair,) = read_pairs(str(tmp_path / "logs.jsonl")).pairs
    assert (pair.conversation.system, pair.output) == (None, ANSWERS[0])


@pytest.mark.parametrize("write", [str, json.dumps], ids=["python", "json"])
@pytest.mark.parametrize("name", ["openai-messages", "sharegpt", "gemini-tuning"])
def test_conversations_in_cells_are_read_as_pandas_and_others_write_them(tmp_path, name, write):
    write_table(tmp_path / "table.csv", [cells(row, write) for row in ROWS[name]])
    assert found(tmp_path / "table.csv") == CHATS
    systems = {p.conversation.system for p in read_pairs(str(tmp_path / "table.csv")).pairs}
    assert systems == {SYSTEM}


def test_lists_in_cells_that_cannot_be_read_say_how_to_export_them(tmp_path):
    # As pandas writes the arrays of a Parquet file, without commas.
    cell = "[{'role': 'user', 'content': 'Hi'}\n {'role': 'assistant', 'content': 'Hello'}]"
    write_table(tmp_path / "table.csv", [{"messages": cell}])
    with pytest.raises(UserError, match="export it as JSONL or Parquet"):
        read_pairs(str(tmp_path / "table.csv"))
    span = otlp_span(1, otel_attributes("Hi", "x") | {"gen_ai.input.messages": '[{"role": "us'})
    write_jsonl(tmp_path / "spans.jsonl", [span])
    with pytest.raises(UserError, match=r"a list that cannot be read.*cut off"):
        read_pairs(str(tmp_path / "spans.jsonl"))


@pytest.mark.parametrize("cell", ["['en', 'shop']", '["en", "shop"]', "en; shop", "en,shop"])
def test_tags_in_a_cell_are_a_list_or_texts_with_separators(tmp_path, cell):
    write_table(tmp_path / "table.csv", [{"prompt": "Hi", "output": "Hello", "tags": cell}])
    assert read_pairs(str(tmp_path / "table.csv")).pairs[0].tags == ("en", "shop")


@pytest.mark.parametrize(
    ("cell", "tags"),
    [("[urgent]", ("[urgent]",)), ("[a], [b]", ("[a]", "[b]")), ("[don't]", ("[don't]",))],
)
def test_tags_in_brackets_are_tags(tmp_path, cell, tags):
    write_table(tmp_path / "table.csv", [{"prompt": "Hi", "output": "Hello", "tags": cell}])
    assert read_pairs(str(tmp_path / "table.csv")).pairs[0].tags == tags


def test_a_list_of_tags_that_was_cut_off_is_refused(tmp_path):
    row = {"prompt": "Hi", "output": "Hello", "tags": '["en", "sh'}
    write_table(tmp_path / "table.csv", [row])
    with pytest.raises(UserError, match="export it as JSONL or Parquet"):
        read_pairs(str(tmp_path / "table.csv"))


@pytest.mark.parametrize("text", ["{{}}", "{[1]: 2}", "{{'a': 1}}", "[{{'x'}}]"])
def test_a_text_that_only_looks_like_python_is_text(tmp_path, text):
    row = ROWS["langfuse"][0] | {"input": text, "output": "Hello", "metadata": text}
    write_jsonl(tmp_path / "rows.jsonl", [row])
    assert found(tmp_path / "rows.jsonl") == [(text, "Hello")]


def test_arguments_of_a_traced_function_are_no_prompt(tmp_path):
    row = {"traceId": "1", "input": {"args": ["Hi"], "kwargs": {}}, "output": "Hello"}
    write_jsonl(tmp_path / "traces.jsonl", [row])
    with pytest.raises(UserError, match="arguments of a Python function"):
        read_pairs(str(tmp_path / "traces.jsonl"))


def test_an_answer_is_the_message_of_the_first_choice_where_choices_are_logged(tmp_path):
    """As Braintrust's wrapper of a client does."""
    rows = [{"input": asked(q), "output": chat_completion(a)["choices"]} for q, a in CHATS]
    write_jsonl(tmp_path / "logs.jsonl", rows)
    assert found(tmp_path / "logs.jsonl") == CHATS


def test_opentelemetry_log_records_are_read(tmp_path):
    """Conventions from 1.37 on put the messages of a call into an event."""
    event = "gen_ai.client.inference.operation.details"
    records = [
        {"eventName": event, "attributes": otlp_span(n, otel_attributes(q, a))["attributes"]}
        for n, (q, a) in enumerate(CHATS)
    ]
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    (tmp_path / "logs.jsonl").write_text(json.dumps(document) + "\n", encoding="utf-8")
    assert found(tmp_path / "logs.jsonl") == CHATS


def test_spans_that_a_console_exporter_printed_are_read(tmp_path):
    spans = [
        {
            "name": "chat",
            "context": {"trace_id": f"0x{n // 2}", "span_id": f"0x{n}"},
            "attributes": {
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": question,
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.content": answer,
            },
        }
        for n, (question, answer) in enumerate(CHATS)
    ]
    text = "\n".join(json.dumps(span, indent=4) for span in spans)
    (tmp_path / "spans.json").write_text(text, encoding="utf-8")
    pairs = read_pairs(str(tmp_path / "spans.json")).pairs
    assert [(pair.conversation.text, pair.output) for pair in pairs] == CHATS
    assert [pair.session for pair in pairs] == ["0x0", "0x0", "0x1", "0x1", "0x2", "0x2"]


GEMINI_ANSWERS = {
    "refused": ({"promptFeedback": {"blockReason": "SAFETY"}}, "refused the prompt (SAFETY)"),
    "empty": ({}, "the response is empty"),
    "failed": ({"error": {"code": 429, "message": "quota"}, "candidates": []}, "the call failed"),
}


@pytest.mark.parametrize("names", [("request", "response"), ("full_request", "full_response")])
@pytest.mark.parametrize(("answer", "reason"), GEMINI_ANSWERS.values(), ids=GEMINI_ANSWERS)
def test_logs_and_batches_of_vertex_ai_are_read(tmp_path, names, answer, reason):
    def row(question, response):
        body = {"contents": [{"role": "user", "parts": [{"text": question}]}]}
        system = {"systemInstruction": {"parts": [{"text": SYSTEM}]}}
        return {"status": "", names[0]: body | system, names[1]: response}

    rows = [
        row(q, {"candidates": [{"content": {"role": "model", "parts": [{"text": a}]}}]})
        for q, a in CHATS
    ]
    lines = "".join(json.dumps(line) + "\n" for line in [*rows, row("Hi", answer)])
    (tmp_path / "out.jsonl").write_text(lines, encoding="utf-8")
    imported = read_pairs(str(tmp_path / "out.jsonl"))
    assert [pair.conversation.text for pair in imported.pairs] == PROMPTS
    assert {pair.conversation.system for pair in imported.pairs} == {SYSTEM}
    (refusal,) = imported.refusals
    assert reason in refusal.reason


def test_an_empty_object_is_an_answer_of_a_prompt_that_is_no_request(tmp_path):
    """A task may extract nothing."""
    (tmp_path / "a.jsonl").write_text('{"prompt": "Hello", "output": {}}\n', encoding="utf-8")
    assert found(tmp_path / "a.jsonl") == [("Hello", "{}")]


OFFERS_TOOLS = {
    "langsmith": {
        "run_type": "llm",
        "inputs": {"messages": asked("Hi")},
        "outputs": {"output": "Hello"},
        "extra": {"invocation_params": {"tools": [{"name": "find"}]}},
    },
    "opentelemetry": otlp_span(
        1, otel_attributes("Hi", "Hello") | {"gen_ai.tool.definitions": '[{"name": "find"}]'}
    ),
}


@pytest.mark.parametrize("row", OFFERS_TOOLS.values(), ids=OFFERS_TOOLS)
def test_requests_that_offer_tools_are_refused_in_traces_too(tmp_path, row):
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="offers tools"):
        read_pairs(str(tmp_path / "a.jsonl"))


def test_the_property_that_names_the_session_is_no_tag(tmp_path):
    rows = [
        row | {"request_properties": {"Helicone-Session-Id": f"s{n // 3}", "plan": "ab"[n % 2]}}
        for n, row in enumerate(ROWS["helicone"])
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (part,) = read_pairs(str(tmp_path / "a.jsonl")).parts
    assert [pair.session for pair in part.pairs] == ["s0"] * 3 + ["s1"] * 3
    assert part.columns.tags == ("request_properties.plan",)
    assert "request_properties.Helicone-Session-Id" not in part.columns.ignored
