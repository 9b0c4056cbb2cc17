import os
import shutil
import types

import httpx
import keras
import numpy as np
import pydantic
import pytest
import requests
import tensorflow as tf

from core.errors import ModelError, ModelOutageError
from models.files import publish_folder
from models.hparams import TrainHParams
from models.loading.load import (
    load_model,
    resolve_dtype,
    resolve_preset,
)
from tests.models.tuning import PRESET


@pytest.mark.parametrize("spec", ["packaged:gemma3-27b", "random:gemma3", "packaged:", "random:"])
def test_an_unknown_packaged_or_random_preset_is_told_with_what_there_is(spec, tmp_path):
    with pytest.raises(ModelError) as refused:
        resolve_preset(spec, str(tmp_path))
    assert repr(spec) in str(refused.value)
    assert "packaged:gemma3-270m, random:gemma3-tiny, random:" in str(refused.value)


def test_a_gguf_path_is_converted_and_a_missing_one_told(tmp_path):
    path = str(tmp_path / "none.gguf")
    with pytest.raises(ModelError, match=r"There is no GGUF file .*none\.gguf"):
        resolve_preset(f"gguf:{path}", str(tmp_path))


@pytest.mark.parametrize(
    "spec", ["gemma3_instruct_1b", "hf://google/gemma-3-1b-it", "kaggle://keras/gemma3", "./folder"]
)
def test_what_kerashub_knows_is_left_to_it(spec, tmp_path):
    assert resolve_preset(spec, str(tmp_path)) == spec
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", ["no_such_preset", "./no/such/folder"])
def test_a_preset_that_cannot_be_loaded_is_told_by_its_name(preset):
    with pytest.raises(ModelError) as refused:
        load_model(preset, "float32")
    assert repr(preset) in str(refused.value)
    assert "hf://" in str(refused.value)


def _of_status(error, status):
    error.response = requests.Response()
    error.response.status_code = status
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectionError("reset"), ModelOutageError),
        (httpx.ConnectTimeout("late"), ModelOutageError),
        (_of_status(requests.HTTPError("503"), 503), ModelOutageError),
        (_of_status(requests.HTTPError("429"), 429), ModelOutageError),
        (_of_status(requests.HTTPError("gated"), 403), ModelError),
        (ValueError("no such model"), ModelError),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_hub_that_is_away_is_no_wrong_preset(monkeypatch, error, kind):
    def download(preset, dtype):
        raise FileNotFoundError(preset) from error

    monkeypatch.setattr("models.loading.load._from_preset", download)
    with pytest.raises(ModelError) as told:
        load_model("hf://google/gemma-3-1b-it", "float32")
    assert type(told.value) is kind


def test_a_preset_folder_without_weights_is_told(tiny_preset, tmp_path):
    folder = tmp_path / "preset"
    folder.mkdir()
    for name in os.listdir(tiny_preset):
        if name.endswith(".json"):
            shutil.copy(os.path.join(tiny_preset, name), folder)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(folder), "float32")


def test_the_random_gemma_is_the_same_in_every_cache(tiny, tmp_path):
    other = load_model(resolve_preset(PRESET, str(tmp_path)), "float32")
    inputs = {"token_ids": np.arange(2, 14)[None], "padding_mask": np.ones((1, 12), "bool")}
    np.testing.assert_array_equal(other(inputs), tiny(inputs))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_is_loaded_in_the_precision_asked_for(tiny_preset, dtype):
    model = load_model(tiny_preset, dtype)
    assert {v.dtype for v in model.backbone.variables} == {dtype}
    assert resolve_dtype(dtype) == dtype


def test_auto_is_one_of_the_two_precisions():
    assert resolve_dtype("auto") in {"float32", "bfloat16"}


# NVIDIA's compute capabilities: https://developer.nvidia.com/cuda-gpus
DEVICES = [
    (["P100"], "float32"),
    (["V100"], "float32"),
    (["T4"], "float32"),
    (["A100"], "bfloat16"),
    (["L4"], "bfloat16"),
    (["H100"], "bfloat16"),
    (["L4", "T4"], "float32"),
    (["of another maker"], "float32"),
    (["TPU"], "bfloat16"),
]
CAPABILITIES = {"P100": (6, 0), "V100": (7, 0), "T4": (7, 5), "A100": (8, 0), "L4": (8, 9)}
CAPABILITIES |= {"H100": (9, 0)}


@pytest.fixture
def fast_cpu(monkeypatch):
    """A processor with bfloat16, which says nothing about the accelerator in its machine."""
    monkeypatch.setattr("models.loading.load._cpu_is_fast_at_bfloat16", lambda: True)


@pytest.mark.usefixtures("fast_cpu")
@pytest.mark.parametrize(("names", "dtype"), DEVICES)
def test_auto_is_bfloat16_on_accelerators_that_have_it(monkeypatch, names, dtype):
    def devices(kind):
        return [name for name in names if (name == "TPU") == (kind == "TPU")]

    def details(name):
        return {"compute_capability": CAPABILITIES[name]} if name in CAPABILITIES else {}

    monkeypatch.setattr(tf.config, "list_physical_devices", devices)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details)
    assert resolve_dtype("auto") == dtype


@pytest.mark.usefixtures("fast_cpu")
@pytest.mark.parametrize(("names", "dtype"), DEVICES)
def test_auto_is_on_jax_too(monkeypatch, names, dtype):
    def device(name):
        if name == "TPU":
            return types.SimpleNamespace(platform="tpu")
        known = CAPABILITIES.get(name)
        capability = {"compute_capability": ".".join(map(str, known))} if known else {}
        return types.SimpleNamespace(platform="gpu", **capability)

    jax = pytest.importorskip("jax")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "devices", lambda: list(map(device, names)))
    assert resolve_dtype("auto") == dtype


@pytest.mark.parametrize("is_fast", [True, False])
def test_auto_follows_the_processor_where_there_is_no_accelerator(monkeypatch, is_fast):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr("models.loading.load._cpu_is_fast_at_bfloat16", lambda: is_fast)
    assert resolve_dtype("auto") == ("bfloat16" if is_fast else "float32")


def test_a_hyperparameter_that_does_not_exist_is_refused():
    with pytest.raises(pydantic.ValidationError, match="learning_rat"):
        TrainHParams(preset=PRESET, learning_rat=1e-3)


def test_a_folder_that_fails_in_the_middle_does_not_appear(tmp_path):
    target = tmp_path / "cache" / "preset"

    def write_and_fail():
        with publish_folder(target) as folder:
            (folder / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert not list(target.parent.iterdir())


def test_of_two_that_make_the_same_folder_the_first_one_wins(tmp_path):
    target = tmp_path / "preset"
    with publish_folder(target) as second:
        (second / "file").write_text("second")
        with publish_folder(target) as first:
            (first / "file").write_text("first")
    assert (target / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]
