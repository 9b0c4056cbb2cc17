"""License, terms and making of the model on its card."""

import json

import pytest
from huggingface_hub import ModelCard

from components.hf_pusher.settings import PushSettings
from tests.components.hf_pusher.cards import card_of, content_of


def test_a_training_of_all_weights_is_not_called_lora(source, trained_from, model_dir):
    exports = json.loads((model_dir / "training.json").read_text())["exports"]
    exports.pop("adapter")
    trained_from(hparams={"epochs": 1, "method": "full"}, exports=exports)
    (model_dir / "adapter.lora.h5").unlink()
    card = card_of(source)
    assert "lora" not in card.data.tags
    assert "LoRA" not in card.text
    assert "adapter" not in card.text


@pytest.mark.parametrize(
    ("preset", "license_id", "notice"),
    [
        ("gemma3_1b", "gemma", "Gemma Terms of Use found at ai.google.dev/gemma/terms"),
        ("llama3.2_1b", "llama3.2", "Built with Llama. Llama 3.2 is licensed under"),
        ("llama2_7b_en", "llama2", "Llama 2 is licensed under the LLAMA 2 Community License"),
        ("mistral_7b_en", "apache-2.0", None),
    ],
    ids=["gemma", "llama3.2", "llama2", "mistral"],
)
def test_the_terms_of_the_base_model_go_with_the_weights(
    source, trained_from, preset, license_id, notice
):
    trained_from(preset=preset)
    content = content_of(source)
    card = ModelCard(content.files["README.md"].decode())
    assert card.data.license == license_id
    assert card.data.license_link in card.text
    assert "the weights are modified" in card.text
    if notice:
        assert notice in content.files["NOTICE"].decode()
        assert notice in card.text
    else:
        assert "NOTICE" not in content.files


@pytest.mark.parametrize(("best_step", "is_said"), [(0, True), (2, False)])
def test_a_training_that_kept_the_weights_it_began_with_is_a_limit(
    source, trained_from, best_step, is_said
):
    trained_from(steps=4, best_step=best_step)
    assert ("It has learned nothing: none of the 4 steps" in card_of(source).text) == is_said


def test_an_unknown_license_is_said_to_be_unknown(source, trained_from, model_dir):
    trained_from(preset="hf://someone/something")
    (model_dir / "preset" / "config.json").write_text('{"class_name": "MistralBackbone"}')
    card = card_of(source)
    assert card.data.license == "unknown"
    assert "does not know the license" in card.text
    assert card.data.base_model == "someone/something"


def test_settings_name_what_the_preset_does_not(source, trained_from):
    trained_from(preset="/data/ours")
    card = card_of(
        source,
        base_model="we/ours",
        license="other",
        license_name="ours-1.0",
        license_link="https://example.com/ours",
        languages=("de", "en"),
    )
    assert card.data.base_model == "we/ours"
    assert (card.data.license, card.data.license_name) == ("other", "ours-1.0")
    assert card.data.license_link == "https://example.com/ours"
    assert card.data.language == ["de", "en"]


def test_another_license_needs_a_name_and_a_link():
    with pytest.raises(ValueError, match="license_name and license_link"):
        PushSettings(license="other")


def test_random_weights_carry_no_license(source, trained_from):
    trained_from(preset="random:gemma3-tiny")
    card = card_of(source)
    assert card.data.license is None
    assert card.data.base_model is None
    assert "weights were random" in card.text
