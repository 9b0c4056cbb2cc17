"""The run's page from its start: what runs in the first round, and the report before it."""

import logging

import pytest

from core.progress import progress, spending
from pipeline.local.live_page import live_page
from reports.run_page.started import StartedRun, is_started, write_started
from tests.html_page import Page, plain

NAMES = ["SynthDataGen", "Trainer", "LLMEvaluator"]
RUNNING = "Component %s is running."
FINISHED = "Component %s is finished."


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class NoView:
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def expect(self, seconds):
        self.told.append("expect")

    def round_started(self, round, max_rounds, components=(), title=""):
        self.told.append("round_started")

    def round_finished(self, round, text, so_far="", spent_usd=None):
        self.told.append("round_finished")


@pytest.fixture
def report(tmp_path):
    return tmp_path / "output" / "report.html"


@pytest.fixture
def run(tmp_path):
    return StartedRun("demo", "triage", tmp_path / "output" / "run.log")


@pytest.fixture
def at_info(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "level", logging.INFO)
    monkeypatch.setattr(spending, "level", logging.DEBUG)
    logging.getLogger().manager._clear_cache()


def text_of(report):
    return report.read_text(encoding="utf-8")


def lines(report):
    return [row[:3] for row in Page(text_of(report)).rows[1:]]


def test_the_page_says_what_runs_what_remains_and_what_it_cost(report, run, at_info):
    clock, view = Clock(), NoView()
    log = logging.getLogger("tfx")
    with live_page(view, report, run, clock=clock) as views:
        assert [body["data-refresh"] for body in Page(text_of(report)).all("body")] == ["5"]
        assert "run.log" in text_of(report)
        views.expect([{"SynthDataGen": 60, "Trainer": 240, "LLMEvaluator": 30}])
        views.round_started(1, 3, NAMES)
        log.info(RUNNING, "SynthDataGen")
        clock.now += 50
        spending.debug("", extra={"spent_usd": 0.25})
        log.info(FINISHED, "SynthDataGen")
        log.info(RUNNING, "Trainer")
        assert lines(report) == [
            ["SynthDataGen", "done", "50 s"],
            ["Trainer", "running", "0.0 s"],
            ["LLMEvaluator", "waiting", ""],
        ]
        assert "Round 1 of at most 3" in text_of(report)
        rest = "About 4 min 30 s left in this round, about 15 min 10 s for all 3 rounds"
        assert rest in plain(text_of(report))
        assert "about 15\u00a0min" in text_of(report), "a number stays with its unit"
        assert "$0.25 spent" in text_of(report)
        before = text_of(report)
        for seconds in (1, 5):  # a step is written once the page is some seconds old
            clock.now += seconds
            progress.info("training", extra={"progress": {"done": 1, "total": 2}})
            assert (text_of(report) == before) == (seconds == 1)
        views.round_finished(1, "coverage rate 1 %")
        report.write_text("the report of round 1")
        log.info(RUNNING, "Trainer")
    assert text_of(report) == "the report of round 1", "it is left alone from then on"
    assert view.told == ["expect", "round_started", "round_finished"]


def test_the_report_of_the_run_before_is_kept_and_linked(report, run):
    report.parent.mkdir()
    report.write_text("an earlier run's")
    with live_page(NoView(), report, run) as views:
        views.round_started(1, 1, NAMES)
        assert is_started(report)
        (link,) = (a["href"] for a in Page(text_of(report)).all("a") if a["href"] != "run.log")
        assert (report.parent / link).read_text() == "an earlier run's"
        views.round_finished(1, "coverage rate 1 %")
        report.write_text("the report of round 1")
    assert (report.parent / link).read_text() == "an earlier run's"


def test_a_run_that_fails_before_a_round_leaves_the_earlier_report(report, run):
    report.parent.mkdir()
    report.write_text("an earlier run's")
    with pytest.raises(OSError, match="full"), live_page(NoView(), report, run):
        raise OSError("full")
    assert text_of(report) == "an earlier run's"


def test_a_first_run_that_fails_before_a_round_says_so(report, run):
    with pytest.raises(OSError, match="full"), live_page(NoView(), report, run):
        raise OSError("full")
    assert "The run has stopped before its first round ended." in text_of(report)
    assert "data-refresh" not in text_of(report).partition("<body")[2].partition(">")[0]


def test_a_run_that_was_killed_before_a_round_does_not_cost_the_earlier_report(report, run):
    report.parent.mkdir()
    report.write_text("an earlier run's")
    write_started(report, run)  # and then killed
    with live_page(NoView(), report, run):
        assert is_started(report)
    assert text_of(report) == "an earlier run's"


def test_the_page_refreshes_itself_after_a_click_but_not_while_it_is_used(browser, report, run):
    write_started(report, run._replace(title="Round 1 of at most 3"))
    browser.open(report.as_uri(), 390)
    assert browser.complaints() == [], "its policy lets the script run"
    assert browser.overflow() == 0
    browser.run(
        "document.body.insertAdjacentHTML('beforeend', '<button>b</button><input>"
        "<details><summary>s</summary></details>')"
    )
    for use, is_used in (
        ("document.querySelector('button').focus()", False),
        ("document.querySelector('input').focus()", True),
        ("document.querySelector('summary').focus()", False),
        ("document.querySelector('details').open = true", True),
    ):
        browser.run(use)
        assert browser.run("return isUsed()") is is_used, use
