"""A person edits, deletes and adds rows of a round."""

import json

import pytest

from components.synth_data_gen.edits import apply_edits, editable_lines
from core.conversation import Conversation, Message, chat_messages
from core.errors import UserError
from core.synthetic_records import SyntheticRow
from task.privacy import PrivacySettings
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
    values["privacy"] = PrivacySettings()
    return apply_edits(options.pop("new", NEW), HISTORY, text, **(values | options))


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


BLANK_TURN = (
    '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " "}, '
    '{"role": "user", "content": "Well?"}]'
)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 6: not JSON"),
        ('{"prompt": "x"}', "line 6: not an object with the texts prompt and output"),
        ('["x"]', "line 6: not an object with the texts prompt and output"),
        ('{"id": "n7", "prompt": "x", "output": "y"}', "line 6: no row of the round has the id"),
        ('{"id": "n0", "prompt": "x", "output": "y"}', "line 6: the id 'n0' appears twice"),
        (
            json.dumps({"prompt": BLANK_TURN, "output": "y"}),
            "line 6: a message of the prompt",
        ),
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
                    leak=lambda prompt: None, privacy=PrivacySettings())  # fmt: skip
    assert isinstance(apply(lines[:-1]).splits["eval"], list), "with earlier rows it is not"


def test_a_row_is_written_back_as_it_was_read(lines):
    row = SyntheticRow("n0", "new prompt 0", "{}", NEW["train"][0].provenance, 2)
    assert apply(lines).splits["train"][0] == row


INVENTED = synthetic_row("n1", "Write to eve@example.org", round=2)
WITH_INVENTED = {**NEW, "train": [NEW["train"][0], INVENTED, *NEW["train"][2:]]}
MAIL = '{"mail": "Ada@example.org"}'


@pytest.mark.parametrize("is_on", [True, False])
def test_personal_data_that_a_person_wrote_is_redacted_where_it_is_wanted(is_on):
    lines = editable_lines(WITH_INVENTED, 2)
    first = json.loads(lines[0]) | {"prompt": "I am ada@example.org", "output": MAIL}
    new = {"prompt": "Ask bob@example.org, not ada@example.org", "output": MAIL}
    edited = apply(
        [json.dumps(first), *lines[1:], json.dumps(new)],
        new=WITH_INVENTED,
        privacy=PrivacySettings(redact=is_on),
    )
    rows = {row.id: row for split in edited.splits.values() for row in split}
    (added,) = (row for row in rows.values() if row.origin.source == "person")
    found = [(row.prompt, row.output) for row in (rows["n0"], added)]
    if is_on:
        assert found == [
            ("I am [EMAIL_1]", '{"mail": "[EMAIL_1]"}'),
            ("Ask [EMAIL_1], not [EMAIL_2]", '{"mail": "[EMAIL_2]"}'),
        ]
    else:
        assert found == [(first["prompt"], MAIL), (new["prompt"], MAIL)]
    assert rows["n1"] == INVENTED, "a row that nobody touched stays as it was generated"
    assert (edited.counts.edited, edited.counts.added) == (1, 1)


def test_the_turns_of_an_edited_conversation_are_redacted_one_by_one(lines):
    turns = [("user", "I am ada@example.org"), ("assistant", "Hi"), ("user", "ada@example.org!")]
    messages = tuple(Message(role=role, text=text) for role, text in turns)
    new = {"prompt": Conversation(messages=messages).prompt, "output": MAIL}
    edited = apply([*lines, json.dumps(new)], privacy=PrivacySettings(redact=True))
    (row,) = (r for rows in edited.splits.values() for r in rows if r.origin.source == "person")
    texts = [message["content"] for message in chat_messages(row.prompt)]
    assert texts == ["I am [EMAIL_1]", "Hi", "[EMAIL_1]!"]


def test_rows_that_differ_in_personal_data_alone_are_named(lines):
    new = [{"prompt": f"I am {name}@example.org", "output": "{}"} for name in ("ada", "bob")]
    with pytest.raises(UserError, match="line 7: the same prompt as line 6"):
        apply([*lines, *map(json.dumps, new)], privacy=PrivacySettings(redact=True))
