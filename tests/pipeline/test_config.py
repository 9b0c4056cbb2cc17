import subprocess
import sys

import pytest

from pipeline.config import ConfigError, load_config, preset_names


def _preset(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


OWN = {  # what these presets leave to the user
    "gemini-vertex": ("service_llm.vertex_project=p",),
    "vertex": (
        "service_llm.vertex_project=p",
        "vertex.project=p",
        "vertex.pipeline_root=gs://b/f",
        "vertex.image=i",
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
        pytest.param("name.first=x", ["'name'", "holds no keys"], id="below a value"),
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
        pytest.param("- a\n- b\n", "holds list", id="a list"),
        pytest.param("a: [\n", "not valid YAML", id="broken YAML"),
        pytest.param("extends: nowhere\n", "no preset 'nowhere'", id="unknown parent"),
        pytest.param("name: mine\n", "coverage_dir: missing", id="missing keys"),
    ],
)
def test_a_bad_preset_file_is_refused(tmp_path, text, expected):
    with pytest.raises(ConfigError, match=expected):
        load_config(_preset(tmp_path, text), environ={})


def test_presets_that_extend_each_other_are_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {path}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="extend each other"):
        load_config(str(path), environ={})


def test_reading_a_configuration_loads_no_heavy_library():
    code = (
        "import sys; from pipeline.config import load_config; load_config('offline', environ={});"
        "print([m for m in ('tensorflow', 'tfx', 'keras', 'apache_beam', 'google.genai')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
