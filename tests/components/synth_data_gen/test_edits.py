"""A person edits, deletes and adds rows of a round."""

import json

import pytest

from components.synth_data_gen.edits import apply_edits, editable_lines
from core.errors import UserError
from core.synthetic_records import SyntheticRow
from tests.records import synthetic_row

HISTORY = {"train": [synthetic_row("old", "an old prompt")], "eval": [synthetic_row("o2", "old 2")]}
NEW = {
    "train": [synthetic_row(f"n{n}", f"new prompt {n}", round=2) for n in range(4)],
    "eval": [synthetic_row("n9", "new prompt 9", round=2)],
}
TOGETHER = {split: [*HISTORY[split], *NEW[split]] for split in NEW}


def apply(lines, **options):
    text = "\n".join(lines)
    values = {"source": "rows.jsonl", "round": 2, "eval_fraction": 0.1, "leak": lambda prompt: None}
    return apply_edits(NEW, HISTORY, text, **(values | options))


@pytest.fixture
def lines():
    return editable_lines(TOGETHER, 2)


def test_only_rows_of_the_round_are_there_and_untouched_ones_stay_as_they_are(lines):
    assert [json.loads(line)["id"] for line in lines] == ["n0", "n1", "n2", "n3", "n9"]
    edited = apply(lines)
    assert edited.splits == NEW
    assert set(edited.counts.model_dump().values()) == {0}


def test_edited_deleted_and_added_rows_say_that_a_person_did_it(lines):
    first = json.loads(lines[0]) | {"output": "better"}
    new = {"prompt": "Something quite different", "output": "{}"}
    edited = apply([json.dumps(first), *lines[2:], json.dumps(new), ""])
    assert edited.counts.model_dump() == {"edited": 1, "deleted": 1, "added": 1}
    rows = {row.id: row for split in edited.splits.values() for row in split}
    assert rows["n0"].output == "better"
    assert rows["n0"].origin.edited_by_person
    assert rows["n0"].origin.source == "generated"
    assert rows["n0"].origin.generator == NEW["train"][0].origin.generator
    assert "n1" not in rows
    (added,) = set(rows) - {"n0", "n2", "n3", "n9"}
    assert (rows[added].origin.source, rows[added].round) == ("person", 2)
    assert rows["n2"] == NEW["train"][2]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 6: not JSON"),
        ('{"prompt": "x"}', "line 6: not an object with the texts prompt and output"),
        ('["x"]', "line 6: not an object with the texts prompt and output"),
        ('{"id": "n7", "prompt": "x", "output": "y"}', "line 6: no row of the round has the id"),
        ('{"id": "n0", "prompt": "x", "output": "y"}', "line 6: the id 'n0' appears twice"),
        ('{"prompt": "AN old  prompt", "output": "y"}', "line 6: the same prompt as old"),
        ('{"prompt": "the secret", "output": "y"}', "line 6: the prompt repeats the coverage row"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(lines, line, problem):
    leak = {"the secret": "held"}.get
    with pytest.raises(UserError, match=r"rows\.jsonl") as raised:
        apply([*lines, line], leak=leak)
    assert problem in str(raised.value)


def test_a_split_must_not_be_left_empty(lines):
    with pytest.raises(UserError, match="'eval' without a row"):
        apply_edits(NEW, {}, "\n".join(lines[:-1]), source="r", round=2, eval_fraction=0.1,
                    leak=lambda prompt: None)  # fmt: skip
    assert isinstance(apply(lines[:-1]).splits["eval"], list), "with earlier rows it is not"


def test_a_row_is_written_back_as_it_was_read(lines):
    row = SyntheticRow("n0", "new prompt 0", "{}", NEW["train"][0].provenance, 2)
    assert apply(lines).splits["train"][0] == row
