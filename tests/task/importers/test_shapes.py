"""Every shape of rows is found by itself, and gives its pairs."""

import json
from pathlib import Path

import pytest

from core.errors import UserError
from task.importers import SHAPES, shape_named
from task.importers.registry import detect
from tests.task.importers.examples import (
    ANSWERS,
    CHATS,
    PROMPTS,
    ROWS,
    SYSTEM,
)
from tests.task.importers.reading import read

_WITHOUT_SYSTEM = ("alpaca", "understudy", "prompt-completion")


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
    [
        name
        for name in ROWS
        if name not in ("alpaca", "dolly", "understudy", "prompt-completion") and "/" not in name
    ],
)
def test_the_system_message_is_kept(tmp_path, name):
    pairs = read(tmp_path, ROWS[name]).pairs
    assert {pair.conversation.system for pair in pairs} == {SYSTEM}


def test_every_shape_names_its_documentation_and_most_are_shown_above():
    for shape in SHAPES.values():
        assert shape.source.startswith(("https://", "docs/", "README")), shape.name
    assert {name for name in SHAPES if "/" not in name} <= set(ROWS)


def test_the_page_of_a_shape_of_our_own_describes_it():
    own = {shape.name: shape.source for shape in SHAPES.values() if "//" not in shape.source}
    assert own["capture"] == "docs/takeover.md#capture"
    for name, source in own.items():
        page, _, anchor = source.partition("#")
        text = (Path(__file__).parents[3] / page).read_text(encoding="utf-8")
        found = text.partition(f"\n## {anchor.capitalize()}\n")[2].partition("\n## ")[0]
        assert not anchor or '{"schema_version": 1, "id"' in found, name


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


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi", "output": None},
        {"input": None, "output": "x"},
        {"prompt": "Hi", "output": float("nan")},
    ],
)
def test_null_is_no_text(tmp_path, row):
    rows = [row, *(dict.fromkeys(row, "Hello") for _ in range(2))]
    imported = read(tmp_path, rows)
    assert [pair.output for pair in imported.pairs] == ["Hello", "Hello"]
    assert "the prompt or the answer is null" in imported.refusals[0].reason


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


def test_the_context_of_a_question_is_part_of_its_prompt(tmp_path):
    row = {"instruction": "Who wrote it?", "context": "A book by Ada.", "response": "Ada"}
    (pair,) = read(tmp_path, [row]).pairs
    assert (pair.conversation.text, pair.output) == ("Who wrote it?\nA book by Ada.", "Ada")


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


HELLO = {"role": "assistant", "content": "Hello"}


CHOSEN = {
    "texts": {"prompt": "Hi", "chosen": "Hello"},
    "answer": {"prompt": "Hi", "chosen": [HELLO]},
    "whole": {"chosen": [{"role": "user", "content": "Hi"}, HELLO]},
}


@pytest.mark.parametrize("row", CHOSEN.values(), ids=CHOSEN)
def test_of_preferences_the_chosen_answer_is_taken(tmp_path, row):
    (pair,) = read(tmp_path, [row | {"rejected": "No"}]).pairs
    assert (pair.conversation.text, pair.output) == ("Hi", "Hello")


@pytest.mark.parametrize("name", ["langfuse", "langsmith", "helicone", "capture"])
def test_rows_of_a_session_know_it(tmp_path, name):
    sessions = [pair.session for pair in read(tmp_path, ROWS[name]).pairs]
    assert sessions == ["s0", "s0", "s1", "s1", "s2", "s2"]


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


def test_references_without_an_output_say_what_to_do(tmp_path):
    rows = [{"prompt": "a", "references": ["x", "y"]}, {"prompt": "b", "output": "q"}]
    (refusal,) = read(tmp_path, rows).refusals
    assert "give one of them as the output" in refusal.reason
