"""Every family of models goes the whole way: its template, training, responses, exports."""

import json

import pytest

from models import data, features, gemma
from models.errors import ModelError
from models.export import export
from models.features import template_for
from models.generate import Generator, generate_fn
from models.tiny import NAMES
from tests.models.tuning import PAIRS, tune

PROMPTS = [prompt for prompt, _ in PAIRS]
WITHOUT_EXPORTER = ("llama2-tiny", "llama3-tiny")


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def family(name, tiny_cache):
    """A model of the family that memorized the pairs, and its template."""
    preset = gemma.resolve_preset(f"random:{name}", tiny_cache)
    template = template_for(f"random:{name}")
    return (
        tune(preset, template=template, epochs=60, method="full", learning_rate=3e-3),
        template,
        preset,
    )


def test_it_learns_the_pairs_and_where_a_turn_ends(family):
    tuned, template, _ = family
    answers = Generator(tuned.model, template).respond(PROMPTS, 40, 4)
    assert answers == [(output, "stop") for _, output in PAIRS]


def test_a_row_begins_once_and_ends_with_the_end_of_its_turn(family):
    tuned, template, _ = family
    tokenizer = tuned.model.preprocessor.tokenizer
    end = data.end_token_id(tokenizer, template)
    for row in tuned.rows:
        assert row.tokens[0] == tokenizer.start_token_id
        assert row.tokens.count(tokenizer.start_token_id) == 1
        assert row.tokens[-1] == end
        assert end not in row.tokens[row.response_start : -1]


def test_its_exports_are_the_model_that_was_trained(family, name, tmp_path):
    tuned, template, _ = family
    differences = export(
        tuned.model,
        str(tmp_path),
        template,
        tuned.rows,
        sequence_length=64,
        with_transformers=name not in WITHOUT_EXPORTER,
    )
    exports = ["preset"] if name in WITHOUT_EXPORTER else ["preset", "transformers"]
    assert list(differences) == exports
    assert all(difference <= 1e-3 for difference in differences.values())
    settings = {"max_output_tokens": 40, "batch_size": 4, "samples": 1, "temperature": 0.0}
    settings |= {"seed": 0, "dtype": "float32", "cache_dir": str(tmp_path)}
    answers = generate_fn(model_dir=str(tmp_path), preset="", prompts=PROMPTS, settings=settings)
    assert answers == [[(output, "stop")] for _, output in PAIRS]
    if "transformers" in differences:
        config = json.loads((tmp_path / "transformers" / "config.json").read_text())
        tokenizer = tuned.model.preprocessor.tokenizer
        assert config["bos_token_id"] == tokenizer.start_token_id
        assert config["eos_token_id"] == tokenizer.end_token_id


@pytest.mark.parametrize("name", WITHOUT_EXPORTER)
def test_a_family_without_a_transformers_export_says_so(name, tiny_cache, tmp_path):
    preset = gemma.resolve_preset(f"random:{name}", tiny_cache)
    template = template_for(preset)
    tuned = tune(preset, template=template, max_steps=1)
    with pytest.raises(ModelError, match=r"Set training\.transformers_export=false"):
        export(
            tuned.model,
            str(tmp_path),
            template,
            tuned.rows,
            sequence_length=64,
            with_transformers=True,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_local_folder_tells_its_family_whatever_it_is_called(family, name, tmp_path):
    _, template, preset = family
    (tmp_path / "my-model").symlink_to(preset)
    assert template_for(str(tmp_path / "my-model")) == template


@pytest.mark.parametrize(
    ("preset", "template"),
    [
        ("gemma3_instruct_1b", features.GEMMA),
        ("kaggle://keras/gemma2/keras/gemma2_2b_en", features.GEMMA),
        ("mistral_instruct_7b_en", features.INSTRUCTION),
        ("hf://mistralai/Mistral-7B-Instruct-v0.3", features.INSTRUCTION),
        ("llama3.2_instruct_1b", features.LLAMA3),
        ("hf://meta-llama/Meta-Llama-3-8B", features.LLAMA3),
        ("llama2_instruct_7b_en", features.INSTRUCTION),
        ("packaged:gemma3-270m", features.GEMMA),
    ],
)
def test_a_name_tells_the_family(preset, template):
    assert template_for(preset) == template


def test_the_template_of_another_family_is_refused(tiny_cache):
    mistral = gemma.load_model(gemma.resolve_preset("random:mistral-tiny", tiny_cache), "float32")
    with pytest.raises(ModelError, match="no token '<end_of_turn>'"):
        Generator(mistral, features.GEMMA)


def test_an_export_that_changes_the_model_is_refused(tuned, tmp_path, monkeypatch):
    def damaged(model, path):
        saved(path)
        loaded = gemma.load_model(path, "float32")
        loaded.backbone.layer_norm.scale.assign(loaded.backbone.layer_norm.scale + 1)
        loaded.save_to_preset(path)

    saved = tuned.model.save_to_preset
    monkeypatch.setattr(tuned.model, "save_to_preset", lambda path: damaged(tuned.model, path))
    with pytest.raises(ModelError, match="'preset' gives other logits"):
        export(
            tuned.model,
            str(tmp_path),
            features.GEMMA,
            tuned.rows,
            sequence_length=64,
            with_transformers=False,
        )
    assert list(tmp_path.iterdir()) == []
