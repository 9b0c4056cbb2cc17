"""Attributes edited in YAML, through the configuration as a user writes it."""

import json

import pydantic
import pytest
import yaml

from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from pipeline.config import ConfigError, load_config

VALUES = {name: [f"{name} {n}" for n in range(2)] for name in AttributeSets.model_fields}


@pytest.fixture
def attributes_file(tmp_path):
    path = tmp_path / "attributes.yaml"
    path.write_text(yaml.safe_dump({"attributes": {**VALUES, "tone": ["solemn, as in an äulogy"]}}))
    return path


def test_a_preset_names_the_file_with_the_attributes(tmp_path, attributes_file):
    preset = tmp_path / "mine.yaml"
    preset.write_text(f"extends: offline\nsynth: {{attributes: {attributes_file}}}\n")
    synth = load_config(str(preset), environ={}).synth
    assert synth.attributes.tone == ["solemn, as in an äulogy"]
    assert "solemn" in synth.model_dump_json(), "the values travel, and not the name of the file"
    assert SynthSettings.model_validate_json(synth.model_dump_json()) == synth


def test_one_run_takes_another_file(attributes_file):
    synth = load_config("offline", [f"synth.attributes={attributes_file}"], environ={}).synth
    assert synth.attributes.persona == VALUES["persona"]


def test_attributes_may_stand_in_the_preset_itself(tmp_path):
    preset = tmp_path / "mine.yaml"
    preset.write_text("extends: offline\nsynth:\n  attributes: " + json.dumps(VALUES) + "\n")
    assert load_config(str(preset), environ={}).synth.attributes == AttributeSets(**VALUES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"synth.attributes: received '.*'. .*cannot be read.*give the path of a YAML file"),
        ("[unclosed", r"synth.attributes.*cannot be read"),
        (yaml.safe_dump({**VALUES, "mood": ["a"]}), r"synth.attributes.mood: unknown key.*persona"),
    ],
    ids=["no-file", "no-yaml", "an-unknown-attribute"],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path, content, message):
    path = tmp_path / "attributes.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_config("offline", [f"synth.attributes={path}"], environ={})


def test_the_former_name_of_the_similarity_still_works_and_says_its_new_one():
    with pytest.warns(FutureWarning, match="near_duplicate_similarity now"):
        settings = SynthSettings.model_validate({"near_duplicate_jaccard": 0.4})
    assert settings.near_duplicate_similarity == 0.5, "the least that is allowed"


def test_a_former_value_is_read_as_the_new_one_is():
    with pytest.warns(FutureWarning, match="near_duplicate_similarity now"):
        settings = SynthSettings.model_validate({"near_duplicate_jaccard": "0.7"})
    assert settings.near_duplicate_similarity == 0.7
    for wrong in (None, "much", [0.7]):
        with (
            pytest.warns(FutureWarning),
            pytest.raises(pydantic.ValidationError, match="near_duplicate_similarity"),
        ):
            SynthSettings.model_validate({"near_duplicate_jaccard": wrong})
