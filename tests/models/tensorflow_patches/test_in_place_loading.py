"""Weights that are loaded in parts are the weights."""

import gc

import keras
import numpy as np
import pytest

from models.loading.load import load_model
from models.tensorflow_patches import in_place_loading
from models.tensorflow_patches.lora_forward import dense_layers


def _weights(model):
    return {weight.path: np.array(weight.value) for weight in model.backbone.weights}


@pytest.fixture
def parts(monkeypatch):
    """Assign whatever is larger than 2 KiB in parts of that size; what was assigned so."""
    names, assign_in_parts = [], in_place_loading._assign_in_parts

    def spy(variable, value):
        names.append(variable.path)
        return assign_in_parts(variable, value)

    monkeypatch.setattr(in_place_loading, "_assign_in_parts", spy)
    monkeypatch.setattr(in_place_loading, "_LARGE_BYTES", 2048)
    return names


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def stored_preset(request, tiny_preset, tmp_path_factory):
    """A preset whose file holds weights of that dtype."""
    folder = tmp_path_factory.mktemp(request.param)
    load_model(tiny_preset, request.param).save_to_preset(str(folder))
    return str(folder)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_weights_are_assigned_in_parts(stored_preset, parts, monkeypatch, dtype):
    in_parts = _weights(load_model(stored_preset, dtype))
    assert any("token_embedding" in name for name in parts)
    assert len(parts) > 2
    monkeypatch.setattr(in_place_loading, "_LARGE_BYTES", 2**40)
    _assert_same(in_parts, _weights(load_model(stored_preset, dtype)))


def test_large_weights_are_read_in_parts(stored_preset, parts, monkeypatch):
    read, read_rows = [], in_place_loading._StoredArray.__getitem__

    def spy(self, rows):
        read.append(read_rows(self, rows))
        return read[-1]

    monkeypatch.setattr(in_place_loading._StoredArray, "__getitem__", spy)
    load_model(stored_preset, "float32")
    embeddings = [array for array in read if array.ndim == 2]
    assert len(embeddings) > 2
    assert max(array.nbytes for array in embeddings) <= 2048


def test_other_variables_take_all_that_is_stored(stored_preset, parts, monkeypatch):
    monkeypatch.setattr(in_place_loading, "_fits_in_parts", lambda variable, value: False)
    at_once = _weights(load_model(stored_preset, "float32"))
    assert not parts
    monkeypatch.setattr(in_place_loading, "_LARGE_BYTES", 2**40)
    _assert_same(at_once, _weights(load_model(stored_preset, "float32")))


def _assert_same(weights, others):
    assert weights.keys() == others.keys()
    for name, value in others.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
        assert np.any(value != 0) or "scale" in name, name


@pytest.mark.parametrize("last_row", [0, 1], ids=["zeros at the end", "no zeros"])
def test_what_does_not_arrive_in_parts_is_assigned_at_once(parts, monkeypatch, last_row):
    monkeypatch.setattr("tensorflow.raw_ops.InplaceUpdate", lambda x, i, v: x)
    value = np.ones((64, 64), "float32")
    value[-1] = last_row
    with in_place_loading.in_place_loading():
        variable = keras.Variable(np.zeros((64, 64), "float32"))
        variable.assign(value)
    assert len(parts) == 1
    np.testing.assert_array_equal(variable.value, value)


def test_keras_is_as_before(parts):
    before = keras.Variable.assign
    with in_place_loading.in_place_loading():
        assert keras.Variable.assign is not before
    assert keras.Variable.assign is before
    variable = keras.Variable(np.zeros((64, 64), "float32"))
    variable.assign(np.ones((64, 64), "float32"))
    assert not parts


def test_keras_collections_while_quantizing_see_the_new_objects_only(tiny_preset, monkeypatch):
    frozen, collect = [], gc.collect
    monkeypatch.setattr(gc, "collect", lambda *args: frozen.append(gc.get_freeze_count()))
    model = load_model(tiny_preset, "float32", "int8")
    monkeypatch.setattr(gc, "collect", collect)
    n_quantized = sum(layer.quantization_mode == "int8" for layer in dense_layers(model.backbone))
    assert len(frozen) >= n_quantized > 0, "Keras collects at every weight"
    assert min(frozen) > 100_000, "what was there before is left out"
    assert gc.get_freeze_count() == 0
