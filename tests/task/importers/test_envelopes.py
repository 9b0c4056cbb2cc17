"""Rows inside of one object, and lists inside of a row that are no rows."""

import pytest

from core.errors import UserError
from tests.task.importers.examples import CHATS
from tests.task.importers.test_odd_files import OWN, as_jsonl, read, texts

AROUND = {
    "by split": {"train": OWN[:1], "validation": OWN[1:]},
    "by id": {f"q{n}": row for n, row in enumerate(OWN)},
    "beside a version": {"version": "1.0", "pairs": OWN},
    "named by its shape": {
        "conversations": [
            {"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": a}]}
            for p, a in CHATS
        ]
    },
}


@pytest.mark.parametrize("content", AROUND.values(), ids=AROUND)
def test_rows_inside_one_object_are_read(tmp_path, content):
    assert texts(read(tmp_path, content)) == CHATS


@pytest.mark.parametrize("name", ["conversation", "turns", "history"])
def test_the_turns_of_a_conversation_are_not_torn_into_rows(tmp_path, name):
    turns = [{"input": p, "output": a} for p, a in CHATS]
    for content in ({name: turns}, as_jsonl([{name: turns}, {name: turns}])):
        with pytest.raises(UserError, match="not recognized"):
            read(tmp_path, content)


def test_an_object_whose_parts_are_not_all_rows_stays_whole(tmp_path):
    with pytest.raises(UserError, match="not recognized"):
        read(tmp_path, {"train": OWN, "authors": [{"name": "Ada"}]})


FEW_SHOTS = {
    "question": {"question": "What?", "context": OWN},
    "system": {"system": "be nice", "few_shots": OWN, "cases": ["a", "b"]},
    "cases": {"few_shots": OWN, "inputs_to_try": ["a", "b"]},
    "a text of an unknown name": {"id": 7, "complaint": "My lamp is broken.", "shots": OWN},
    "an object": {"question": {"text": "What?"}, "shots": OWN},
    "examples": {"question": "What?", "examples": OWN},
    "data": {"instruction": "Sort.", "data": OWN, "id": 1},
}


@pytest.mark.parametrize("content", FEW_SHOTS.values(), ids=FEW_SHOTS)
@pytest.mark.parametrize("count", [1, 2])
def test_the_examples_of_a_row_are_no_dataset(tmp_path, content, count):
    with pytest.raises(UserError, match=r"not recognized.*--prompt-field"):
        read(tmp_path, as_jsonl([content] * count))


BESIDE_ROWS = {
    "a page": {"object": "list", "data": OWN, "has_more": False, "last_id": "o1", "error": None},
    "a description": {"name": "Our set", "description": "Made by us, in 2026.", "pairs": OWN},
    "lists": {"version": 1.1, "languages": ["en", "de"], "errors": [], "train": OWN},
    "objects": {"meta": {"page": 1}, "links": [{"next": "x y"}], "data": OWN},
}


@pytest.mark.parametrize("content", BESIDE_ROWS.values(), ids=BESIDE_ROWS)
def test_what_is_said_about_rows_beside_them_is_none_of_a_row(tmp_path, content):
    assert texts(read(tmp_path, content)) == CHATS
