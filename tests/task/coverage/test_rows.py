import pytest

from core.conversation import chat_messages
from core.records import CoverageRow
from task.coverage.problems import BadRowError
from task.coverage.rows import check_row
from task.splits import split_of, stable_id

PAIR = {"prompt": "hi", "output": "there"}
SYSTEM = {"role": "system", "content": "be kind"}
USER = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "content": "there"}


def test_every_field_is_taken_as_given():
    fields = PAIR | {"id": "7a", "split": "holdout", "tags": ["long", "angry", "long"]}
    checked = check_row(fields, 50)
    assert checked.row == CoverageRow("7a", "hi", "there", "holdout", ("long", "angry"))
    assert checked.system is None


def test_a_row_without_id_and_split_gets_both_from_its_prompt():
    row = check_row(PAIR, 50).row
    assert row == CoverageRow(stable_id("hi"), "hi", "there", split_of(stable_id("hi")), ())


def test_white_space_in_a_prompt_is_kept():
    assert check_row(PAIR | {"prompt": " hi\n"}, 50).row.prompt == " hi\n"


def test_optional_fields_may_be_null_and_an_id_a_number():
    row = check_row(PAIR | {"id": 12, "split": None, "tags": None}, 50).row
    assert (row.id, row.split, row.tags) == ("12", split_of("12"), ())


def test_a_chat_row_gives_its_system_message_apart_from_the_prompt():
    checked = check_row({"messages": [SYSTEM, USER, ASSISTANT], "id": "c"}, 50)
    assert (checked.row.prompt, checked.row.output) == ("hi", "there")
    assert checked.system == "be kind"


def test_several_user_messages_are_one_prompt():
    more = {"role": "user", "content": "and you?"}
    assert check_row({"messages": [USER, more, ASSISTANT]}, 50).row.prompt == "hi\n\nand you?"


def test_several_turns_are_a_conversation():
    turns = [USER, ASSISTANT, USER]
    ending = check_row({"messages": [SYSTEM, *turns, ASSISTANT]}, 50)
    apart = check_row({"messages": [SYSTEM, *turns], "output": "there"}, 50)
    assert ending == apart
    assert chat_messages(ending.row.prompt) == turns
    assert check_row({"prompt": ending.row.prompt, "output": "there"}, 50).row == ending.row


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"output": "x"}, "prompt is missing"),
        ({"prompt": "x"}, "output is missing"),
        (PAIR | {"prompt": "  \n"}, "prompt is empty"),
        (PAIR | {"prompt": None}, "prompt must be a string, found None"),
        (PAIR | {"output": {"category": "billing"}}, "output must be a string, found {'category'"),
        (PAIR | {"prompt": "\ud83d"}, "prompt contains half of a surrogate pair at character 1"),
        (
            PAIR | {"label": 1},
            "unknown field 'label'; a row may have: id, output, prompt, references, split",
        ),
        (
            PAIR | {"split": "train"},
            "split is 'train'; expected seed, holdout or test, or no split",
        ),
        (PAIR | {"split": ["seed"]}, "split is ['seed']"),
        (PAIR | {"id": True}, "id must be a string, found True"),
        (PAIR | {"id": " "}, "id is empty"),
        (PAIR | {"tags": "long"}, "tags must be a list of non-empty strings, found 'long'"),
        (PAIR | {"tags": ["", "a"]}, "tags must be a list"),
        ({"messages": "hi"}, "messages must be a list"),
        ({"messages": []}, "messages must be an optional system message"),
        ({"messages": [ASSISTANT]}, "found ['assistant']"),
        ({"messages": [USER]}, "found ['user']"),
        ({"messages": [SYSTEM, ASSISTANT]}, "found ['assistant']"),
        ({"messages": [USER, ASSISTANT, USER]}, "found ['user', 'assistant', 'user'"),
        ({"messages": [USER, ASSISTANT], "output": "x"}, "the last one of user; found"),
        ({"messages": [USER | {"tool_calls": [{"id": 1}]}]}, "message 1 contains a tool call"),
        ({"messages": [{"role": "tool", "content": "12"}]}, "message 1 contains a tool call"),
        ({"messages": [USER | {"content": [{"type": "image_url"}]}]}, "content is 'image_url'"),
        ({"messages": [USER | {"role": "critic"}]}, "role is 'critic'; expected system, user"),
        ({"messages": [USER, SYSTEM, ASSISTANT]}, "found ['user', 'system', 'assistant']"),
        ({"messages": [USER, "x"]}, "message 2 must be an object, found 'x'"),
        ({"messages": [{"role": "user"}, ASSISTANT]}, "message 1: content is missing"),
        ({"messages": [USER | {"name": "Al"}, ASSISTANT]}, "unknown field 'name'; a message may"),
        ({"messages": [USER, ASSISTANT], "prompt": "x"}, "unknown field 'prompt'; a chat row may"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(fields, expected):
    with pytest.raises(BadRowError) as refused:
        check_row(fields, 50)
    assert expected in str(refused.value)
    assert len(str(refused.value)) < 250


def test_further_right_answers_are_kept_once():
    fields = {"prompt": "p", "output": "a", "references": ["b", "a", "b"]}
    assert check_row(fields, 50).row.references == ("b",)
    with pytest.raises(BadRowError, match="references must be a list of right answers"):
        check_row({"prompt": "p", "output": "a", "references": "b"}, 50)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "Hi", "references": ["Hello"]},
        {"messages": [{"role": "user", "content": "Hi"}], "references": ["Hello"]},
    ],
)
def test_references_need_an_output(fields):
    with pytest.raises(BadRowError, match=r"output is missing; references are further right"):
        check_row(fields, 50)


def test_text_parts_of_a_prompt_are_lines():
    parts = [{"type": "text", "text": "Summarize:"}, {"type": "text", "text": "The mail."}]
    row = check_row({"messages": [{"role": "user", "content": parts}], "output": "x"}, 50).row
    assert row.prompt == "Summarize:\nThe mail."
