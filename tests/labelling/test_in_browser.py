"""The labelling page in a real browser, by keyboard alone, on a wide and on a narrow screen."""

import pytest
from selenium.webdriver.common.keys import Keys

from labelling.label_queue import LabelQueue
from labelling.references import ReferenceQueue
from tests.labelling.conftest import SUSPECT_IDS

WIDTHS = [1280, 390]


def press(browser, *keys):
    """Press keys one after the other, wherever the focus is."""
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def choose(browser, *keys):
    """Press keys of which the last one leaves the page."""
    browser.run("window.isOld = true")
    press(browser, *keys)
    browser.wait_for("!window.isOld && document.readyState === 'complete'")


@pytest.fixture(params=WIDTHS)
def page(browser, serve, make_run, request):
    run = make_run()
    url = serve(run)
    browser.open(url, request.param)
    browser.labelled_run = run
    browser.url = url
    return browser


def test_a_rater_labels_with_keys_alone(page):
    choose(page, "ada", Keys.ENTER)
    choose(page, "c")
    press(page, "r", "another priority", Keys.ENTER)
    assert page.run("return location.pathname") == "/answer", "Enter decides nothing"
    choose(page, "n")
    choose(page, "u")
    queue = LabelQueue(page.labelled_run)
    decisions = [row.decisions["ada"] for row in queue.sheet.rows[:3]]
    assert decisions == [("covered", ""), ("not covered", "another priority"), ("unsure", "")]
    assert page.overflow() == 0
    assert page.complaints() == []
    assert {url.split("?")[0] for url in page.requested()} <= {
        f"{page.url}/",
        f"{page.url}/answer",
        f"{page.url}/favicon.ico",
    }, "nothing from elsewhere"


def test_letters_of_a_reason_are_no_decisions(page):
    choose(page, "ada", Keys.ENTER)
    press(page, "r", "uncovered, nonsense", Keys.ESCAPE)
    assert LabelQueue(page.labelled_run).decided("ada") == 0
    choose(page, "n")
    row = LabelQueue(page.labelled_run).sheet.rows[0]
    assert row.decisions["ada"] == ("not covered", "uncovered, nonsense")


def test_back_shows_the_earlier_decision_and_replaces_it(page):
    choose(page, "ada", Keys.ENTER)
    choose(page, "c")
    choose(page, "b")
    pressed = "document.querySelector('[aria-pressed=true]').value"
    assert page.run(f"return {pressed}") == "covered"
    choose(page, "n")
    queue = LabelQueue(page.labelled_run)
    assert queue.decided("ada") == 1
    assert queue.sheet.rows[0].decisions["ada"].answer == "not covered"


def test_the_page_resumes_where_it_was_left(page):
    choose(page, "ada", Keys.ENTER)
    choose(page, "c")
    choose(page, "c")
    page.get(page.url)
    choose(page, "1")
    assert page.run("return document.querySelector('progress').value") == 2


def test_suspect_references_are_accepted_edited_or_kept_by_keys(page):
    choose(page, "ada", Keys.ENTER)
    choose(page, "s")
    assert page.overflow() == 0
    choose(page, "a")
    press(page, "e", Keys.CONTROL + "a" + Keys.NULL, '{"category": "other"}')
    choose(page, Keys.CONTROL + Keys.ENTER)
    assert page.run("return location.pathname") == "/overview"
    assert page.overflow() == 0
    first, second = ReferenceQueue(page.labelled_run).decisions
    assert (first.id, first.choice) == (SUSPECT_IDS[0], "accept")
    assert (second.choice, second.reference) == ("edit", '{"category": "other"}')
    assert "patch -p1" in page.run("return document.body.innerText")
    assert page.complaints() == []


def test_a_kept_reference_needs_one_key(page):
    choose(page, "ada", Keys.ENTER)
    choose(page, "s")
    choose(page, "k")
    (decision,) = ReferenceQueue(page.labelled_run).decisions
    assert (decision.id, decision.choice) == (SUSPECT_IDS[0], "keep")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_control_can_be_reached_and_seen_by_tab(browser, serve, make_run, width):
    browser.open(f"{serve(make_run())}/answer?rater=ada", width)
    controls = browser.run(
        "return [...document.querySelectorAll('a, button, input:not([type=hidden])')].length"
    )
    seen = set()
    for _ in range(controls):
        press(browser, Keys.TAB)
        name, outline = browser.run(
            "const e = document.activeElement;"
            "return [e.dataset.key, getComputedStyle(e).outlineStyle]"
        )
        seen.add(name)
        assert outline != "none"
    assert {"r", "c", "n", "u", "s", "o"} <= seen


@pytest.mark.parametrize("path", ["", "/answer?rater=ada", "/reference?rater=ada", "/overview"])
def test_axe_finds_nothing(browser, serve, make_run, path):
    assert browser.audit(f"{serve(make_run())}{path}") == []
