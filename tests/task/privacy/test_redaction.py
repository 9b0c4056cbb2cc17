import json

from hypothesis import given
from hypothesis import strategies as st

from task.privacy import find, redact, restore

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
    assert redact(["Where is my order 88213?"]) == (("Where is my order 88213?",), {})


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
