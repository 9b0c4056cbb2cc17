import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task.privacy import (
    find,
    holds_any,
    holds_checked_number,
    redact,
    restore,
    restore_answer,
    without_keys,
)

PROMPT = "I am ada@example.org, card 4111 1111 1111 1111. Mail bob@example.org or Ada@Example.org!"
OUTPUT = json.dumps({"mail": "ADA@example.org", "card": "4111111111111111", "other": None})


def test_a_value_has_one_placeholder_in_prompt_and_output():
    prompt, output = redact([PROMPT, OUTPUT]).texts
    assert prompt == "I am [EMAIL_1], card [CARD_1]. Mail [EMAIL_2] or [EMAIL_1]!"
    assert json.loads(output) == {"mail": "[EMAIL_1]", "card": "[CARD_1]", "other": None}


def test_nothing_is_left_to_find():
    for text in redact([PROMPT, OUTPUT]).texts:
        assert find(text) == []


def test_values_are_put_back_in_responses():
    originals = redact([PROMPT]).originals
    response = "Refund [CARD_1] and write to [EMAIL_2]; [PHONE_1] is unknown."
    assert restore(response, originals) == (
        "Refund 4111 1111 1111 1111 and write to bob@example.org; [PHONE_1] is unknown."
    )


def test_a_placeholder_that_the_text_holds_already_is_not_given_again():
    found = redact(["[EMAIL_1] is a placeholder, ada@example.org a mail address"])
    assert found.texts == ("[EMAIL_1] is a placeholder, [EMAIL_2] a mail address",)
    assert restore(found.texts[0], found.originals).endswith("ada@example.org a mail address")


def test_texts_without_personal_data_stay_as_they_are():
    assert redact(["Where is my order 88213?"]) == (
        ("Where is my order 88213?",),
        {},
        ({},),
        (frozenset(),),
    )


PIECES = st.lists(
    st.sampled_from(
        ["ada@example.org", "+49 30 901820", "DE89 3704 0044 0532 0130 00", " and ", "[EMAIL_1]"]
    ),
    max_size=8,
)


@given(PIECES)
def test_what_was_redacted_comes_back(pieces):
    text = " | ".join(pieces)
    found = redact([text])
    assert restore(found.texts[0], found.originals) == text


VALUES = st.sampled_from(
    [
        "ada@example.org",
        "ren\u00e9@example.org",
        "DE89370400440532013000",
        "sk-abcdefghijklmnopqrstuvwx",
        "4111 1111 1111 1111",
        "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----",
    ]
)
TEXTS = st.lists(st.one_of(VALUES, st.sampled_from(["\n", "\t", '"', "\\", " \U0001f600 ", "x"])))


@given(st.lists(TEXTS.map(" ".join), max_size=3), st.booleans(), st.booleans())
def test_json_is_redacted_as_the_texts_in_it_are(texts, ascii_only, is_object):
    value = {f"f{n}": text for n, text in enumerate(texts)} if is_object else texts
    written = json.dumps(value, ensure_ascii=ascii_only)
    *plain, in_json = redact([*texts, written]).texts
    read = json.loads(in_json)
    assert (list(read.values()) if is_object else read) == plain
    alone = redact([written])
    assert json.loads(restore_answer(alone.texts[0], alone.originals)) == value


@pytest.mark.parametrize("escape", [r"\n", r"\t", r"\u000a", r"\r\n", r"\""])
def test_a_value_behind_an_escape_is_found_in_what_is_no_json_too(escape):
    text = f'A "{escape}ada@example.org,{escape}DE89370400440532013000, BSN{escape}111222333" b'
    assert redact([text]).texts == (
        f'A "{escape}[EMAIL_1],{escape}[IBAN_1], BSN{escape}[NATIONAL_ID_1]" b',
    )
    assert without_keys(f"{escape}sk-abcdefghijklmnopqrstuvwx") == f"{escape}[KEY]"


def test_a_number_becomes_a_text_in_json():
    found = redact(['{"card": 4111111111111111, "count": 2, "again": "4111-1111 1111 1111"}'])
    assert found.texts == ('{"card": "[CARD_1]", "count": 2, "again": "[CARD_1]"}',)
    assert found.originals == {"[CARD_1]": "4111111111111111"}


PATHS = {
    "C:\\keys\\npm_" + "a" * 36: "C:\\keys\\[KEY_1]",
    "dir\\rk_live_" + "a" * 20: "dir\\[KEY_1]",
    "\\nl91abna0417164300": "\\[IBAN_1]",
    "CORP\\natalie@corp.com and natalie@corp.com": "CORP\\[EMAIL_1] and [EMAIL_1]",
    "C:\\Users\\bob@corp.com": "C:\\Users\\[EMAIL_1]",
    "\\textbf{ada@corp.com}": "\\[EMAIL_1]}",
}


@pytest.mark.parametrize("text", PATHS)
def test_a_backslash_that_is_no_escape_hides_nothing(text):
    assert redact([text]).texts == (PATHS[text],)
    assert holds_any(text)
    if "KEY" in PATHS[text]:
        assert without_keys(text) == PATHS[text].replace("KEY_1", "KEY")
    if "IBAN" in PATHS[text]:
        assert holds_checked_number(text)


@pytest.mark.parametrize("text", ["4111111111111111", " 4111111111111111\n"])
def test_a_number_that_is_a_whole_text_stays_one(text):
    assert redact([text]).texts == (text.replace("4111111111111111", "[CARD_1]"),)


def test_json_in_prose_is_put_back_into_json_as_what_it_says():
    prompt = r"""Parse {"phone": "+32 475\/12.34.56", "m": "ada\u0040example.org"}."""
    found = redact([prompt])
    assert found.texts == ('Parse {"phone": "[PHONE_1]", "m": "[EMAIL_1]"}.',)
    for fence in ("{}", "```json\n{}\n```"):
        answer = fence.replace("{}", '{"phone": "[PHONE_1]", "m": "[EMAIL_1]"}')
        restored = fence.replace("{}", '{"phone": "+32 475/12.34.56", "m": "ada@example.org"}')
        assert restore_answer(answer, found.originals) == restored


def test_a_private_key_stays_json_in_a_code_fence():
    key = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"
    found = redact([json.dumps({"key": key})])
    answer = restore_answer('```json\n{"key": "[KEY_1]"}\n```', found.originals)
    assert json.loads(answer.split("\n", 1)[1].removesuffix("```")) == {"key": key}
