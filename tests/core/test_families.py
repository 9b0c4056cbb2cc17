"""How much a model reads, from its name, its folder, or not known."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from components.hf_pusher.hub_rules import check_license
from core.families import (
    FAMILIES,
    GEMMA,
    chat_template_for,
    context_length,
    plain_name,
    why_not_exported,
)
from core.room import MAX_SEQUENCE_LENGTH


@pytest.mark.parametrize(
    ("preset", "tokens"),
    [
        ("packaged:gemma3-270m", 32_768),
        ("hf://google/gemma-3-1b-it", 32_768),
        ("gemma3_instruct_4b_text", 131_072),
        ("hf://google/gemma-3-12b-it", 131_072),
        ("hf://google/gemma-3-27b-it", 131_072),
        ("gemma2_2b_en", 8_192),
        ("hf://google/gemma-2b", 8_192),
        ("code_gemma_2b_en", 8_192),
        ("function_gemma_instruct_270m", 32_768),
        ("llama2_7b_en", 4_096),
        ("hf://togethercomputer/LLaMA-2-7B-32K", 131_072),
        ("llama3_8b_en", 8_192),
        ("hf://meta-llama/Meta-Llama-3-8B", 8_192),
        ("llama3.2_1b", 131_072),
        ("mistral_7b_en", 8_192),
        ("mistral_0.2_instruct_7b_en", 32_768),
        ("hf://mistralai/Mistral-7B-v0.3", 32_768),
        ("medgemma_4b", 131_072),
        ("kaggle://somebody/some-model", 131_072),
    ],
)
def test_a_models_name_says_how_much_it_reads(preset, tokens):
    assert context_length(preset) == tokens


def test_every_published_model_of_the_table_has_a_context_length():
    for family in FAMILIES:
        for name in (*family.hub_ids, *family.hub_ids.values()):
            found = [p for p in family.contexts if re.search(p, plain_name(name))]
            assert found, name
        assert family.contexts


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        ({"model_type": "gemma3_text", "max_position_embeddings": 2_048}, 2_048),
        ({"model_type": "gemma3", "text_config": {"max_position_embeddings": 4_096}}, 4_096),
        ({"model_type": "llama", "max_position_embeddings": 10_485_760}, MAX_SEQUENCE_LENGTH),
        ({"class_name": "keras_hub>Gemma3Backbone"}, MAX_SEQUENCE_LENGTH),
        ([], MAX_SEQUENCE_LENGTH),
    ],
)
def test_a_folders_config_says_it_before_its_name(config, tokens, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    assert context_length(str(folder)) == tokens


def test_a_converted_models_folder_is_known_by_its_name(tmp_path):
    folder = tmp_path / "gemma3_1b"
    folder.mkdir()
    (folder / "config.json").write_text('{"class_name": "keras_hub>Gemma3Backbone"}')
    assert context_length(str(folder)) == 32_768


def test_every_backbone_of_the_table_is_a_class_of_keras_hub():
    """Read from its files: importing it takes half a minute."""
    found = importlib.util.find_spec("keras_hub")
    folder = Path(found.origin).parent / "src" / "models"
    text = "".join(path.read_text() for path in folder.rglob("*_backbone.py"))
    classes = set(re.findall(r"^class (\w+)\(", text, re.MULTILINE))
    assert {name for family in FAMILIES for name in family.backbones} <= classes


def test_the_hub_knows_the_owners_and_licenses_of_the_table():
    ids = [hub_id for family in FAMILIES for hub_id in family.hub_ids.values()]
    owners = {hub_id.partition("/")[0] for hub_id in ids}
    assert owners == {"google", "meta-llama", "mistralai", "Qwen"}
    for family in FAMILIES:
        for terms in family.licenses.values():
            assert check_license(terms.id) == terms.id


@pytest.mark.parametrize(
    ("preset", "refused"),
    [
        ("packaged:gemma3-270m", set()),
        ("hf://google/gemma-3-1b-it", set()),
        ("gguf:/models/mine.gguf", set()),
        ("gguf:/opt/qwen3/mine.gguf", set()),
        ("gguf:/opt/gemma-3-4b-it-Q8_0.gguf", set()),
        ("hf://unsloth/gemma-3-1b-it-bnb-4bit", set()),
        ("hf://me/gemma-3-270m-24b-tokens", set()),
        ("medgemma_4b", {"transformers", "gguf"}),
        ("translategemma_4b_it", {"transformers", "gguf"}),
        ("gemma3n_e4b_it", {"transformers", "gguf"}),
        ("kaggle://keras/gemma3/keras/gemma3_instruct_4b/1", {"transformers", "gguf"}),
        ("kaggle://keras/gemma3/keras/gemma3_instruct_4b_text/2", set()),
        ("kaggle://keras/gemma3/keras/gemma3_instruct_1b/3", set()),
        ("hf://keras/gemma3_instruct_4b", {"transformers", "gguf"}),
        ("hf://unsloth/gemma-3-4b-it", {"transformers", "gguf"}),
        ("hf://google/gemma-3-4b-it-qat-q4_0-unquantized", {"transformers", "gguf"}),
        ("medgemma_instruct_4b", {"transformers", "gguf"}),
        ("medgemma_1.5_instruct_4b", {"transformers", "gguf"}),
        ("medgemma_instruct_27b_text", set()),
        ("translategemma_12b_it", {"transformers", "gguf"}),
        ("gemma3n_e2b_it", {"transformers", "gguf"}),
        ("gemma3_instruct_4b_text", set()),
        ("gemma3_instruct_4b", {"transformers", "gguf"}),
        ("hf://google/gemma-3-12b-it", {"transformers", "gguf"}),
        ("gemma4_instruct_2b", {"transformers", "gguf"}),
        ("llama2_7b_en", set()),
        ("llama3.2_instruct_1b", {"saved_model"}),
        ("mistral_0.2_instruct_7b_en", set()),
        ("mistral_0.3_instruct_7b_en", {"transformers", "gguf"}),
        ("hf://mistralai/Mistral-7B-Instruct-v0.3", {"transformers", "gguf"}),
        ("qwen2.5_0.5b_en", {"transformers", "saved_model", "gguf"}),
        ("kaggle://somebody/some-model", set()),
    ],
)
def test_a_models_name_says_what_it_cannot_be_written_in(preset, refused):
    assert why_not_exported(preset, ("transformers", "saved_model", "gguf")).keys() == refused


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ({"model_type": "gemma3_text"}, []),
        ({"model_type": "gemma3n_text"}, ["gguf"]),
        ({"model_type": "gemma3", "vision_config": {"hidden_size": 8}}, ["gguf"]),
        ({"class_name": "keras_hub>Gemma3Backbone", "config": {"vision_encoder": None}}, []),
        ({"class_name": "keras_hub>Gemma3Backbone", "config": {"vision_encoder": {}}}, []),
        (
            {"class_name": "keras_hub>Gemma3Backbone", "config": {"vision_encoder": {"a": 1}}},
            ["gguf"],
        ),
    ],
)
@pytest.mark.parametrize("name", ["gemma-3-4b-it", "mine"])
def test_a_folders_config_says_whether_a_model_reads_images(config, refused, name, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    assert list(why_not_exported(str(folder), ("saved_model", "gguf"))) == refused


@pytest.mark.parametrize("folder", ["models", "llama.cpp", "ollama", "qwen3-vs-ours", "mistral-7b"])
def test_the_folders_of_a_gguf_file_name_no_family(folder):
    preset = f"gguf:/opt/{folder}/mine.gguf"
    assert chat_template_for(preset) == GEMMA
    assert context_length(preset) == MAX_SEQUENCE_LENGTH


def test_a_folders_config_says_what_it_cannot_be_written_in(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text('{"class_name": "keras_hub>Llama3Backbone"}')
    assert list(why_not_exported(str(folder), ("saved_model", "gguf"))) == ["saved_model"]
