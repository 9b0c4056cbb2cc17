from unittest import mock

import keras
import numpy as np
import pytest

from models import data
from models.generation.decoding import CachedDecoder
from models.loading.load import load_model
from models.tensorflow_patches.packed_output_table import (
    packed_logits,
    packed_table,
    untranspose_output_head,
)
from models.training.loss import lm_with_response_positions


@pytest.fixture(scope="module")
def hidden():
    return np.random.default_rng(0).normal(size=(3, 5, 96)).astype("float32")


def embedding(dtype="float32", soft_cap=None, tied=True):
    import keras_hub

    layer = keras_hub.layers.ReversibleEmbedding(
        768, 96, tie_weights=tied, dtype=dtype, logit_soft_cap=soft_cap
    )
    layer.build((None, None))
    return layer


@pytest.mark.parametrize("soft_cap", [None, 3.0], ids=["plain", "soft cap"])
def test_the_logits_are_those_of_kerashub(hidden, soft_cap):
    layer = embedding(soft_cap=soft_cap)
    expected = np.asarray(layer(hidden, reverse=True))
    untranspose_output_head(layer)
    np.testing.assert_allclose(layer(hidden, reverse=True), expected, atol=1e-5)


@pytest.mark.parametrize("soft_cap", [None, 3.0], ids=["plain", "soft cap"])
def test_packed_weights_give_the_same_logits(hidden, soft_cap):
    layer = embedding(soft_cap=soft_cap)
    expected = np.asarray(layer(hidden, reverse=True))
    found = packed_logits(layer, hidden[:, 1], packed_table(layer))
    np.testing.assert_allclose(found, expected[:, 1], atol=1e-5)


@pytest.mark.parametrize(("dtype", "copies"), [("float32", 1), ("bfloat16", 0)])
def test_generation_copies_the_table_where_that_is_faster(tiny_preset, dtype, copies):
    backbone = load_model(tiny_preset, dtype).backbone
    with mock.patch("models.generation.decoding.packed_table", wraps=packed_table) as packing:
        decode = CachedDecoder(backbone, (), None)
        with decode.ready():
            decode([[2, 3], [2]], 2)
            decode([[2]], 1)
    assert packing.call_count == copies


def test_bfloat16_logits_are_those_of_kerashub_within_its_precision(hidden):
    layer = embedding("bfloat16")
    expected = np.asarray(keras.ops.cast(layer(hidden, reverse=True), "float32"))
    untranspose_output_head(layer)
    logits = layer(hidden, reverse=True)
    assert logits.dtype == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(logits, "float32"), expected, rtol=0.02, atol=0.02)


def test_tokens_are_embedded_as_before():
    layer = embedding()
    ids = np.array([[0, 5, 767]])
    expected = np.asarray(layer(ids))
    untranspose_output_head(layer)
    np.testing.assert_array_equal(layer(ids), expected)


def test_an_untied_head_stays_as_it_is(hidden):
    layer = embedding(tied=False)
    expected = np.asarray(layer(hidden, reverse=True))
    untranspose_output_head(layer)
    np.testing.assert_array_equal(layer(hidden, reverse=True), expected)


def test_a_loaded_model_computes_what_kerashubs_own_does(tiny, tiny_preset):
    import keras_hub

    plain = keras_hub.models.CausalLM.from_preset(tiny_preset, dtype="float32")
    inputs = {
        "token_ids": np.arange(2, 26).reshape(2, 12),
        "padding_mask": np.ones((2, 12), "bool"),
    }
    np.testing.assert_allclose(tiny(inputs), plain(inputs), atol=1e-4)


def test_response_logits_are_the_full_logits_at_the_response_positions(tiny, tokenizer):
    texts = [("my order", "where is it"), ("hello support team", "thanks"), ("a", "b")]
    rows = data.tokenize(texts, tokenizer, 64).rows
    inputs, labels = next(data.batches(rows, 3, None))
    full = np.asarray(tiny({key: inputs[key] for key in ("token_ids", "padding_mask")}))
    expected = full.reshape(-1, full.shape[-1])[inputs["positions"]]
    logits = np.asarray(lm_with_response_positions(tiny)(inputs))
    assert logits.shape == (*labels.shape, tokenizer.vocabulary_size())
    kept = labels != data.IGNORED_LABEL
    np.testing.assert_allclose(logits[kept], expected[kept], atol=1e-5)
