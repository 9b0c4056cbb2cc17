"""Whatever stands in a preset, an override or the environment: a configuration or a clear error."""

import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import Config, ConfigError, load_config
from pipeline.preset_files import preset_names

KEYS = st.sampled_from([
    "extends", "name", "coverage_dir", "output_dir", "task", "service_llm", "judge", "rounds",
    "synth", "training", "generation", "evaluator", "push", "vertex", "instruction", "provider",
    "model", "api_key_env", "budget_usd", "max_rounds", "attributes", "tone", "price", "secrets",
])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def loaded(*arguments, **keywords):
    """The configuration, or None after a clear error."""
    try:
        config = load_config(*arguments, environ={}, **keywords)
    except ConfigError:
        return None
    assert isinstance(config, Config)
    return config


@pytest.fixture(scope="module")
def preset_file(tmp_path_factory):
    return tmp_path_factory.mktemp("presets") / "mine.yaml"


@settings(deadline=None)
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_file_is_a_preset_or_told(preset_file, data):
    preset_file.write_bytes(data)
    assert loaded(str(preset_file)) is None


@settings(deadline=None)
@given(values=st.dictionaries(KEYS, VALUES, max_size=4), extends=st.sampled_from(preset_names()))
def test_any_values_make_a_configuration_or_are_told(preset_file, values, extends):
    text = yaml.safe_dump({"extends": extends} | values, allow_unicode=True)
    preset_file.write_text(text, encoding="utf-8")
    loaded(str(preset_file))


@settings(deadline=None)
@given(override=st.text(max_size=30) | st.builds("{}={}".format, st.text(), st.text()))
def test_any_override_is_taken_or_told(override):
    loaded("offline", [override])


PATHS = st.lists(
    st.text(string.ascii_lowercase + "_", min_size=1, max_size=6), min_size=1, max_size=3
)


@settings(deadline=None)
@given(path=PATHS, text=st.text())
def test_an_unknown_key_is_told_with_its_path(path, text):
    with pytest.raises(ConfigError) as caught:
        load_config("offline", [f"zz{'.'.join(path)}={text}"], environ={})
    assert f"zz{path[0]}" in str(caught.value)


@settings(deadline=None)
@given(name=PATHS, text=st.text())
def test_any_variable_of_the_environment_is_taken_or_told(name, text):
    with pytest.raises(ConfigError):
        load_config("offline", environ={f"UNDERSTUDY__ZZ{'__'.join(name).upper()}": text})


@settings(deadline=None)
@given(text=st.text(min_size=1))
def test_an_instruction_is_taken_as_it_is(preset_file, text):
    values = {"extends": "offline", "task": {"instruction": f"Do: {text}"}}
    preset_file.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert loaded(str(preset_file)).task.instruction == f"Do: {text}"


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "[" * 3000,
        "a: 2026-99-99",
        "? {a: b}\n: c",
        "1: 2",
        "extends: 5",
        "extends: [offline]",
        "extends: {a: b}",
        "!!python/object:os.system {}",
        "a: !!binary =",
        "a: 1__0:99",
        "extends: offline\n1: 2",
    ],
)
def test_odd_yaml(preset_file, text):
    preset_file.write_text(text, encoding="utf-8")
    assert loaded(str(preset_file)) is None
