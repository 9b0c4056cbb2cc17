"""What the alarm of a fallen match share shows of a text that no longer matches."""

import re

import pytest

from serving.gateway.match_shares import MatchShares
from serving.gateway.matching import Match, Unmatched
from tests.serving.gateway.test_matching import served

SYSTEM = f"Sort what ada@example.org writes. {'x' * 600} The end."


def alarm_of(found: Unmatched, earlier: Unmatched | None = None, **task: object) -> str:
    told = []
    wanted = served(**task)
    shares = MatchShares([wanted], lambda name, share: None, lambda *fall: told.append(fall[2]))
    if earlier:
        shares.record(earlier, is_private=True)
    for number in range(130):
        shares.record(Match(wanted, ()) if number < 100 else found, is_private=False)
    [text] = told
    return text


def excerpt_in(text: str) -> str:
    found = re.search(r"The latest of these texts: '(.*)'\. ", text)
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
    assert len(shown) == 300 - len("ada@example.org") + len("[EMAIL_1]")


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("Sort: {prompt}", "Rank:"),
        ("{prompt} By day.", "By way."),
        ("Sort: {prompt} By day.", "Rank:"),
        ("Rank:   {prompt} By day.", "By way."),
    ],
)
def test_around_a_message_as_much_is_shown_as_the_template_has_there(template, shown):
    found = Unmatched("template", "Rank: what ada@example.org wants. By way.")
    assert excerpt_in(alarm_of(found, match="template", template=template)) == shown


def test_of_another_tasks_template_nothing_is_shown():
    text = alarm_of(Unmatched("template", "Where is my order?"))
    assert "order" not in text
    assert "The latest of" not in text


def test_a_text_of_long_ago_or_of_private_mode_is_not_shown():
    text = alarm_of(Unmatched("tools"), earlier=Unmatched("system", "You talk with Jane Roe."))
    assert "Jane Roe" not in text
    assert "Of most other requests it uses tools. `understudy serve --explain` says" in text
    text = alarm_of(Unmatched("system", "New."), earlier=Unmatched("system", "Of Jane Roe."))
    assert "its system text is none of the accepted ones. The latest of these texts: 'New.'" in text


def test_the_reason_of_most_requests_is_said():
    told = []
    wanted = served()
    shares = MatchShares([wanted], lambda name, share: None, lambda *fall: told.append(fall[2]))
    others = [Unmatched("tools"), *[Unmatched("system", "New.")] * 3]
    for number in range(140):
        found = Match(wanted, ()) if number < 100 else others[number % 4]
        shares.record(found, is_private=False)
    [text] = told
    assert "its system text is none of the accepted ones" in text
    assert "into serving.accepted_instructions" in text


def test_what_is_cut_in_two_is_left_out():
    key = "-----BEGIN PRIVATE KEY-----\\n" + "a" * 2000 + "\\n-----END PRIVATE KEY-----"
    for text in (f"{'x ' * 140}{key} and more", f"{'x ' * 145}ada.lovelace@example.org and more"):
        shown = excerpt_in(alarm_of(Unmatched("system", text)))
        assert shown.startswith("x x ")
        assert not {"BEGIN", "ada"} & set(re.findall(r"\w+", shown))


def test_of_a_template_that_is_the_message_alone_no_message_is_shown():
    text = alarm_of(Unmatched("template", "My diary"), match="template", template="{prompt}")
    assert "diary" not in text


def test_requests_of_another_task_are_no_reason():
    told = []
    wanted, other = served(), served(name="other")
    shares = MatchShares(
        [wanted, other], lambda name, share: None, lambda *fall: told.append(fall[2])
    )
    shares.record(Unmatched("system", "One of last week."), is_private=False)
    for number in range(700):
        shares.record(Match(wanted if number < 600 else other, ()), is_private=False)
    assert "last week" not in told[0]
    assert "Of most other requests" not in told[0]
