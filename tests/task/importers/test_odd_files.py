"""Files of known shapes as other tools write them: around the rows, beside them, and by name."""

import json

import pytest

from core.errors import UserError
from task.importers import read_pairs
from tests.task.importers.examples import ANSWERS, CHATS, PROMPTS


def read(tmp_path, content, name="rows.json"):
    path = tmp_path / name
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode())
    return read_pairs(str(path))


def as_jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def texts(imported):
    return [(pair.conversation.text, pair.output) for pair in imported.pairs]


OWN = [{"prompt": p, "output": a} for p, a in CHATS]


def span(number, prompt, answer):
    asked = [{"role": "user", "parts": [{"type": "text", "content": prompt}]}]
    given = [{"role": "assistant", "parts": [{"type": "text", "content": answer}]}]
    return {
        "id": f"s{number}",
        "trace": f"t{number}",
        "attributes": {
            "gen_ai.input.messages": json.dumps(asked),
            "gen_ai.output.messages": json.dumps(given),
        },
    }


SPANS = [span(n, *chat) for n, chat in enumerate(CHATS)]
OTLP = [
    {
        "spanId": s["id"],
        "traceId": s["trace"],
        "attributes": [
            {"key": key, "value": {"stringValue": value}} for key, value in s["attributes"].items()
        ],
    }
    for s in SPANS
]
RESOURCES = [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": OTLP}]}]
TRACES = {
    "Tempo": {"batches": RESOURCES},
    "Tempo's second version": {"trace": {"resourceSpans": RESOURCES}},
    "Jaeger": {
        "data": [
            {
                "traceID": s["trace"],
                "spans": [
                    {
                        "traceID": s["trace"],
                        "spanID": s["id"],
                        "tags": [
                            {"key": key, "type": "string", "value": value}
                            for key, value in s["attributes"].items()
                        ],
                    }
                ],
                "processes": {},
            }
            for s in SPANS
        ]
    },
}


@pytest.mark.parametrize("content", TRACES.values(), ids=TRACES)
def test_spans_are_read_as_the_stores_of_traces_export_them(tmp_path, content):
    imported = read(tmp_path, content)
    assert texts(imported) == CHATS
    assert [(pair.id, pair.session) for pair in imported.pairs] == [
        (s["id"], s["trace"]) for s in SPANS
    ]


def event(name, **attributes):
    return {"name": f"gen_ai.{name}", "attributes": attributes}


def as_json(role, text):
    return json.dumps({"role": role, "content": text})


EVENTS = {
    "a message each": lambda p, a: [
        event("system.message", content="Be short."),
        event("user.message", content=p, role="user"),
        event("choice", message=as_json("assistant", a), finish_reason="stop", index=0),
    ],
    "as JSON": lambda p, a: [
        event("user.message", **{"gen_ai.event.content": as_json("user", p)}),
        event("choice", **{"gen_ai.event.content": json.dumps({"message": {"content": a}})}),
    ],
    "of all": lambda p, a: [
        event("content.prompt", **{"gen_ai.prompt": f"[{as_json('user', p)}]"}),
        event("content.completion", **{"gen_ai.completion": f"[{as_json('assistant', a)}]"}),
    ],
}


@pytest.mark.parametrize("events", EVENTS.values(), ids=EVENTS)
def test_messages_in_events_of_earlier_conventions_are_read(tmp_path, events):
    rows = [
        {
            "name": "chat",
            "context": {"trace_id": f"t{n}", "span_id": f"s{n}"},
            "attributes": {"gen_ai.system": "openai"},
            "events": events(*chat),
        }
        for n, chat in enumerate(CHATS)
    ]
    found = read(tmp_path, as_jsonl(rows)).pairs
    assert [pair.conversation.messages[-1].text for pair in found] == PROMPTS
    assert [pair.output for pair in found] == ANSWERS
    cut = [
        {**rows[0], "events": [*rows[0]["events"][:-1], event("choice", finish_reason="length")]}
    ]
    imported = read(tmp_path, as_jsonl([*cut, *rows[1:]]))
    assert len(imported.pairs) == len(CHATS) - 1
    assert "the answer is cut off" in imported.refusals[0].reason


def test_items_of_a_langfuse_dataset_have_what_is_expected(tmp_path):
    items = [
        {"id": f"i{n}", "datasetId": "d", "input": {"question": p}, "expectedOutput": {"a": a}}
        for n, (p, a) in enumerate(CHATS)
    ]
    imported = read(tmp_path, {"data": items, "meta": {"page": 1}})
    assert texts(imported) == CHATS
    assert imported.parts[0].shape.name == "langfuse"


@pytest.mark.parametrize("call", ["acompletion", "aresponses", "anthropic_messages"])
def test_litellm_logs_of_every_api_that_answers_with_text_are_read(tmp_path, call):
    rows = [
        {
            "id": f"c{n}",
            "call_type": call,
            "status": "success",
            "messages": [{"role": "user", "content": p}],
            "response": {"choices": [{"message": {"role": "assistant", "content": a}}]}
            if call == "acompletion"
            else {"output": [{"type": "message", "role": "assistant", "content": a}]}
            if call == "aresponses"
            else {"role": "assistant", "content": [{"type": "text", "text": a}]},
        }
        for n, (p, a) in enumerate(CHATS)
    ]
    assert texts(read(tmp_path, as_jsonl(rows))) == CHATS


@pytest.mark.parametrize("name", ["ROWS.CSV", "rows", "rows.psv", "Rows.Tsv"])
def test_a_table_is_known_by_its_content(tmp_path, name):
    text = "prompt\toutput\n" + "".join(f"{p}\t{a}\n" for p, a in CHATS)
    assert texts(read(tmp_path, text, name)) == CHATS
    if name != "rows":
        return
    assert texts(read(tmp_path, as_jsonl(OWN), name)) == CHATS


def test_what_datasets_keeps_beside_the_rows_is_not_read(tmp_path):
    """`map` and `filter` write what they made next to a dataset that was loaded from a folder."""
    import pyarrow
    import pyarrow.feather

    table = pyarrow.Table.from_pylist(OWN)
    for name in ("data-00000-of-00001.arrow", "cache-1a2b.arrow"):
        pyarrow.feather.write_feather(table, tmp_path / name)
    (tmp_path / "state.json").write_text("{}")
    imported = read_pairs(str(tmp_path))
    assert texts(imported) == CHATS
    assert imported.ignored == ("cache-1a2b.arrow",)
    (tmp_path / "data-00000-of-00001.arrow").rename(tmp_path / "rows.feather")
    assert texts(read_pairs(str(tmp_path))) == CHATS


def test_a_table_whose_column_has_no_readable_name_says_so(tmp_path):
    import pyarrow
    import pyarrow.parquet

    file = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(OWN), file)
    file.write_bytes(file.read_bytes().replace(b"output", b"out\x8fut"))
    with pytest.raises(UserError, match="not a Parquet or Arrow file: "):
        read_pairs(str(file))


def test_an_answer_of_weight_zero_is_skipped(tmp_path):
    """OpenAI's fine-tuning: whether the assistant message is trained against."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": p},
                {"role": "assistant", "content": "Hm.", "weight": 0},
                {"role": "user", "content": p},
                {"role": "assistant", "content": a, "weight": n % 2},
            ]
        }
        for n, (p, a) in enumerate(CHATS)
    ]
    imported = read(tmp_path, as_jsonl(rows))
    assert [pair.output for pair in imported.pairs] == ANSWERS[1::2]
    assert {refusal.skipped for refusal in imported.refusals} == {True}
    assert "weight 0" in imported.refusals[0].reason


@pytest.mark.parametrize(("bad", "good"), [(False, True), ("False", "True"), ("false", "true")])
def test_completions_that_are_labeled_bad_are_skipped(tmp_path, bad, good):
    """TRL's unpaired preferences."""
    rows = [
        {"prompt": p, "completion": a, "label": good if n else bad}
        for n, (p, a) in enumerate(CHATS)
    ]
    imported = read(tmp_path, as_jsonl(rows))
    assert texts(imported) == CHATS[1:]
    (refusal,) = imported.refusals
    assert refusal.skipped
    assert "a bad one" in refusal.reason


def test_a_label_that_is_a_word_skips_nothing(tmp_path):
    rows = [{"prompt": p, "completion": a, "label": a} for p, a in CHATS]
    assert texts(read(tmp_path, as_jsonl(rows))) == CHATS


@pytest.mark.parametrize("asked", ["input", "messages"])
@pytest.mark.parametrize("field", ["ideal", "reference_answer"])
def test_what_evals_expect_is_the_answer_and_several_are_all_right(tmp_path, asked, field):
    if (asked, field) == ("input", "reference_answer"):
        asked = "messages"
    several = [{asked: [{"role": "user", "content": p}], field: [a, a.upper()]} for p, a in CHATS]
    imported = read(tmp_path, as_jsonl(several))
    assert texts(imported) == CHATS
    assert [pair.references for pair in imported.pairs] == [(a.upper(),) for a in ANSWERS]
    as_object = [{**row, field: {"label": row[field][0]}} for row in several]
    pairs = read(tmp_path, as_jsonl(as_object)).pairs
    assert [json.loads(pair.output) for pair in pairs] == [{"label": a} for a in ANSWERS]


NAMES = (
    *(("Instruction", "Response"), ("user", "assistant"), ("problem", "solution")),
    *(("User Message", "Expected Output"), ("user-prompt", "model_response")),
    *(("document", "summary"), ("sentence", "label"), ("source", "target")),
)


@pytest.mark.parametrize(("prompt", "output"), NAMES)
def test_names_that_data_sets_use_need_no_option(tmp_path, prompt, output):
    assert texts(read(tmp_path, as_jsonl({prompt: p, output: a} for p, a in CHATS))) == CHATS


def test_a_usual_name_wins_over_a_rarer_one(tmp_path):
    rows = [{"query": p, "answer": a, "category": "x", "source": "mail"} for p, a in CHATS]
    assert texts(read(tmp_path, as_jsonl(rows))) == CHATS


def test_the_system_message_beside_user_and_assistant_is_kept(tmp_path):
    rows = [{"system": "Be short.", "user": p, "assistant": a} for p, a in CHATS]
    found = read(tmp_path, as_jsonl(rows)).pairs
    assert {pair.conversation.messages[0].text for pair in found} == {"Be short."}


@pytest.mark.parametrize("start", ["prompt, output\n", '"prompt", "output"\n'])
def test_quoted_cells_behind_a_space_are_cells(tmp_path, start):
    lines = "".join(f'"{p}", "{a}"\n' for p, a in CHATS)
    assert texts(read(tmp_path, start + lines, "rows.csv")) == CHATS


def test_commas_and_quotes_inside_of_cells_make_no_spaced_ones(tmp_path):
    cells = ['Say ""no"", ""yes"", or what?', " leading space"]
    text = "prompt,output\n" + "".join(f'"{cell}",x\n' for cell in cells)
    found = [text for text, _ in texts(read(tmp_path, text, "rows.csv"))]
    assert found == ['Say "no", "yes", or what?', " leading space"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_second_byte_order_mark_is_none_of_the_text(tmp_path, name):
    """As a program leaves one that puts it before a file that has one; or `cat` between two."""
    mark = "\ufeff"
    lines = {
        "rows.csv": "prompt,output\n" + "".join(f'"{p}",{a}\n' for p, a in CHATS),
        "rows.jsonl": as_jsonl(OWN),
    }[name]
    assert texts(read(tmp_path, mark + mark + lines, name)) == CHATS
    if name == "rows.jsonl":
        twice = mark + as_jsonl(OWN[:1]) + mark + as_jsonl(OWN[1:])
        assert texts(read(tmp_path, twice, name)) == CHATS
