"""Columns that are guessed by their names, and what a column `label` means."""

import pytest

from core.errors import UserError
from tests.task.importers.examples import CHATS
from tests.task.importers.reading import read

LONG = "a longer text of several words, number {}"
AMBIGUOUS = {
    "user is a person": lambda n: {"user": f"u{n}", "customer_text": f"text {n}", "reply": f"r{n}"},
    "source is a channel": lambda n: {"source": "email", "summary": f"s {n}", "body": f"b {n}"},
    "reference is an id": lambda n: {
        "message": f"My lamp {n} is broken",
        "reference": f"ORD-{n}",
        "resolution": f"sent new {n}",
    },
    "category is a tag": lambda n: {"problem": f"p {n}", "category": "hardware", "fix": f"x {n}"},
    "intent is a tag": lambda n: {"query": f"q {n}", "intent": f"i{n % 2}", "fix": f"x {n}"},
    "the prompt is a tag": lambda n: {"message": "alert", "answer": f"a {n}", "details": f"d {n}"},
    "the answer is a tag": lambda n: {"message": f"m {n}", "label": "new", "verdict": f"v {n}"},
    "a longer text is left over": lambda n: {
        "message": f"Lamp {n}",
        "answer": f"a{n}",
        "body": LONG.format(n),
    },
    "a text longer than the answer is left over": lambda n: {
        "message": 3 * LONG.format(n),
        "label": "ab"[n % 2],
        "resolution": LONG.format(n),
    },
}


@pytest.mark.parametrize("row", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_columns_that_may_mean_something_else_are_asked_for(tmp_path, row):
    with pytest.raises(UserError, match="--prompt-field NAME --output-field NAME"):
        read(tmp_path, [row(n) for n in range(6)])


BESIDE = {
    "few values": lambda n: ["a team of a longer name", "another one of a longer name"][n % 2],
    "a time": lambda n: f"2026-11-0{n + 1} 10:00:00 +0100",
    "an address": lambda n: f"https://example.com/a/long/path/of/a/page/{n}",
    "an id": lambda n: f"0000-1111-2222-3333-4444-{n}",
}


@pytest.mark.parametrize("other", BESIDE.values(), ids=BESIDE)
def test_what_is_no_text_leaves_no_doubt(tmp_path, other):
    rows = [{"Message": p, "Label": a, "x": other(n)} for n, (p, a) in enumerate(CHATS)]
    pairs = read(tmp_path, rows).pairs
    assert [(pair.conversation.text, pair.output) for pair in pairs] == CHATS


@pytest.mark.parametrize(
    ("bad", "good"), [(0, 1), ("0", "1"), (0.0, 1.0), (False, 1), ("FALSE", "TRUE")]
)
def test_numbers_that_label_completions_are_verdicts_too(tmp_path, bad, good):
    rows = [
        {"prompt": p, "completion": a, "label": good if n else bad}
        for n, (p, a) in enumerate(CHATS)
    ]
    imported = read(tmp_path, rows)
    assert len(imported.pairs) == len(CHATS) - 1
    (refusal,) = imported.refusals
    assert (refusal.place, refusal.skipped) == ("rows.jsonl, line 1", True)
    assert "a bad one" in refusal.reason


@pytest.mark.parametrize(
    "labels",
    [[0, 1, 2], ["0", "1", "2"], [False, True, "unsure"], ["false", "true", "half-true"]],
)
def test_labels_of_which_one_is_no_verdict_skip_nothing(tmp_path, labels):
    rows = [
        {"prompt": f"{n}: {p}", "completion": a, "label": label}
        for n, label in enumerate(3 * labels)
        for p, a in CHATS
    ]
    imported = read(tmp_path, rows)
    assert len(imported.pairs) == len(rows)
    assert imported.refusals == ()
    if all(isinstance(label, str) for label in labels):
        assert imported.pairs[0].tags == (f"label:{labels[0]}",)


def test_a_label_beside_the_name_of_its_class_skips_nothing(tmp_path):
    rows = [
        {"prompt": p, "completion": a, "label": n % 2, "label_name": ["ham", "spam"][n % 2]}
        for n, (p, a) in enumerate(CHATS)
    ]
    assert len(read(tmp_path, rows).pairs) == len(CHATS)


@pytest.mark.parametrize(
    "column",
    ["custom_llm_provider", "finish_reason", "environment", "served_by", "call_type", "cache_hit"],
)
def test_how_a_call_was_made_is_no_tag(tmp_path, column):
    rows = [
        {"prompt": f"Lamp {n}", "output": f"a {n}", column: "xy"[n % 2], "team": "uv"[n % 2]}
        for n in range(12)
    ]
    found = read(tmp_path, rows)
    assert {tag for pair in found.pairs for tag in pair.tags} == {"team:u", "team:v"}
