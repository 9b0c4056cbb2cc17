import json
import subprocess
import sys

import pytest

from pipeline.config import ConfigError, load_config
from pipeline.preset_files import preset_names


def _preset(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


OWN = {  # what these presets leave to the user
    "gemini-vertex": ("service_llm.vertex_project=p",),
    "vertex": (
        "service_llm.vertex_project=p",
        "vertex.project=team",
        "vertex.pipeline_root=gs://bucket/f",
        "vertex.image=gcr.io/p/i",
    ),
}


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_preset_can_be_read(name):
    config = load_config(name, OWN.get(name, ()), environ={})
    assert config.name
    assert config.task.instruction


@pytest.mark.parametrize("name", OWN)
def test_what_only_the_user_knows_is_asked_for(name):
    with pytest.raises(ConfigError) as caught:
        load_config(name, environ={})
    for value in OWN[name]:
        assert value.partition("=")[0].rpartition(".")[2] in str(caught.value)


def test_an_override_beats_the_environment_and_the_environment_beats_the_preset():
    preset = load_config("offline", environ={})
    environ = {"UNDERSTUDY__ROUNDS__MAX_ROUNDS": "7", "UNDERSTUDY__TRAINING__LORA_RANK": "2"}
    config = load_config("offline", ["training.lora_rank=16"], environ)
    assert preset.rounds.max_rounds != 7
    assert config.rounds.max_rounds == 7
    assert config.training.lora_rank == 16


def test_keras_own_variable_is_the_backend_unless_an_override_says_otherwise():
    environ = {"KERAS_BACKEND": "jax"}
    assert load_config("offline", environ={}).training.backend == "tensorflow"
    assert load_config("offline", environ=environ).training.backend == "jax"
    overridden = load_config("offline", ["training.backend=tensorflow"], environ)
    assert overridden.training.backend == "tensorflow"
    with pytest.raises(ConfigError, match=r"training\.backend: received 'torch'.*'jax'"):
        load_config("offline", environ={"KERAS_BACKEND": "torch"})


def test_a_gate_by_embeddings_needs_an_embedding_model():
    gate = "evaluator.gate.scorer=embedding"
    with pytest.raises(ConfigError, match="embedder"):
        load_config("offline", [gate], environ={})
    model = "embedder={provider: gemini, model: m, vertex_project: p}"
    config = load_config("offline", [gate, model], environ={})
    assert list(config.services) == ["service_llm", "embedder"]


def test_generation_on_several_accelerators_needs_the_backend_that_can_do_it():
    with pytest.raises(ConfigError, match=r"generation\.distribution is 'data'.*backend=jax"):
        load_config("offline", ["generation.distribution=data"], {})
    both = ["generation.distribution=data", "training.backend=jax"]
    assert load_config("offline", both, {}).generation.distribution == "data"


def test_the_configuration_cannot_be_changed():
    config = load_config("offline", environ={})
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        pytest.param(
            "training.lora_rnak=4", ["training.lora_rnak", "unknown key", "lora_rank"], id="unknown"
        ),
        pytest.param("nonsense=4", ["nonsense: unknown key", "training"], id="unknown at top"),
        pytest.param(
            "rounds.max_rounds=none", ["rounds.max_rounds", "'none'", "integer"], id="not a number"
        ),
        pytest.param("rounds.max_rounds=0", ["rounds.max_rounds", "0", "1"], id="out of bounds"),
        pytest.param("rounds.max_rounds", ["no value", "key.path=value"], id="no value"),
        pytest.param("name.first=x", ["'name'", "not a section with keys"], id="below a value"),
        pytest.param("service_llm.provider=acme", ["service_llm.provider", "'acme'", "gemini"],
                     id="not a choice"),
    ],
)  # fmt: skip
def test_a_bad_override_is_named_with_its_path_value_and_what_is_allowed(override, expected):
    with pytest.raises(ConfigError) as error:
        load_config("offline", [override], environ={})
    for part in expected:
        assert part in str(error.value), str(error.value)


def test_all_errors_are_told_at_once():
    with pytest.raises(ConfigError) as error:
        load_config("offline", ["rounds.max_rounds=0", "rounds.patience=0"], environ={})
    assert "rounds.max_rounds" in str(error.value)
    assert "rounds.patience" in str(error.value)


def test_an_unknown_preset_is_answered_with_the_presets_there_are():
    with pytest.raises(ConfigError, match=r"no preset 'offlin'.*offline"):
        load_config("offlin", environ={})


@pytest.mark.parametrize(
    ("written", "meant"),
    [("offlin", "offline"), ("my_tsk.yaml", "my_task.yaml"), ("my_task", "my_task.yaml")],
)
def test_an_unknown_preset_is_answered_with_the_one_that_was_meant(
    tmp_path, monkeypatch, written, meant
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_task.yaml").write_text("extends: offline\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"Did you mean '{meant}'"):
        load_config(written, environ={})


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("round.max_rounds=3", "rounds"),
        ("rounds.max_round=3", "rounds.max_rounds"),
        ("serving.model.slot=3", "serving.model.slots"),
        ("max_rounds=3", "rounds.max_rounds"),
        ("rounds_max_rounds=3", "rounds.max_rounds"),
        ("Training.epochs=3", "training"),
    ],
)
def test_an_unknown_key_is_answered_with_the_one_that_was_meant(override, meant):
    with pytest.raises(ConfigError, match=f"unknown key. Did you mean '{meant}'"):
        load_config("offline", [override], {})


@pytest.mark.parametrize("override", ["nonsense=4", "training.lr=1"])
def test_an_unknown_key_that_is_close_to_none_gets_no_suggestion(override):
    with pytest.raises(ConfigError, match=r"unknown key\. Allowed here"):
        load_config("offline", [override], {})


def test_an_unknown_key_from_the_environment_is_named_with_its_variable():
    name = "UNDERSTUDY__ROUNDS__MAX_ROUND"
    with pytest.raises(ConfigError, match=rf"max_round \(from {name}\): unknown key. Did you mean"):
        load_config("offline", environ={name: "3"})


@pytest.mark.parametrize(
    "name",
    ["UNDERSTUDY_ROUNDS__MAX_ROUNDS", "UNDERSTUDY_ROUNDS_MAX_ROUNDS", "UNDERSTUDY_ROUND_MAX_ROUND"],
)
def test_a_variable_that_would_be_ignored_is_refused_with_the_one_that_was_meant(name):
    with pytest.raises(ConfigError, match=f"{name} is not read.*UNDERSTUDY__ROUNDS__MAX_ROUNDS"):
        load_config("offline", environ={name: "3"})


def test_variables_of_other_uses_are_left_alone():
    names = ("STANDIN_URL", "KEY", "SECRETS", "ACCELERATOR", "TEST_MARK", "HOME")
    environ = {f"UNDERSTUDY_{name}": "x" for name in names}
    assert load_config("offline", environ=environ) == load_config("offline", environ={})


def test_a_preset_file_extends_a_shipped_one(tmp_path):
    preset = _preset(tmp_path, "extends: offline\nname: mine\nrounds: {max_rounds: 2}\n")
    config = load_config(preset, environ={})
    offline = load_config("offline", environ={})
    assert (config.name, config.rounds.max_rounds) == ("mine", 2)
    assert config.rounds.patience == offline.rounds.patience
    assert config.task == offline.task


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("- a\n- b\n", "contains list", id="a list"),
        pytest.param("a: [\n", "not valid YAML", id="broken YAML"),
        pytest.param("extends: nowhere\n", "no preset 'nowhere'", id="unknown parent"),
        pytest.param("name: mine\n", "coverage_dir: missing", id="missing keys"),
    ],
)
def test_a_bad_preset_file_is_refused(tmp_path, text, expected):
    with pytest.raises(ConfigError, match=expected):
        load_config(_preset(tmp_path, text), environ={})


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("training.clip_norm=.inf", "training.clip_norm is inf"),
        ("training.lora_alpha=.inf", "training.lora_alpha is inf"),
        ("training.lora_alpha=.nan", "training.lora_alpha: received nan"),
        ("synth={temperature: .nan}", "synth.temperature"),
        ("training.clip_norm=inf", "training.clip_norm is inf"),
        ('training.clip_norm="inf"', "training.clip_norm is inf"),
        ("training.lora_alpha=Infinity", "training.lora_alpha is inf"),
        ("training.clip_norm=1e999", "training.clip_norm is inf"),
        ("service_llm.timeout_seconds=inf", "service_llm.timeout_seconds is inf"),
        ("operation.machine_usd_per_hour=inf", "operation.machine_usd_per_hour is inf"),
    ],
)
def test_numbers_that_are_not_finite_are_refused_where_they_are_read(override, place):
    with pytest.raises(ConfigError, match=place):
        load_config("offline", [override], environ={})


@pytest.mark.parametrize("value", ["inf", "Infinity", ".inf", "1e999"])
def test_numbers_of_the_environment_that_are_not_finite_are_refused(value):
    environ = {"UNDERSTUDY__TRAINING__CLIP_NORM": value}
    with pytest.raises(ConfigError, match=r"training\.clip_norm is inf"):
        load_config("offline", environ=environ)


def test_presets_that_extend_each_other_are_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {path}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="extend each other"):
        load_config(str(path), environ={})


def test_reading_a_configuration_loads_no_heavy_library():
    code = (
        "import sys; from pipeline.config import load_config; load_config('offline', environ={});"
        "print([m for m in ('tensorflow', 'tfx', 'keras', 'apache_beam', 'google.genai',"
        " 'jsonschema') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_leak_judge_must_not_be_the_generator():
    leak_judge = "synth.leak_judge=true"
    with pytest.raises(ConfigError, match="must not see the holdout"):
        load_config("gemini", [leak_judge])
    same = load_config("gemini").service_llm.model_dump_json()
    with pytest.raises(ConfigError, match="add a 'judge' with another model"):
        load_config("gemini", [leak_judge, f"judge={same}"])
    other = {"provider": "openai", "model": "gpt-5-mini", "api_key_env": "OPENAI_API_KEY"}
    assert load_config("gemini", [leak_judge, f"judge={json.dumps(other)}"]).synth.leak_judge
