"""What the search for defaults makes of its runs; the runs themselves take an hour each."""

import sys

import pytest

from benchmarks import defaults, recorded_runs
from benchmarks.defaults import ARMS, DEFAULTS, best_arm, run
from benchmarks.recorded_runs import RECORD, Look, Outcome, RecordedRun
from pipeline.config import load_config


def outcome(holdout, test=90.0):
    return Outcome((Look(1000, 9.0, holdout - 10),), holdout, test, 88.0, 9.0)


def test_the_holdout_chooses_and_the_test_split_does_not():
    screened = {"a": [outcome(80, test=99), outcome(82)], "b": [outcome(85, test=10), outcome(81)]}
    assert best_arm(screened) == "b"
    table = defaults.screen_table(screened)
    assert table.index("| b |") < table.index("| a |")
    assert "99" not in table


def test_confirmed_rates_have_students_interval():
    table = defaults.confirmed_table({"b": [outcome(85, test=value) for value in (88, 90, 92)]})
    assert "| b | 9.0 | 90.0 [85.0, 95.0] | 88.0 |" in table


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_is_a_valid_configuration(arm):
    settings = [*ARMS[arm], "synth.seed=1", "training.seed=1"]
    assert load_config("offline", settings, environ={}).synth.seed == 1


def test_a_run_that_did_not_finish_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SystemExit, match="seed number 1 ended with 1"):
        run(DEFAULTS, 1, tmp_path, tmp_path / "runs.jsonl")


def test_a_recorded_run_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    file = tmp_path / "runs.jsonl"
    recorded_runs.record("rank 4", 1, ARMS["rank 4"], outcome(80), file)
    assert run("rank 4", 1, tmp_path, file) == outcome(80)
    with pytest.raises(SystemExit):
        run("rank 4", 2, tmp_path, file)
    monkeypatch.setitem(ARMS, "rank 4", ("training.lora_rank=5",))
    with pytest.raises(SystemExit):
        run("rank 4", 1, tmp_path, file)


def test_a_run_of_other_presets_counts_no_more(tmp_path, monkeypatch):
    file = tmp_path / "runs.jsonl"
    recorded_runs.record(DEFAULTS, 1, (), outcome(80), file)
    monkeypatch.setattr(recorded_runs, "_PRESETS", ("base", "smoke"))
    assert recorded_runs.recorded(DEFAULTS, 1, (), file) is None


def test_the_record_in_the_repository_can_be_read():
    for line in RECORD.read_text(encoding="utf-8").splitlines():
        found = RecordedRun.model_validate_json(line)
        assert found.arm in ARMS
        assert found.outcome.test is not None
