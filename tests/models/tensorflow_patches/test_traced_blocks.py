"""A training with blocks that are traced once is the training with each block for itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_hub.layers import RotaryEmbedding

from models.loading import tiny
from models.tensorflow_patches.lora_forward import lora_forward
from models.tensorflow_patches.traced_blocks import traced_blocks
from models.training.loss import ResponseLoss, backbone_with_response_positions
from tests.models.agreement import batch, with_random_factors
from tests.models.tuning import tune

KINDS = {"gemma2-tiny": 2}  # every other block has a sliding window


def traced_gradients(model):
    """The gradients of a step as a graph, and how often a block was traced for it."""
    inputs, labels, weights = batch(model)
    variables = [variable.value for variable in model.backbone.trainable_variables]
    states, loss, traced = backbone_with_response_positions(model), ResponseLoss(model), []
    for block in model.backbone.transformer_layers:
        norm = next(
            layer for layer in block._flatten_layers() if "norm" in type(layer).__name__.lower()
        )
        norm.call = counted(norm.call, traced)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(labels, states(inputs), weights)
        return tape.gradient(value, variables)

    with traced_blocks(model):
        gradients = [np.asarray(gradient) for gradient in step()]
    return gradients, len(traced)


def counted(call, traced):
    def counting(*args, **kwargs):
        traced.append(call)
        return call(*args, **kwargs)

    return counting


@pytest.mark.parametrize(
    ("name", "quantization"), [*((name, "none") for name in tiny.names()), ("gemma3-tiny", "int8")]
)
def test_gradients_are_those_of_each_block_for_itself(name, quantization, tiny_cache, monkeypatch):
    model = with_random_factors(name, tiny_cache, quantization=quantization)
    found, n_traced = traced_gradients(model)
    assert n_traced == KINDS.get(name, 1)
    monkeypatch.setattr("models.tensorflow_patches.traced_blocks._has_state", lambda block: True)
    model = with_random_factors(name, tiny_cache, quantization=quantization)
    expected, n_traced = traced_gradients(model)
    assert n_traced == len(model.backbone.transformer_layers) == 2
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(theirs).max() > 0
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def layer_of(block, kind):
    return next(layer for layer in block._flatten_layers() if isinstance(layer, kind))


def a_wavelength(block):
    layer_of(block, RotaryEmbedding).max_wavelength *= 2


def a_frozen_factor(block):
    block.attention.query_dense.trainable = False


def another_precision(block):
    block.pre_attention_norm.dtype_policy = keras.DTypePolicy("mixed_bfloat16")


@pytest.mark.parametrize("change", [a_wavelength, a_frozen_factor, another_precision])
def test_blocks_that_differ_are_not_shared(change, tiny_cache):
    model = with_random_factors("gemma-tiny", tiny_cache)
    change(model.backbone.transformer_layers[1])
    assert traced_gradients(model)[1] == 2


def test_blocks_with_dropout_stay_as_they_are(tiny_cache):
    model = with_random_factors("gemma-tiny", tiny_cache)
    block = model.backbone.transformer_layers[0]
    dropout = layer_of(block, keras.layers.Dropout)
    dropout._tracker.unlock()
    dropout.seed_generator = keras.random.SeedGenerator(0)
    with traced_blocks(model):
        changed = ["call" in vars(block) for block in model.backbone.transformer_layers]
    assert changed == [False, True]
    assert not any("call" in vars(block) for block in model.backbone.transformer_layers)


def test_blocks_with_dropout_before_their_factors_stay_as_they_are(tiny_cache):
    model = with_random_factors("gemma3-tiny", tiny_cache)
    for rate, stay in ((0.0, False), (0.5, True)):
        with lora_forward(model, rate), traced_blocks(model):
            changed = ["call" in vars(block) for block in model.backbone.transformer_layers]
        assert changed == 2 * [not stay]


def test_a_call_without_a_graph_traces_nothing(tiny_cache):
    model = with_random_factors("gemma3-tiny", tiny_cache)
    tokens = {"token_ids": np.ones((1, 5)), "padding_mask": np.ones((1, 5))}
    expected = model.backbone(tokens)
    with traced_blocks(model), pytest.MonkeyPatch.context() as patched:
        patched.setattr(keras, "StatelessScope", None)
        np.testing.assert_array_equal(model.backbone(tokens), expected)


@pytest.mark.parametrize("changes", [{"method": "full"}, {"dtype": "bfloat16"}, {}])
def test_a_training_stays_as_it_is(changes, tiny_preset, monkeypatch):
    shared = tune(tiny_preset, epochs=2, **changes).facts
    monkeypatch.setattr("models.tensorflow_patches.traced_blocks._has_state", lambda block: True)
    alone = tune(tiny_preset, epochs=2, **changes).facts
    tolerance = 2e-2 if changes.get("dtype") else 1e-4
    assert shared["losses"][-1] < shared["losses"][0]
    np.testing.assert_allclose(shared["losses"], alone["losses"], rtol=tolerance)
