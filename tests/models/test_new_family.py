"""A family that is not in the table is added by one row, which the whole way then follows."""

import dataclasses
import json

import keras
import pytest
from keras_hub import models

from components.hf_pusher.base_models import base_model
from core import families
from core.base_model import License
from core.errors import ModelError
from core.family import ChatTemplate
from models.export.exports import export_fn
from models.export.support import check_formats
from models.export.transformers_checkpoint import checkpoint_tokens
from models.generation.decoding import CachedDecoder, make_decoder
from models.generation.generate import generate_fn
from models.loading import tiny
from models.loading.load import load_model, resolve_preset
from tests.models.tuning import PAIRS

TEMPLATE = ChatTemplate(prefix="Human: ", suffix="\nTern: ", end="</s>")
FORMATS = ("transformers", "saved_model", "gguf")
LICENSE = License("mit", "MIT License", "https://opensource.org/license/mit")


@keras.saving.register_keras_serializable("tests")
class TernBackbone(models.MistralBackbone):
    """A model of another name with Mistral's blocks, as many of the field are."""


@keras.saving.register_keras_serializable("tests")
class TernTokenizer(models.MistralTokenizer):
    backbone_cls = TernBackbone


@keras.saving.register_keras_serializable("tests")
class TernPreprocessor(models.MistralCausalLMPreprocessor):
    backbone_cls = TernBackbone
    tokenizer_cls = TernTokenizer


@keras.saving.register_keras_serializable("tests")
class Tern(models.MistralCausalLM):
    backbone_cls = TernBackbone
    preprocessor_cls = TernPreprocessor


def build():
    like = tiny.mistral()
    tokenizer = TernTokenizer(proto=like.preprocessor.tokenizer.proto)
    backbone = TernBackbone.from_config(like.backbone.get_config())
    backbone.set_weights(like.backbone.get_weights())
    preprocessor = TernPreprocessor(tokenizer=tokenizer, sequence_length=256)
    return Tern(backbone=backbone, preprocessor=preprocessor)


@pytest.fixture
def tern(monkeypatch):
    """The row."""
    mistral = families.family_named("mistral")
    row = dataclasses.replace(
        mistral,
        tag="tern",
        pattern="tern",
        backbones=("TernBackbone",),
        chat_template=TEMPLATE,
        licenses={"tern1": LICENSE},
        hub_ids={"tern_1_small": "nest/tern-1-small"},
        tiny={"tern-tiny": "tern"},
    )
    monkeypatch.setattr(tiny, "tern", build, raising=False)
    monkeypatch.setattr(families, "FAMILIES", (row, *families.FAMILIES))
    monkeypatch.setattr("components.hf_pusher.base_models.FAMILIES", families.FAMILIES)


@pytest.fixture
def written(tern, run_trainer):
    """What the Trainer writes of it after two steps, with the Exporter's formats below."""
    folder = run_trainer(
        PAIRS, PAIRS, template=TEMPLATE, preset="random:tern-tiny", max_steps=2, exports=FORMATS
    )
    export_fn(
        model_dir=str(folder),
        destination=str(folder / "exports"),
        train_files=[str(folder.parent / "train-*")],
        formats=FORMATS,
        gguf_type="f32",
    )
    return folder


@pytest.mark.slow
def test_a_row_takes_a_family_the_whole_way(written, tmp_path):
    record = json.loads((written / "training.json").read_text())
    assert record["steps"] == 2
    verified = record["exports"] | json.loads((written / "exports" / "exports.json").read_text())
    assert list(verified) == ["adapter", "preset", *FORMATS]
    assert all(found["verified"] for found in verified.values())
    assert json.loads((written / "generation.json").read_text())["prefix"] == "Human: "
    assert json.loads((written / "preset" / "config.json").read_text())["class_name"] == (
        "TernBackbone"
    )
    settings = {"max_output_tokens": 4, "batch_size": 2, "samples": 1, "temperature": 0.0}
    settings |= {"seed": 0, "dtype": "float32", "cache_dir": str(tmp_path)}
    answers = generate_fn(
        model_dir=str(written), preset="", prompts=["hello", "thanks"], settings=settings
    )
    assert [[finish for _, finish in samples] for samples in answers] == [["length"], ["length"]]
    assert checkpoint_tokens(written / "exports" / "transformers", ["my order"])[0]


def test_a_row_says_how_responses_are_decoded(tern, tiny_cache):
    model = load_model(resolve_preset("random:tern-tiny", tiny_cache), "float32")
    assert isinstance(make_decoder(model, (), 0.0, 0), CachedDecoder)


def test_a_row_says_what_the_hub_is_told(tern):
    base = base_model("tern_1_small", "TernBackbone")
    assert (base.hub_id, base.family, base.license) == ("nest/tern-1-small", "tern", LICENSE)


def test_without_its_row_it_has_no_exports():
    with pytest.raises(ModelError, match=r"no export to \w+ for TernBackbone"):
        check_formats(build(), FORMATS)
    with pytest.raises(ModelError, match="no preset 'random:tern-tiny'"):
        resolve_preset("random:tern-tiny", "unused")
