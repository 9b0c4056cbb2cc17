"""HFPusher within TFX: blessing, recorded destination, and that the token leaves no trace."""

import json

import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel_utils, standard_artifacts

from components.artifacts import CoverageReport, Exports
from components.examples_io import write_examples
from components.hf_pusher.component import HFPusher
from components.hf_pusher.errors import PushError
from components.hf_pusher.executor import Executor
from components.hf_pusher.settings import PushSettings


def _at(artifact, path):
    path.mkdir(parents=True, exist_ok=True)
    artifact.uri = str(path)
    return artifact


@pytest.fixture
def inputs(tmp_path, source):
    """Artifacts of a round as the other components leave them; the model was blessed."""
    model = _at(standard_artifacts.Model(), tmp_path / "model")
    blessing = _at(standard_artifacts.ModelBlessing(), tmp_path / "blessing")
    blessing.set_int_custom_property("blessed", 1)
    report = _at(CoverageReport(), tmp_path / "report")
    (tmp_path / "report" / "coverage_report.json").write_text(source.report.to_json())
    (tmp_path / "report" / "verdicts.jsonl").write_bytes(source.verdicts)
    synthetic = _at(standard_artifacts.Examples(), tmp_path / "synthetic")
    write_examples(synthetic, source.rows, span=2)
    (tmp_path / "synthetic" / "synthesis.json").write_text(source.synthesis.to_json())
    (tmp_path / "synthetic" / "README.md").write_text(source.dataset_card)
    return {
        "exports": [_at(Exports(), tmp_path / "exports")],
        "model": [model],
        "model_blessing": [blessing],
        "report": [report],
        "synthetic": [synthetic],
    }


@pytest.fixture
def pushed_model(tmp_path):
    return _at(standard_artifacts.PushedModel(), tmp_path / "pushed")


def run(inputs, pushed_model, settings, task):
    executor = Executor(BaseExecutor.Context())
    executor.Do(
        inputs,
        {"pushed_model": [pushed_model]},
        {
            "settings": settings.model_dump_json(),
            "task": task.model_dump_json(),
            "round": 2,
            "code_version": "",
        },
    )


@pytest.fixture
def local(tmp_path):
    return PushSettings(destination="local", local_hub_dir=str(tmp_path / "hub"))


def test_a_blessed_model_is_pushed_and_its_destination_recorded(
    inputs, pushed_model, local, task, tmp_path
):
    run(inputs, pushed_model, local, task)
    record = json.loads((tmp_path / "pushed" / "pushed.json").read_text())
    destination = str(tmp_path / "hub" / "models" / "local" / "support-triage")
    assert record["destination"] == destination
    assert record["local"] is True
    assert record["repositories"] == dict.fromkeys(
        ("model", "dataset", "space"), "local/support-triage"
    )
    assert record["commits"].keys() == record["repositories"].keys()
    assert pushed_model.get_int_custom_property("pushed") == 1
    assert pushed_model.get_string_custom_property("pushed_destination") == destination
    assert pushed_model.get_string_custom_property("destination") == destination
    assert pushed_model.get_string_custom_property("version") == record["tag"]


def test_a_model_that_was_not_blessed_leaves_nothing(inputs, pushed_model, local, task, tmp_path):
    inputs["model_blessing"][0].set_int_custom_property("blessed", 0)
    run(inputs, pushed_model, local, task)
    assert pushed_model.get_int_custom_property("pushed") == 0
    assert not (tmp_path / "hub").exists()
    assert not list((tmp_path / "pushed").iterdir())


def test_a_push_that_fails_records_nothing(inputs, pushed_model, local, task, tmp_path):
    (tmp_path / "model" / "Format-Serving" / "generation.json").unlink()
    with pytest.raises(PushError, match=r"generation\.json"):
        run(inputs, pushed_model, local, task)
    assert not pushed_model.has_custom_property("pushed")


def test_a_model_on_a_remote_file_system_is_fetched_first(
    inputs, pushed_model, local, task, tmp_path, monkeypatch
):
    import tensorflow as tf

    remote = f"ram://{tmp_path.name}/model"
    folder = tmp_path / "model"
    for path in (p for p in folder.rglob("*") if p.is_file()):
        tf.io.gfile.makedirs(f"{remote}/{path.parent.relative_to(folder)}")
        tf.io.gfile.copy(str(path), f"{remote}/{path.relative_to(folder)}")
    inputs["model"][0].uri = remote
    run(inputs, pushed_model, local, task)
    main = tmp_path / "hub" / "models" / "local" / "support-triage" / "main"
    assert (main / "model.weights.h5").read_bytes() == b"\x00weights" * 5000


def make_component(settings, task, **changes):
    arguments = {
        "model": channel_utils.as_channel([standard_artifacts.Model()]),
        "model_blessing": channel_utils.as_channel([standard_artifacts.ModelBlessing()]),
        "exports": channel_utils.as_channel([Exports()]),
        "report": channel_utils.as_channel([CoverageReport()]),
        "synthetic": channel_utils.as_channel([standard_artifacts.Examples()]),
        "settings": settings.model_dump_json(),
        "task": task.model_dump_json(),
        "round": 2,
    }
    return HFPusher(**{**arguments, **changes})


def destination_of(component):
    return PushSettings.model_validate_json(component.exec_properties["settings"]).destination


def test_a_token_that_turns_up_later_changes_the_cache_key(task, monkeypatch):
    assert destination_of(make_component(PushSettings(), task)) == "auto"
    monkeypatch.setenv("HF_TOKEN", "hf_something")
    assert destination_of(make_component(PushSettings(), task)) == "hub"
    assert destination_of(make_component(PushSettings(destination="local"), task)) == "local"


def test_the_round_may_be_a_runtime_parameter(task):
    component = make_component(PushSettings(), task, round=RuntimeParameter("round", int))
    assert component.outputs["pushed_model"].type is standard_artifacts.PushedModel


def test_the_token_itself_is_refused_as_the_name_of_a_variable():
    with pytest.raises(ValueError, match="and give the variable's name here"):
        PushSettings(token_env="hf_abcdefghijklmnopqrstuvwxyz")
