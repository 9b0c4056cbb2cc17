"""The losses taken part by part are those of all logits at once, and so are their gradients."""

import numpy as np
import pytest
import tensorflow as tf

from models.tensorflow_patches import chunked_cross_entropy as module
from models.tensorflow_patches.chunked_cross_entropy import (
    chunked_cross_entropy,
    full_cross_entropy,
)
from models.tensorflow_patches.packed_output_table import untranspose_output_head

N_PIECES, HIDDEN = 700, 48
LABELS = np.array([0, 255, 256, 699, 3], "int32")  # the ends of the parts among them


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Two whole parts and a shorter last one."""
    monkeypatch.setattr(module, "VOCAB_CHUNK", 256)


@pytest.fixture
def states():
    return np.random.default_rng(0).normal(size=(len(LABELS), HIDDEN)).astype("float32")


def embedding(dtype="float32", soft_cap=None, scale=1.0):
    import keras_hub

    layer = keras_hub.layers.ReversibleEmbedding(
        N_PIECES, HIDDEN, tie_weights=True, dtype=dtype, logit_soft_cap=soft_cap
    )
    layer.build((None, None))
    rng = np.random.default_rng(1)
    layer.embeddings.assign(rng.normal(0, scale, layer.embeddings.shape))
    untranspose_output_head(layer)
    layer.trainable = False
    return layer


def losses_and_gradients(compute, layer, states):
    states = tf.constant(states)
    upstream = tf.constant([1.0, -2.0, 0.5, 0.0, 3.0])  # the weights of the labels
    with tf.GradientTape() as tape:
        tape.watch(states)
        losses = compute(layer, states, LABELS)
        total = tf.reduce_sum(losses * upstream)
    return np.asarray(losses), np.asarray(tape.gradient(total, states))


@pytest.mark.parametrize("soft_cap", [None, 3.0], ids=["plain", "soft cap"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_losses_and_gradients_are_those_of_all_logits(states, soft_cap, compiled):
    layer = embedding(soft_cap=soft_cap)
    compute = tf.function(chunked_cross_entropy) if compiled else chunked_cross_entropy
    losses, gradients = losses_and_gradients(compute, layer, states)
    expected, expected_gradients = losses_and_gradients(full_cross_entropy, layer, states)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradients, expected_gradients, rtol=1e-4, atol=1e-5)


def test_no_array_has_the_size_of_the_vocabulary(states):
    layer = embedding()
    computed = tf.function(lambda s: tape_gradient(layer, s)).get_concrete_function(states)
    shapes = [
        output.shape
        for graph in (computed.graph, *map(loop_body, loops(computed.graph)))
        for operation in graph.get_operations()
        for output in operation.outputs
    ]
    tables = [shape for shape in shapes if shape.rank == 2 and N_PIECES in shape.as_list()]
    assert tables, "the table itself is found"
    assert all(shape.as_list() == [N_PIECES, HIDDEN] for shape in tables)


def tape_gradient(layer, states):
    with tf.GradientTape() as tape:
        tape.watch(states)
        losses = chunked_cross_entropy(layer, states, LABELS)
    return tape.gradient(losses, states)


def loops(graph):
    return [operation for operation in graph.get_operations() if "While" in operation.type]


def loop_body(operation):
    return operation.graph._get_function(operation.get_attr("body").name).graph


def test_large_logits_neither_overflow_nor_lose_the_label(states):
    layer = embedding(scale=300.0)
    losses, gradients = losses_and_gradients(chunked_cross_entropy, layer, states)
    expected, expected_gradients = losses_and_gradients(full_cross_entropy, layer, states)
    assert expected.max() > 1000
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(gradients, expected_gradients, rtol=1e-4, atol=1e-2)


def sure_table(states, exact_table, odds):
    """A table whose labels' logits leave all others together one of so many chances."""
    table = np.array(exact_table)
    logits = states @ table.T
    own = np.take_along_axis(logits, LABELS[:, np.newaxis], axis=1)
    others = np.exp(logits).sum(axis=1, keepdims=True) - np.exp(own)
    missing = np.log(others * odds) - own
    table[LABELS] += states * missing / (states**2).sum(axis=1, keepdims=True)
    return table


@pytest.mark.parametrize("odds", [10, 1_000, 100_000])
def test_a_sure_models_gradient_is_no_rounding_noise(states, odds):
    """Small as it is, it adds up over the tokens that a model knows: most of them."""
    exact, layer = embedding(), embedding("bfloat16")
    table = tf.cast(sure_table(states, exact.embeddings, odds), "bfloat16")
    for changed in (exact, layer):
        changed.embeddings.assign(tf.cast(table, changed.dtype))
    states = np.asarray(tf.cast(tf.cast(states, "bfloat16"), "float32"))
    losses, gradients = losses_and_gradients(chunked_cross_entropy, layer, states)
    expected, expected_gradients = losses_and_gradients(full_cross_entropy, exact, states)
    # Processors without products of bfloat16 round a logit twice, by up to 2^-8 of it each time,
    # and the chances with it.
    largest = np.abs(states @ np.asarray(exact.embeddings).T).max()
    np.testing.assert_allclose(losses, expected, rtol=np.expm1(2**-7 * largest))
    assert np.all(losses > 0)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        cosine = np.dot(gradient, wanted) / max(
            np.linalg.norm(gradient) * np.linalg.norm(wanted), 1e-30
        )
        assert cosine > 0.999 or not wanted.any()


def test_bfloat16_is_float32_within_its_precision(states):
    layer, exact = embedding("bfloat16"), embedding()
    losses, gradients = losses_and_gradients(chunked_cross_entropy, layer, states)
    expected, expected_gradients = losses_and_gradients(full_cross_entropy, exact, states)
    np.testing.assert_allclose(losses, expected, rtol=0.02, atol=0.02)
    largest = np.abs(expected_gradients).max()
    np.testing.assert_allclose(gradients, expected_gradients, atol=0.02 * largest)


def test_where_the_output_weights_are_trained_they_get_their_gradient(states):
    layer = embedding()
    layer.trainable = True
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(chunked_cross_entropy(layer, tf.constant(states), LABELS))
    gradient = tape.gradient(total, layer.embeddings.value)
    assert np.abs(np.asarray(gradient)).sum(axis=1).min() > 0
