"""What `check` says of logged exchanges to train on."""

import json

import pytest

from core.records import LOGGED_SPLIT, CoverageRow
from pipeline.check import check_task
from pipeline.config import load_config
from task.coverage.logged import write_logged


def output(number):
    return json.dumps({"kind": "ab"[number % 2], "total": number})


def logged(number, **changes):
    fields = {"prompt": f"Logged {number}", "output": output(number)} | changes
    return CoverageRow(f"log-{number}", fields["prompt"], fields["output"], LOGGED_SPLIT)


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """What `check` says of 44 pairs and logged exchanges, with settings, as one line."""
    monkeypatch.setenv("GEMINI_API_KEY", "not-sent-anywhere")

    def checked(rows, *overrides, listed=20):
        pairs = [{"id": f"r{n}", "prompt": f"Say {n}", "output": output(n)} for n in range(44)]
        text = "".join(json.dumps(pair) + "\n" for pair in pairs)
        (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
        write_logged(tmp_path, rows)
        overrides = [f"coverage_dir={tmp_path}", "synth.train_on_rest=true", *overrides]
        return " ".join(check_task(load_config("gemini", overrides), listed).split())

    return checked


def test_requests_tokens_and_cost_of_the_scores_are_said(checked):
    said = checked([logged(n) for n in range(300)])
    assert "300 logged exchanges to train on" in said
    assert "The service LLM scores them, too: at most 300 requests, " in said
    assert " USD; synth.score_logged=false leaves that out." in said
    assert "do not fit" not in said
    assert "left out of the training" not in said


@pytest.mark.parametrize(("budget", "is_said"), [("0.001", True), ("100", False)])
def test_scores_that_cost_more_than_the_budget_are_said(checked, budget, is_said):
    said = checked([logged(n) for n in range(30)], f"service_llm.budget_usd={budget}")
    assert ("A run would stop at service_llm.budget_usd (0.00 USD)." in said) == is_said


def test_an_unknown_price_of_the_scores_is_said(checked):
    said = checked([logged(1)], "service_llm.model=gemini-99", "service_llm.budget_usd=null")
    assert "at an unknown price; synth.score_logged" in said


@pytest.mark.parametrize("setting", ["score_logged", "quality_filter"])
def test_without_scores_none_are_announced(checked, setting):
    said = checked([logged(n) for n in range(3)], f"synth.{setting}=false")
    assert f"The service LLM does not score them (synth.{setting} is false)." in said
    assert "scores them, too" not in said


def test_exchanges_of_another_form_are_named_and_not_counted_as_scored(checked):
    rows = [logged(n, output="no JSON" if n < 4 else output(n)) for n in range(10)]
    said = checked(rows, listed=2)
    assert "at most 6 requests" in said
    assert "4 of them do not fit the form and would be dropped: log-0: not JSON" in said
    assert "log-1: not JSON" in said
    assert "log-2: not JSON" not in said
    assert "… and 2 more; understudy check --all lists every one" in said
    assert "more; understudy check" not in checked(rows, listed=None)


def test_exchanges_longer_than_the_training_takes_are_named_the_longest_first(checked):
    rows = [logged(n, prompt="word " * (900 * n + 1)) for n in range(3)]
    said = checked(rows)
    assert "2 of them are longer than training.sequence_length (512 tokens) and would be" in said
    assert said.index("log-2 (") < said.index("log-1 (")
    assert "log-0 (" not in said
