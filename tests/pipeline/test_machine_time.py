"""Minutes on this machine: from the last run of the same model, else from a probe of it."""

import json
from pathlib import Path

import pytest

from core.example_budget import CHARACTERS_PER_TOKEN
from core.reports.loop import ComponentRun, RoundArtifacts
from pipeline import machine_time
from pipeline.config import load_config
from pipeline.lengths import measure
from pipeline.machine_time import machine_speed, round_minutes
from task.coverage.reader import read_coverage
from tests.records import loop_summary, training_record


@pytest.fixture(autouse=True)
def operations(monkeypatch):
    monkeypatch.setattr(machine_time, "_operations_per_second", lambda: 2e11)
    # As on the machine that was measured; others compute in float32.
    monkeypatch.setattr(machine_time, "_computes_in_bfloat16", lambda config: True)


@pytest.fixture
def config(tmp_path):
    return load_config("offline", [f"output_dir={tmp_path}"], environ={})


def test_the_demo_takes_what_it_was_measured_to_take(config):
    """Nine minutes for two rounds of 520 rows, passed over once, of which the service takes one."""
    config = config.model_copy(
        update={
            "synth": config.synth.model_copy(update={"rows_per_round": 520}),
            "training": config.training.model_copy(update={"epochs": 1}),
        }
    )
    rows = read_coverage(config.coverage_dir)
    lengths, speed = measure(config, rows), machine_speed(config)
    minutes = [sum(round_minutes(config, lengths, speed, n)) for n in (1, 2)]
    assert 5 < sum(minutes) < 13
    assert minutes[1] < minutes[0], "the baselines answer once"
    later = [round_minutes(config, lengths, speed, n).training for n in (2, 3)]
    assert later[0] < later[1], "the rows of all rounds are trained on"
    of_logged = [round_minutes(config, lengths, speed, n, 5000).training for n in (1, 2)]
    assert of_logged[0] < of_logged[1], "later rounds add to logged rows, too"


def test_a_larger_model_takes_longer(config):
    small = machine_speed(config)
    training = config.training.model_copy(update={"preset": "hf://google/gemma-3-4b-it"})
    large = machine_speed(config.model_copy(update={"training": training}))
    assert small.trained > 10 * large.trained


def test_a_model_whose_size_is_unknown_is_said_to_be(config):
    training = config.training.model_copy(update={"preset": "/models/ours"})
    said = machine_speed(config.model_copy(update={"training": training}))
    assert "the size of /models/ours is not in its name" in said


def test_the_last_run_of_the_same_model_says_how_fast_this_machine_is(config, tmp_path):
    report = tmp_path / "report"
    report.mkdir()
    lines = [{"model": "tuned", "response": "x" * 400}, {"model": "base", "response": "x" * 999}]
    (report / "verdicts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    artifacts = RoundArtifacts(synthetic="", model="", exports="", pushed="", report=str(report))
    record = training_record(preset=config.training.preset, tokens_per_second=123.0)
    summary = loop_summary([artifacts], 1, training=record)
    nodes = (ComponentRun(node="ResponseGen", seconds=45.0, cached=False),)
    rounds = tuple(entry.model_copy(update={"components": nodes}) for entry in summary.rounds)
    text = summary.model_copy(update={"rounds": rounds}).to_json()
    Path(tmp_path, "summary.json").write_text(text)
    speed = machine_speed(config)
    assert (speed.trained, speed.written) == (123.0, 400 / CHARACTERS_PER_TOKEN / 25)
    assert "as in round 1 of the last run" in speed.source
    training = config.training.model_copy(update={"preset": "gemma3_1b"})
    assert "measured now" in machine_speed(config.model_copy(update={"training": training})).source
