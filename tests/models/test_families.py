"""Every family of models goes the whole way: its template, training, responses, exports."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from core import families
from core.errors import ModelError
from core.families import chat_template_for
from core.family import ChatTemplate
from models import data
from models.export import saved_model, saved_model_loader, support
from models.generation.generate import Generator, generate_fn
from models.loading import tiny
from models.loading.load import load_model, resolve_preset
from models.preprocessing import format_prompts
from tests.models.tuning import PAIRS, tune, write

PROMPTS = [prompt for prompt, _ in PAIRS]
WITHOUT_SAVED_MODEL = ("llama3-tiny", "qwen-tiny")
WITHOUT_START = ("qwen-tiny",)


@pytest.fixture(scope="module", params=tiny.names())
def name(request):
    return request.param


@pytest.fixture(scope="module")
def family(name, tiny_cache):
    """A model of the family that memorized the pairs, and its template."""
    preset = resolve_preset(f"random:{name}", tiny_cache)
    template = chat_template_for(f"random:{name}")
    return (
        tune(preset, template=template, epochs=60, method="full", learning_rate=3e-3),
        template,
        preset,
    )


def test_it_learns_the_pairs_and_where_a_turn_ends(family):
    tuned, template, _ = family
    answers = Generator(tuned.model, template).respond(PROMPTS, 40, 4)
    assert answers == [(output, "stop") for _, output in PAIRS]


def test_a_row_begins_once_and_ends_with_the_end_of_its_turn(family, name):
    tuned, template, _ = family
    tokenizer = tuned.model.preprocessor.tokenizer
    end = data.end_token_id(tokenizer, template)
    start = data.start_tokens(tokenizer)
    assert len(start) == (name not in WITHOUT_START)
    for row in tuned.rows:
        assert row.tokens[: len(start)] == start
        assert sum(map(row.tokens.count, start)) == len(start)
        assert row.tokens[-1] == end
        assert end not in row.tokens[row.response_start : -1]


def load_and_ask(folder, prompts):
    """As the export does in a process of its own (test_exports.py), where the imports take most."""
    request = {"folder": str(folder), "answers": str(folder.parent / "answers.npz")}
    request["prompts"] = [prompt.text for prompt in prompts]
    request["limits"] = [len(prompt.continuation) for prompt in prompts]
    answer = saved_model_loader.answer(request)
    with np.load(request["answers"]) as arrays:
        return answer, arrays["logits"]


@pytest.mark.slow
def test_its_exports_are_the_model_that_was_trained(family, name, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "_load_and_ask", load_and_ask)
    tuned, template, preset = family
    row = families.family_named(name)
    has = {"transformers": row.transformers, "saved_model": name not in WITHOUT_SAVED_MODEL}
    exports = tuple(export for export, found in (has | {"gguf": row.gguf}).items() if found)
    record = write(tuned, tmp_path, preset, template=template, exports=exports)
    assert list(record) == ["preset", *exports]
    assert all(found["verified"] for found in record.values())
    assert all(found["greedy_tokens"] >= 4 for found in record.values())
    settings = {"max_output_tokens": 40, "batch_size": 4, "samples": 1, "temperature": 0.0}
    settings |= {"seed": 0, "dtype": "float32", "cache_dir": str(tmp_path)}
    answers = generate_fn(model_dir=str(tmp_path), preset="", prompts=PROMPTS, settings=settings)
    assert answers == [[(output, "stop")] for _, output in PAIRS]
    if "transformers" in record:
        config = json.loads((tmp_path / "exports" / "transformers" / "config.json").read_text())
        tokenizer = tuned.model.preprocessor.tokenizer
        assert config["bos_token_id"] == tokenizer.start_token_id
        assert config["eos_token_id"] == tokenizer.end_token_id
    if "saved_model" in record:
        assert saved_model_answers(tmp_path / "exports") == [
            (output, "stop") for _, output in PAIRS
        ]


def saved_model_answers(folder):
    signature = tf.saved_model.load(str(folder / "saved_model" / "1")).signatures["serving_default"]
    found = signature(prompts=tf.constant(PROMPTS))
    columns = (found["responses"].numpy(), found["finish"].numpy())
    return [(text.decode(), end.decode()) for text, end in zip(*columns, strict=True)]


def test_the_table_says_which_tokenizers_a_saved_model_holds():
    assert {n for f in families.FAMILIES if not f.saved_model for n in f.tiny} == {
        *WITHOUT_SAVED_MODEL
    }


@pytest.mark.parametrize("name", WITHOUT_SAVED_MODEL)
def test_a_tokenizer_that_a_saved_model_cannot_hold_is_told_before_the_training(name, tiny_cache):
    assert "saved_model" in families.why_not_exported(f"random:{name}", ("saved_model",))
    model = load_model(resolve_preset(f"random:{name}", tiny_cache), "float32")
    with pytest.raises(ModelError, match=r"Leave saved_model out of training\.exports"):
        support.check_formats(model, ("saved_model",))


@pytest.mark.parametrize("export", ["transformers", "gguf"])
def test_a_family_without_an_export_is_told_before_the_training(tuned, export, monkeypatch):
    row = dataclasses.replace(families.family_of(tuned.model.backbone), **{export: None})
    monkeypatch.setattr(families, "FAMILIES", (row,))
    with pytest.raises(ModelError, match=f"no export to {export} for Gemma3Backbone"):
        support.check_formats(tuned.model, (export,))


def test_a_local_folder_tells_its_family_whatever_it_is_called(family, name, tmp_path):
    _, template, preset = family
    (tmp_path / "my-model").symlink_to(preset)
    assert chat_template_for(str(tmp_path / "my-model")) == template


def test_a_folder_of_this_pipeline_says_itself_how_it_is_prompted(family, tmp_path):
    _, template, preset = family
    own = ChatTemplate(prefix="Q: ", suffix="\nA: ", end=template.end)
    (tmp_path / "generation.json").write_text(own.to_json(sequence_length=64), encoding="utf-8")
    (tmp_path / "preset").symlink_to(preset)
    assert chat_template_for(str(tmp_path / "preset")) == own
    assert chat_template_for(str(tmp_path)) == own


@pytest.mark.parametrize(
    ("preset", "template"),
    [
        ("gemma3_instruct_1b", families.GEMMA),
        ("gemma_2b_en", families.GEMMA),
        ("hf://google/gemma-3-1b-it", families.GEMMA),
        ("kaggle://keras/gemma2/keras/gemma2_2b_en", families.GEMMA),
        ("kaggle://keras/gemma3/keras/gemma3_instruct_4b_text/2", families.GEMMA),
        ("mistral_7b_en", families.INSTRUCTION),
        ("mistral_instruct_7b_en", families.INSTRUCTION),
        ("hf://mistralai/Mistral-7B-Instruct-v0.3", families.INSTRUCTION),
        ("qwen2.5_instruct_0.5b_en", families.QWEN),
        ("hf://Qwen/Qwen3-0.6B", families.QWEN),
        ("llama3_instruct_8b_en", families.LLAMA3),
        ("llama3.2_instruct_1b", families.LLAMA3),
        ("hf://meta-llama/Llama-3.2-1B-Instruct", families.LLAMA3),
        ("hf://meta-llama/Meta-Llama-3-8B", families.LLAMA3_BASE),
        ("llama3_8b_en", families.LLAMA3_BASE),
        ("llama2_7b_en", families.INSTRUCTION),
        ("llama2_instruct_7b_en", families.INSTRUCTION),
        ("hf://meta-llama/Llama-2-7b-chat-hf", families.INSTRUCTION),
        ("packaged:gemma3-270m", families.GEMMA),
        ("gguf:/models/support.gguf", families.GEMMA),  # no other family is read from GGUF
    ],
)
def test_a_name_tells_the_family(preset, template):
    assert chat_template_for(preset) == template


@pytest.mark.parametrize("preset", ["hf://acme/phi-like", "gpt2_base_en", "./no/such/folder"])
def test_a_name_of_no_known_family_is_refused(preset):
    with pytest.raises(ModelError, match=rf"{preset}.*\(gemma, llama, mistral, qwen\)"):
        chat_template_for(preset)


def test_a_folder_of_no_known_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"class_name": "PhiBackbone"}')
    with pytest.raises(ModelError, match=r"docs/extend/model_family\.md"):
        chat_template_for(str(tmp_path))


@pytest.mark.parametrize(
    ("preset", "text"),
    [
        # What `apply_chat_template` of the models' own tokenizers on the Hub writes after the
        # beginning of sequence, with `add_generation_prompt`, for a message without a system turn.
        (
            "gemma3_instruct_1b",
            "<start_of_turn>user\nHello!<end_of_turn>\n<start_of_turn>model\n",
        ),
        ("mistral_instruct_7b_en", "[INST] Hello! [/INST]"),
        ("llama2_instruct_7b_en", "[INST] Hello! [/INST]"),
        (
            "llama3_instruct_8b_en",
            "<|start_header_id|>user<|end_header_id|>\n\nHello!<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
    ],
)
def test_an_instruction_tuned_model_is_prompted_as_it_was_tuned(preset, text):
    assert format_prompts("Hello!", chat_template_for(preset)).numpy().decode() == text


def test_the_words_for_an_untuned_llama_3_end_with_its_end_of_text(tiny_cache):
    preset = resolve_preset("random:llama3-tiny", tiny_cache)
    template = chat_template_for("llama3_8b_en")
    tuned = tune(preset, template=template, epochs=60, method="full", learning_rate=3e-3)
    tokenizer = tuned.model.preprocessor.tokenizer
    assert {row.tokens[-1] for row in tuned.rows} == {tokenizer.end_token_id}
    answers = Generator(tuned.model, template).respond(PROMPTS, 40, 4)
    assert answers == [(output, "stop") for _, output in PAIRS]


def test_the_template_of_another_family_is_refused(tiny_cache):
    mistral = load_model(resolve_preset("random:mistral-tiny", tiny_cache), "float32")
    with pytest.raises(ModelError, match="no token '<end_of_turn>'"):
        Generator(mistral, families.GEMMA)
