"""What stands for personal data comes back as what it stood for, in the form of the answer."""

import json

import pytest

from serving.gateway.placeholders import hidden, restored
from serving.gateway.protocols.base import ModelAnswer
from serving.gateway.task import Message
from task.privacy import PrivacySettings

QUOTED = 'Ann "the boss" <ann@example.com>'


def answer(text, *pieces):
    return ModelAnswer(text, pieces or (text,), False, 3, 2)


@pytest.mark.parametrize("redact", [True, False])
def test_only_a_task_that_redacts_hides_anything(redact):
    messages = (Message("user", "write to ann@example.com"),)
    shown, originals = hidden(messages, PrivacySettings(redact=redact))
    assert ("ann@example.com" in shown[0].text) is not redact
    assert list(originals.values()) == (["ann@example.com"] if redact else [])


def test_in_json_what_comes_back_is_escaped_and_the_answer_stays_json():
    given = answer('{"to": "[EMAIL_1]", "n": 1}')
    text = restored(given, {"[EMAIL_1]": QUOTED}).text
    assert json.loads(text) == {"to": QUOTED, "n": 1}


def test_in_text_it_comes_back_as_it_was():
    given = answer("I wrote to [EMAIL_1]: done", "I wrote to [EMA", "IL_1]: done")
    back = restored(given, {"[EMAIL_1]": QUOTED})
    assert back.text == f"I wrote to {QUOTED}: done"
    assert back.pieces == (back.text,), "a placeholder may be cut between two pieces"


@pytest.mark.parametrize("originals", [{}, {"[EMAIL_1]": QUOTED}])
def test_an_answer_without_placeholders_keeps_its_pieces(originals):
    given = answer("all is well", "all ", "is well")
    assert restored(given, originals) is given
