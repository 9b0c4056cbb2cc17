"""Parsing of replies: nothing invalid gets through, and nothing complete is lost."""

import json

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_llm.parsing import parse
from service_llm.types import Finish, Reply


class Pairs(pydantic.BaseModel):
    pairs: list[dict[str, int]]


class Texts(pydantic.BaseModel):
    texts: list[str]


class Scored(pydantic.BaseModel):
    reason: str
    score: int = pydantic.Field(ge=1, le=5)


def reply(text, finish=Finish.STOP):
    return Reply(text, finish, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        '{"reason": "r", "score": 6}',
        '{"reason": "r", "score": 4.5}',
        '{"reason": "r", "score": "four"}',
        '{"reason": "r", "score": "4 of 5"}',
        '{"reason": "r", "score": true}',
        '{"reason": "r", "score": "9"}',
        '{"reason": 4, "score": 4}',
        '{"reason": "r"}',
        "NaN",
    ],
)
def test_values_outside_of_the_schema_are_refused(text):
    assert parse(reply(text), Scored) == (None, "bad_output")


RIGHT = '{"reason": "r", "score": 4}'


@pytest.mark.parametrize(
    "text",
    [
        f"<think>The score is 3? No.</think>\n{RIGHT}",
        f"\n<think>\n\n</think>\n\n{RIGHT}\n",
        f"```json\n{RIGHT}\n```",
        f"```\n{RIGHT}```\n",
        f"<think>a\n```json\n</think>\n```json\n{RIGHT}\n```",
        '{"reason": "r", "score": 4.0}',
        '{"reason": "r", "score": "4"}',
    ],
)
def test_thoughts_before_a_fence_around_and_other_forms_of_a_whole_number_are_read(text):
    """Thoughts: https://github.com/vllm-project/vllm/issues/12468."""
    assert parse(reply(text), Scored) == (Scored(reason="r", score=4), None)


@pytest.mark.parametrize(
    "text",
    [
        f"Sure! {RIGHT}",
        f"{RIGHT} Done.",
        f"<think>The score is {RIGHT}",
        f"```json\n{RIGHT}\n```\n```json\n{RIGHT}\n```",
        f"Here:\n```json\n{RIGHT}\n```",
        f"{RIGHT}<think>Hm.</think>",
    ],
)
def test_nothing_is_guessed_beyond_that(text):
    assert parse(reply(text), Scored) == (None, "bad_output")


def test_a_refusal_is_told_before_its_text_is_read():
    assert parse(reply('{"texts": ["a"]}', Finish.REFUSED), Texts) == (None, "refused")


def test_a_truncated_object_is_no_value():
    text = '{"reason": "r", "score": 4'
    assert parse(reply(text, Finish.LENGTH), Scored) == (None, "truncated")


@given(st.lists(st.text(), min_size=1), st.data())
def test_a_list_cut_anywhere_keeps_a_prefix_of_its_items(texts, data):
    whole = json.dumps({"texts": texts}, ensure_ascii=data.draw(st.booleans()))
    cut = whole[: data.draw(st.integers(0, len(whole) - 2))]
    value, error = parse(reply(cut, Finish.LENGTH), Texts)
    assert error == "truncated"
    kept = value.texts if value else []
    assert kept == texts[: len(kept)]


@pytest.mark.parametrize("start", ["```json\n", "```\n", "<think>Hm.</think>\n```json\n"])
def test_a_list_cut_within_its_fence_keeps_its_items(start):
    value, error = parse(reply(f'{start}{{"texts": ["a", "b", "c', Finish.LENGTH), Texts)
    assert (value, error) == (Texts(texts=["a", "b"]), "truncated")


def test_a_number_that_was_cut_is_not_taken_for_a_number():
    value, _ = parse(reply('{"pairs": [{"a": 1}, {"a": 12}', Finish.LENGTH), Pairs)
    assert value == Pairs(pairs=[{"a": 1}])


def test_the_complete_items_are_all_kept():
    value, _ = parse(reply('{"texts": ["a", "b", "c"', Finish.LENGTH), Texts)
    assert value == Texts(texts=["a", "b"])
    value, _ = parse(reply('{"texts": ["a", "b", "c"]', Finish.LENGTH), Texts)
    assert value == Texts(texts=["a", "b", "c"])


@given(st.text())
def test_no_text_makes_it_raise(text):
    for finish in Finish:
        value, error = parse(reply(text, finish), Texts)
        assert error or isinstance(value, Texts)


SNIPPETS = st.sampled_from(
    ['{"texts": [', '"a"', ",", "]", "}", "{", "[", "null", "1e999", "-", "\\ud800", '"\\ud800"',
     "9" * 5000, "[" * 2000, '{"a":' * 2000, "NaN", "\t", "\r\n", '{"texts":\t[\n']
)  # fmt: skip
NEARLY_JSON = st.lists(SNIPPETS | st.text(max_size=3), max_size=8).map("".join)


@given(text=NEARLY_JSON, schema=st.sampled_from([Texts, Pairs, Scored]))
def test_nearly_json_is_a_value_of_the_schema_or_none(text, schema):
    for finish in Finish:
        value, error = parse(reply(text, finish), schema)
        assert value is None or schema.model_validate(value.model_dump(), strict=True) == value
        assert error is not None or value is not None
        if value is not None:
            value.model_dump_json().encode()  # what is kept can be written


@given(
    pairs=st.lists(st.dictionaries(st.text(max_size=3), st.integers(), max_size=3), min_size=1),
    indent=st.sampled_from([None, 2, "\t"]),
    data=st.data(),
)
def test_a_list_of_objects_cut_anywhere_keeps_a_prefix(pairs, indent, data):
    whole = json.dumps({"pairs": pairs}, indent=indent)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    value, error = parse(reply(cut, Finish.LENGTH), Pairs)
    kept = value.pairs if value else []
    assert (error, kept) == ("truncated", pairs[: len(kept)])
    assert len(kept) >= cut.count("},") if not indent else True
