"""What the card says of base models: id on the Hub, family, license, notice."""

import pytest

from components.hf_pusher.base_models import base_model
from core.families import FAMILIES

KNOWN = [
    ("packaged:gemma3-270m", "google/gemma-3-270m", "gemma", "gemma"),
    ("gemma3_instruct_1b", "google/gemma-3-1b-it", "gemma", "gemma"),
    ("gemma2_2b_en", "google/gemma-2-2b", "gemma", "gemma"),
    ("kaggle://keras/gemma3/keras/gemma3_1b/3", "google/gemma-3-1b-pt", "gemma", "gemma"),
    ("hf://google/gemma-3-1b-it", "google/gemma-3-1b-it", "gemma", "gemma"),
    ("gemma4_2b", None, "gemma", "apache-2.0"),
    ("mistral_0.2_instruct_7b_en", "mistralai/Mistral-7B-Instruct-v0.2", "mistral", "apache-2.0"),
    ("hf://mistralai/Mistral-7B-v0.3", "mistralai/Mistral-7B-v0.3", "mistral", "apache-2.0"),
    ("llama2_7b_en", "meta-llama/Llama-2-7b-hf", "llama", "llama2"),
    ("llama3_8b_en", "meta-llama/Meta-Llama-3-8B", "llama", "llama3"),
    ("llama3.1_8b", "meta-llama/Llama-3.1-8B", "llama", "llama3.1"),
    ("llama3.2_instruct_1b", "meta-llama/Llama-3.2-1B-Instruct", "llama", "llama3.2"),
    (
        "hf://me/Llama-3.3-70B-Instruct-merged",
        "me/Llama-3.3-70B-Instruct-merged",
        "llama",
        "llama3.3",
    ),
]


@pytest.mark.parametrize(("preset", "hub_id", "family", "license_id"), KNOWN, ids=str)
def test_a_known_preset(preset, hub_id, family, license_id):
    base = base_model(preset, "")
    assert (base.hub_id, base.family, base.license.id) == (hub_id, family, license_id)
    assert base.license.link.startswith("https://")
    assert bool(base.license.notice) == (license_id != "apache-2.0"), "Apache asks for none"


@pytest.mark.parametrize(
    ("backbone", "family", "license_id"),
    [
        ("Gemma3Backbone", "gemma", "gemma"),
        ("Gemma4Backbone", "gemma", "apache-2.0"),
        ("MistralBackbone", "mistral", None),
        ("Llama3Backbone", "llama", None),
        ("GPT2Backbone", None, None),
    ],
    ids=str,
)
def test_the_class_of_a_local_preset_tells_its_family_and_not_more(backbone, family, license_id):
    base = base_model("/data/models/ours", backbone)
    assert base.hub_id is None
    assert base.family == family
    assert (base.license.id if base.license else None) == license_id


@pytest.mark.parametrize("preset", ["hf://mistralai/Mistral-Large-Instruct-2411", "gpt2_base_en"])
def test_no_license_is_guessed(preset):
    assert base_model(preset, "").license is None


def test_random_weights_have_no_base_model():
    base = base_model("random:gemma3-tiny", "Gemma3Backbone")
    assert base.is_random
    assert base.license is base.hub_id is None


def test_every_name_in_the_table_is_a_preset_of_kerashub():
    from keras_hub import models

    classes = (models.GemmaCausalLM, models.Gemma3CausalLM, models.MistralCausalLM)
    classes += (models.LlamaCausalLM, models.Llama3CausalLM)
    classes += (models.QwenCausalLM, models.Qwen3CausalLM)
    known = {name for task in classes for name in task.presets}
    table = {name for family in FAMILIES for name in family.hub_ids}
    assert table - known == {"gemma3-270m"}, "the packaged one has a name of its own"
