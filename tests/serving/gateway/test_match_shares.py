"""What the alarm of a fallen match share shows of a text that no longer matches."""

import re

import pytest

from serving.gateway.match_shares import MatchShares
from serving.gateway.matching import Match, Unmatched
from tests.serving.gateway.test_matching import served

SYSTEM = f"Sort what ada@example.org writes. {'x' * 600} The end."


def alarm_of(found: Unmatched, **task: object) -> str:
    told = []
    wanted = served(**task)
    shares = MatchShares([wanted], lambda name, share: None, lambda *fall: told.append(fall[2]))
    for _ in range(100):
        shares.record(Match(wanted, ()), is_private=False)
    for _ in range(30):
        shares.record(found, is_private=False)
    [text] = told
    return text


def excerpt_in(text: str) -> str:
    found = re.search(r"The latest text that does not match: '(.*)'\. ", text)
    return found[1] if found else ""


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"match": "template", "template": "{prompt}"},
        {"match": "template", "template": "{prompt}\nSort this."},
        {"match": "template", "template": "Sort this: {prompt}"},
    ],
    ids=["system", "message alone", "message first", "message last"],
)
def test_of_a_system_text_the_first_three_hundred_characters_are_shown(task):
    shown = excerpt_in(alarm_of(Unmatched("system", SYSTEM), **task))
    assert shown.startswith("Sort what [EMAIL_1] writes. xxx")
    assert len(shown) == 300


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("Sort: {prompt}", "Rank:"),
        ("{prompt} By day.", "By way."),
        ("Sort: {prompt} By day.", "Rank:"),
    ],
)
def test_around_a_message_as_much_is_shown_as_the_template_has_there(template, shown):
    found = Unmatched("template", "Rank: what ada@example.org wants. By way.")
    assert excerpt_in(alarm_of(found, match="template", template=template)) == shown


def test_of_another_tasks_template_nothing_is_shown():
    text = alarm_of(Unmatched("template", "Where is my order?"))
    assert "order" not in text
    assert "The latest text" not in text
