"""What the terminal says remains: from the last run, else from the estimate."""

from pathlib import Path

import pytest

from core.records import CoverageRow
from core.reports.loop import ComponentRun, RoundArtifacts
from pipeline import expected_times, lengths, machine_time
from pipeline.config import load_config
from pipeline.expected_times import expected_seconds
from pipeline.lengths import with_limits
from task.coverage.reader import read_coverage
from tests.nodes import NODES
from tests.records import loop_summary, training_record


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_time, "_operations_per_second", lambda: 2e11)
    monkeypatch.setattr(machine_time, "_computes_in_bfloat16", lambda config: True)
    return load_config("offline", [f"output_dir={tmp_path}"], environ={})


def test_before_the_first_run_every_component_has_an_estimate(config):
    rows = read_coverage(config.coverage_dir)
    first, second, third = expected_seconds(config, rows)
    assert set(first) == set(second) == set(third) == set(NODES)
    assert max(first, key=first.get) == "Trainer"
    assert 240 < sum(first.values()) < 1200, "a round of the demo takes about eight minutes"
    smoke = load_config("smoke", [f"output_dir={config.output_dir}"], environ={})
    assert sum(expected_seconds(smoke, rows)[0].values()) < 90


def test_later_rounds_train_on_more_rows_and_ask_no_untuned_model_again(config):
    first, second, third = expected_seconds(config, read_coverage(config.coverage_dir))
    of_rows = second["Trainer"] - first["Trainer"]
    assert of_rows > 60
    assert third["Trainer"] - second["Trainer"] == pytest.approx(of_rows)
    assert first["BaseResponseGen"] > second["BaseResponseGen"] == third["FewShotResponseGen"] == 0


def test_the_tokens_of_the_rows_are_counted_once(config):
    rows = read_coverage(config.coverage_dir)
    filled = with_limits(config, rows, download=True)
    counted = lengths._measure.cache_info().misses
    assert expected_seconds(filled, rows)
    assert lengths._measure.cache_info().misses == counted


def test_an_estimate_that_fails_ends_no_run(config, monkeypatch, caplog):
    def fail(*_):
        raise ZeroDivisionError("no rows")

    monkeypatch.setattr(expected_times, "machine_speed", fail)
    assert expected_seconds(config, read_coverage(config.coverage_dir)) == []
    assert "ZeroDivisionError: no rows" in caplog.text


def test_of_many_rows_no_requests_are_built_before_a_run(config, monkeypatch):
    rows = [CoverageRow(f"r{n}", f"What is {n}?", "much", "seed") for n in range(20_000)]
    built = []
    monkeypatch.setattr(expected_times, "estimate_round", lambda *_: built.append(1))
    assert expected_seconds(config, rows) == []
    assert built == []


def test_a_model_whose_speed_is_unknown_has_none(config):
    training = config.training.model_copy(update={"preset": "/models/ours"})
    unknown = config.model_copy(update={"training": training})
    assert expected_seconds(unknown, read_coverage(config.coverage_dir)) == []


@pytest.fixture
def ran(config, tmp_path):
    """Writes the summary of a run: of each round, the seconds of its components; 0.1 is cached."""

    def write(*took, then=config):
        artifacts = [RoundArtifacts(synthetic="", model="", exports="", pushed="", report="")]
        record = training_record(preset=config.training.preset)
        summary = loop_summary(
            artifacts * len(took), 1, training=record, config=then.model_dump(mode="json")
        )
        rounds = tuple(
            entry.model_copy(
                update={
                    "components": tuple(
                        ComponentRun(node=node, seconds=seconds, cached=seconds < 1)
                        for node, seconds in nodes.items()
                    )
                }
            )
            for entry, nodes in zip(summary.rounds, took, strict=True)
        )
        text = summary.model_copy(update={"rounds": rounds}).to_json()
        Path(tmp_path, "summary.json").write_text(text, encoding="utf-8")

    return write


def test_the_last_run_of_the_same_model_says_it(config, ran):
    ran(
        {"Trainer": 100.0, "BaseResponseGen": 50.0},
        {"Trainer": 240.0, "BaseResponseGen": 0.1},
    )
    rows = read_coverage(config.coverage_dir)
    untuned = [seconds["BaseResponseGen"] for seconds in expected_seconds(config, rows)]
    assert untuned == [50.0, 0.0, 0.0]
    # As many seconds a row as in the last round.
    trained = [seconds["Trainer"] for seconds in expected_seconds(config, rows)]
    assert trained == pytest.approx([120.0, 240.0, 360.0])


def test_a_run_of_fewer_rows_says_what_a_row_takes(config, ran):
    few = config.synth.model_copy(update={"rows_per_round": config.synth.rows_per_round // 20})
    short = config.training.model_copy(update={"epochs": 1})
    then = config.model_copy(update={"synth": few, "training": short})
    ran({"Trainer": 30.0, "SynthDataGen": 5.0, "LLMEvaluator": 7.0}, then=then)
    seconds = expected_seconds(config, read_coverage(config.coverage_dir))[0]
    assert seconds["Trainer"] == pytest.approx(30.0 * 20 * config.training.epochs)
    assert seconds["SynthDataGen"] == pytest.approx(100.0)
    assert seconds["LLMEvaluator"] == 7.0


def test_what_came_from_the_cache_is_estimated(config, ran):
    ran({**dict.fromkeys(NODES, 60.0), "BaseResponseGen": 0.1, "Transform": 0.1})
    rows = read_coverage(config.coverage_dir)
    first, second, _ = expected_seconds(config, rows)
    assert set(first) == set(NODES)
    assert (first["Trainer"], first["LLMEvaluator"]) == (60.0, 60.0)
    assert first["BaseResponseGen"] > second["BaseResponseGen"] == 0
    assert first["Transform"] == 8.0


def test_the_record_of_a_version_with_other_settings_is_not_read(config, ran, tmp_path):
    ran({"Trainer": 7.0})
    file = Path(tmp_path, "summary.json")
    file.write_text(file.read_text().replace('"rows_per_round"', '"rows_of_a_round"'))
    assert expected_seconds(config, read_coverage(config.coverage_dir))[0]["Trainer"] > 60


def test_a_run_from_the_cache_alone_says_nothing_of_a_machine(config, ran):
    ran({"Trainer": 0.1})
    assert expected_seconds(config, read_coverage(config.coverage_dir))[0]["Trainer"] > 60
