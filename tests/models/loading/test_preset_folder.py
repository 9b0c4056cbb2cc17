"""A hostile preset: nothing in it runs, and nothing outside of its folder is read."""

import json
import os
import pickle
import shutil

import h5py
import pytest

from core.errors import ModelError
from models.loading.load import load_model
from models.loading.preset_folder import check_preset_folder
from models.loading.tokenizer import load_tokenizer

WEIGHTS = "model.weights.h5"


class Code:
    """Makes a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mknod, (self.mark,)


@pytest.fixture
def preset(tiny_preset, tmp_path):
    return shutil.copytree(tiny_preset, tmp_path / "preset")


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "secret.json"
    file.write_text('{"weight_map": {}}')
    return file


def refusal(preset, load=lambda preset: load_model(preset, "float32")):
    with pytest.raises(ModelError) as refused:
        load(str(preset))
    return str(refused.value)


@pytest.mark.parametrize("name", ["config.json", WEIGHTS, "assets"])
def test_a_link_out_of_the_folder_is_not_followed(preset, secret, name):
    path = preset / name
    if path.is_dir():
        shutil.move(path, secret.parent / "elsewhere")
        path.symlink_to(secret.parent / "elsewhere")
    else:
        path.unlink()
        path.symlink_to(secret)
    assert f"'{name}' is a link out of the folder" in refusal(preset)
    tokenizer = refusal(preset, lambda p: load_tokenizer(p, "unused", download=False))
    assert "link out of the folder" in tokenizer


def test_links_within_the_folder_and_those_of_the_hubs_cache_are_followed(preset, tmp_path):
    shutil.move(preset / WEIGHTS, preset / "weights-of-another-name")
    (preset / WEIGHTS).symlink_to("weights-of-another-name")
    check_preset_folder(str(preset))
    snapshot = tmp_path / "models--a--b" / "snapshots" / "1234"
    blobs = tmp_path / "models--a--b" / "blobs"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (blobs / "abc").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/abc")
    check_preset_folder(str(snapshot))
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to("../../../secret.json")
    (tmp_path / "secret.json").write_text("{}")
    assert "link out of the folder" in refusal(snapshot, check_preset_folder)


@pytest.mark.parametrize("index", ["model.weights.json", "model.safetensors.index.json"])
@pytest.mark.parametrize(
    "name", ["../secret.json", "/etc/hostname", "..", "a/../../secret.json", "", 5, None]
)
def test_an_index_names_only_files_in_the_folder(preset, secret, index, name):
    (preset / index).write_text(json.dumps({"weight_map": {"w": "model_1.h5", "v": [name]}}))
    assert f"{index!r} names the file {name!r}" in refusal(preset)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"weight_map": 5}', "[" * 100_000], ids=lambda text: text[:16]
)
def test_an_index_that_is_none_is_refused(preset, text):
    (preset / "model.weights.json").write_text(text)
    assert "'model.weights.json' is not a weights index" in refusal(preset)


def test_a_json_file_of_a_size_that_no_model_has_is_not_read(preset):
    with (preset / "tokenizer.json").open("wb") as file:
        file.truncate(1 << 34)
    assert "'tokenizer.json' has 17,179,869,184 bytes" in refusal(preset)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", WEIGHTS, "config.json", "model.safetensors", "tokenizer.json"]
)
def test_a_pickle_is_never_opened_whatever_its_name(preset, tmp_path, name):
    mark = tmp_path / "mark"
    code = pickle.dumps(Code(mark))
    if name in ("pytorch_model.bin", "model.safetensors"):  # as a model of transformers
        for path in list(preset.iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (preset / "config.json").write_text('{"model_type": "gemma3_text"}')
    (preset / name).write_bytes(code)
    if name == "tokenizer.json":  # of another format: nobody asks for it
        load_model(str(preset), "float32")
    else:
        assert "cannot be loaded" in refusal(preset)
    assert not mark.exists()
    pickle.loads(code)
    assert mark.exists(), "it would have run"


def test_weights_that_lead_to_another_file_are_refused(preset, tmp_path):
    with h5py.File(tmp_path / "elsewhere.h5", "w") as file:
        file["vars/0"] = [1.0]
    with h5py.File(preset / WEIGHTS, "r+") as file:
        group = next(iter(file))
        del file[group]
        file[group] = h5py.ExternalLink(str(tmp_path / "elsewhere.h5"), "/vars")
    assert "cannot be loaded" in refusal(preset)


def test_weights_that_claim_more_than_they_hold_are_refused(preset):
    def claim(name, item):
        if isinstance(item, h5py.Dataset) and item.ndim == 2 and not claimed:
            claimed.append(name)

    claimed = []
    with h5py.File(preset / WEIGHTS, "r+") as file:
        file.visititems(claim)
        del file[claimed[0]]
        file.create_dataset(
            claimed[0], shape=(1 << 24, 1 << 16), chunks=(64, 64), compression="gzip", dtype="f4"
        )
    assert "cannot be loaded" in refusal(preset)
