"""Damaged and hostile model files: one documented error, in bounded time and memory.

By default some hundred files are tried; `make soak` tries others for ten minutes.
"""

import gc
import io
import struct
import tempfile
import time

import pytest

from core.errors import ModelError
from models.loading.gguf_header import read_fields
from models.loading.tokenizer import load_tokenizer
from tests.fuzzing import run


def text(value):
    return struct.pack("<Q", len(value)) + value


def header(fields, tensors=0, version=3):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(fields)) + b"".join(fields)


def field(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def small_file():
    """The head of a file with a tokenizer of a few pieces, as llama.cpp's converter writes it."""
    pieces = [b"<pad>", b"<eos>", b"<bos>", b"<unk>", b"a", b"b", b"ab", b"\xe2\x96\x81a"]
    kinds = [3, 3, 3, 2, 1, 1, 1, 1]
    pieces += [f"<0x{byte:02X}>".encode() for byte in range(256)]
    kinds += [6] * 256
    count = len(pieces)
    fields = [
        field(b"general.architecture", 8, text(b"gemma3")),
        field(b"gemma3.context_length", 4, struct.pack("<I", 512)),
        field(
            b"tokenizer.ggml.tokens",
            9,
            struct.pack("<IQ", 8, count) + b"".join(map(text, pieces)),
        ),
        field(
            b"tokenizer.ggml.scores",
            9,
            struct.pack(f"<IQ{count}f", 6, count, *map(float, range(count))),
        ),
        field(
            b"tokenizer.ggml.token_type",
            9,
            struct.pack(f"<IQ{count}i", 5, count, *kinds),
        ),
        *(
            field(f"tokenizer.ggml.{name}_token_id".encode(), 4, struct.pack("<I", number))
            for name, number in (("padding", 0), ("eos", 1), ("bos", 2), ("unknown", 3))
        ),
        field(b"tokenizer.ggml.add_space_prefix", 7, b"\0"),
    ]
    return header(fields)


HOSTILE = {
    "a text of 2^62 bytes": header([field(b"key", 8, struct.pack("<Q", 1 << 62))]),
    "a text of 2^63 bytes": header([struct.pack("<Q", 1 << 63) + b"key"]),
    "2^64 - 1 fields": b"GGUF" + struct.pack("<IQQ", 3, 0, (1 << 64) - 1),
    "2^60 numbers": header([field(b"key", 9, struct.pack("<IQ", 4, 1 << 60))]),
    "2^60 texts": header([field(b"key", 9, struct.pack("<IQ", 8, 1 << 60))]),
    "2^60 truth values": header([field(b"key", 9, struct.pack("<IQ", 7, 1 << 60))]),
    "2^60 arrays": header([field(b"key", 9, struct.pack("<IQ", 9, 1 << 60))]),
    "100,000 arrays in each other": header([field(b"key", 9, struct.pack("<IQ", 9, 1) * 100_000)]),
    "an unknown type": header([field(b"key", 99, b"")]),
    "text that is no UTF-8": header([field(b"key", 8, text(b"\xff\xfe"))]),
    "another version": header([], version=77),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_head_is_refused_before_it_takes_memory(data):
    with pytest.raises(ModelError, match=r"'model\.gguf' is not a readable GGUF file"):
        read_fields(io.BytesIO(data), "model.gguf")


def test_the_small_file_is_one(tmp_path):
    (tmp_path / "model.gguf").write_bytes(small_file())
    found = load_tokenizer(f"gguf:{tmp_path / 'model.gguf'}", str(tmp_path), download=False)
    assert (found.context_length, found.start) == (512, "<bos>")
    assert found.count(["ab"]) == [1]


def read_tokenizer(file):
    found = load_tokenizer(f"gguf:{file}", "unused", download=False)
    found.count(["ab a", "\u2581", ""])


def convert(file):
    from models.loading.gguf import convert_file

    with tempfile.TemporaryDirectory() as cache:
        convert_file(str(file), cache)


def load_preset(folder):
    import keras

    from models.loading.load import load_model

    # Keras keeps two megabytes of each model; hundreds of cases would reach the limit of one.
    keras.backend.clear_session()
    gc.collect()
    load_model(str(folder), "float32")
    load_tokenizer(str(folder), "unused", download=False)


@pytest.fixture
def small(tmp_path):
    (tmp_path / "small.gguf").write_bytes(small_file())
    return tmp_path / "small.gguf"


@pytest.fixture
def model_file(tiny, tmp_path):
    from tests.models.gguf_files import write_gguf

    path = tmp_path / "tiny.gguf"
    write_gguf(tiny, path)
    return path


@pytest.fixture
def checkpoint(tiny, tmp_path):
    """A folder as on the Hub: safetensors, with a tokenizer of SentencePiece."""
    from core.families import GEMMA
    from models.export.transformers_checkpoint import export_transformers

    export_transformers(tiny, tmp_path / "checkpoint", GEMMA)
    return tmp_path / "checkpoint"


def test_of_damaged_tokenizer_tables_only_the_documented_error_leaves(small):
    result = run(f"{__name__}:read_tokenizer", small, seed=1, cases=400)
    assert result == {"tried": 400, "found": []}


@pytest.mark.slow
def test_of_damaged_models_only_the_documented_error_leaves(model_file):
    result = run(f"{__name__}:convert", model_file, seed=1, cases=25)
    assert result == {"tried": 25, "found": []}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tiny_preset", "checkpoint"])
def test_of_damaged_presets_only_the_documented_error_leaves(kind, request):
    folder = request.getfixturevalue(kind)
    result = run(f"{__name__}:load_preset", folder, seed=1, cases=40)
    assert result == {"tried": 40, "found": []}


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize(
    ("read", "source"),
    [
        ("read_tokenizer", "small"),
        ("convert", "model_file"),
        ("load_preset", "tiny_preset"),
        ("load_preset", "checkpoint"),
    ],
)
def test_for_minutes(read, source, request):
    path = request.getfixturevalue(source)
    result = run(f"{__name__}:{read}", path, seed=time.time_ns(), seconds=150)
    assert not result["found"], result
