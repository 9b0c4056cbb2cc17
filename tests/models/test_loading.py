"""Weights that are loaded in parts are the weights."""

import gc

import keras
import numpy as np
import pytest

from models import gemma, loading
from models.projections import dense_layers


def _weights(model):
    return {weight.path: np.array(weight.value) for weight in model.backbone.weights}


@pytest.fixture
def parts(monkeypatch):
    """Assign whatever is larger than 2 KiB in parts of that size; what was assigned so."""
    names, assign_in_parts = [], loading._assign_in_parts

    def spy(variable, value):
        names.append(variable.path)
        return assign_in_parts(variable, value)

    monkeypatch.setattr(loading, "_assign_in_parts", spy)
    monkeypatch.setattr(loading, "_LARGE_BYTES", 2048)
    return names


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_weights_are_assigned_in_parts(tiny_preset, parts, monkeypatch, dtype):
    in_parts = _weights(gemma.load_model(tiny_preset, dtype))
    assert any("token_embedding" in name for name in parts)
    assert len(parts) > 2
    monkeypatch.setattr(loading, "_LARGE_BYTES", 2**40)
    at_once = _weights(gemma.load_model(tiny_preset, dtype))
    assert in_parts.keys() == at_once.keys()
    for name, value in at_once.items():
        np.testing.assert_array_equal(in_parts[name], value, err_msg=name)
        assert np.any(value != 0) or "scale" in name, name


@pytest.mark.parametrize("last_row", [0, 1], ids=["zeros at the end", "no zeros"])
def test_what_does_not_arrive_in_parts_is_assigned_at_once(parts, monkeypatch, last_row):
    monkeypatch.setattr("tensorflow.raw_ops.InplaceUpdate", lambda x, i, v: x)
    value = np.ones((64, 64), "float32")
    value[-1] = last_row
    with loading.lean_loading():
        variable = keras.Variable(np.zeros((64, 64), "float32"))
        variable.assign(value)
    assert len(parts) == 1
    np.testing.assert_array_equal(variable.value, value)


def test_keras_is_as_before(parts):
    before = keras.Variable.assign
    with loading.lean_loading():
        assert keras.Variable.assign is not before
    assert keras.Variable.assign is before
    variable = keras.Variable(np.zeros((64, 64), "float32"))
    variable.assign(np.ones((64, 64), "float32"))
    assert not parts


def test_keras_collections_while_quantizing_see_the_new_objects_only(tiny_preset, monkeypatch):
    frozen, collect = [], gc.collect
    monkeypatch.setattr(gc, "collect", lambda *args: frozen.append(gc.get_freeze_count()))
    model = gemma.load_model(tiny_preset, "float32", "int8")
    monkeypatch.setattr(gc, "collect", collect)
    n_quantized = sum(layer.quantization_mode == "int8" for layer in dense_layers(model.backbone))
    assert len(frozen) >= n_quantized > 0, "Keras collects at every weight"
    assert min(frozen) > 100_000, "what was there before is left out"
    assert gc.get_freeze_count() == 0
