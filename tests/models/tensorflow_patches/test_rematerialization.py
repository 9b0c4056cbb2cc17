"""Values and gradients are those of KerasHub's operations, and less is kept for the way back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.loading import tiny
from models.tensorflow_patches.rematerialization import rematerialize
from models.training.loss import ResponseLoss, backbone_with_response_positions
from tests.models.agreement import batch, with_random_factors

WIDTH = 12


class Attention(keras.layers.Layer):
    """What KerasHub's attentions have in common."""

    def __init__(self, dropout=0.0, **arguments):
        super().__init__(**arguments)
        self.dropout = dropout

    def _compute_attention(self, query, key, value, mask):
        logits = tf.einsum("bqd,bkd->bqk", query, key)
        shares = tf.nn.softmax(tf.where(mask, logits, tf.constant(-1e9, logits.dtype)))
        return tf.einsum("bqk,bkd->bqd", shares, value)


class Layers:
    """A causal language model as far as it matters here."""

    def __init__(self, dtype="float32", trainable=False):
        from keras_hub.src.models.gemma3.gemma3_layers import RMSNormalization

        self.norm = RMSNormalization(dtype=dtype)
        self.norm.build((None, WIDTH))
        self.norm.scale.assign(np.random.default_rng(3).normal(size=WIDTH))
        self.norm.trainable = trainable
        self.attention = Attention(dtype=dtype)
        self.backbone = keras.Sequential([self.norm, self.attention])


def arrays(scale, *shape):
    """Two inputs and a gradient."""
    rng = np.random.default_rng(0)
    return [tf.constant(rng.normal(0, s, shape), tf.float32) for s in (scale, scale, 1)]


def value_and_gradients(compute, inputs, upstream):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = compute(*inputs)
    gradients = tape.gradient(value, inputs, tf.cast(upstream, value.dtype))
    return [value, *(gradient for gradient in gradients if gradient is not None)]


def operations(model):
    """What each of them computes from two inputs, the second of which some need not."""
    return {
        "gated gelu": lambda x, y: keras.activations.gelu(x, approximate=True) * y,
        "exact gelu": lambda x, y: keras.activations.gelu(x) * y,
        "norm": lambda x, _: model.norm(x),
        "attention": lambda x, y: model.attention._compute_attention(x, y, y, tf.eye(5) < 1),
    }


NAMES = tuple(operations(None))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_values_and_gradients(name, scale, dtype):
    exact, model = Layers(), Layers(dtype)
    *inputs, upstream = arrays(scale, 2, 5, WIDTH)
    rounded = [tf.cast(array, dtype) for array in inputs]
    expected = value_and_gradients(
        operations(exact)[name], [tf.cast(array, "float32") for array in rounded], upstream
    )
    with rematerialize(model):
        found = value_and_gradients(operations(model)[name], rounded, upstream)
    tolerance, rounding = (1e-5, 2**-24) if dtype == "float32" else (0.03, 2**-8)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        # Where one key has all shares but a rounding, so has its gradient: a rounding of the keys.
        atol = tolerance * np.abs(theirs).max() + rounding * scale
        np.testing.assert_allclose(tf.cast(ours, "float32"), theirs, atol=atol)


@pytest.mark.parametrize(("name", "n_arrays"), [("gated gelu", 2), ("norm", 1), ("attention", 2)])
def test_what_is_kept(name, n_arrays):
    model = Layers()
    assert kept(operations(model)[name]) > n_arrays
    with rematerialize(model):
        assert kept(operations(model)[name]) == n_arrays


@pytest.mark.parametrize("name", ["gated gelu", "norm", "attention"])
def test_nothing_is_computed_again_before_the_gradient_is_there(name):
    """It would be kept as the rest is: TensorFlow computes an operation as soon as it can."""
    model = Layers()
    with rematerialize(model):
        there, back = there_and_back(operations(model)[name])
    waiting = {"upstream"}
    for operation in back:  # in the order of their dependencies
        before = [*(i.op for i in operation.inputs), *operation.control_inputs]
        if any(known.name in waiting for known in before):
            waiting.add(operation.name)
    assert len(waiting) > 3
    early = [o.name for o in back if kept_by([o], there) and o.name not in waiting]
    assert early == []


def kept(compute):
    """Arrays of all 10 rows that the way back takes from the way there."""
    there, back = there_and_back(compute)
    return sum(shape.num_elements() for shape in kept_by(back, there)) / (10 * WIDTH)


def kept_by(back, there):
    names = {operation.name for operation in there}
    inputs = (i for operation in back for i in operation.inputs if i.op.name in names)
    tensors = {computed(tensor).ref() for tensor in inputs}
    return [shape for shape in (ref.deref().shape for ref in tensors) if shape.rank == 3]


def computed(tensor):
    """What an identity hands on lies in memory once."""
    while tensor.op.type == "IdentityN":
        tensor = tensor.op.inputs[tensor.value_index]
    return tensor


def there_and_back(compute):
    """The operations of a graph that compute a value, and those that compute its gradients."""
    spec = tf.TensorSpec((2, 5, WIDTH), tf.float32)
    n_there = []

    @tf.function(input_signature=[spec, spec, tf.TensorSpec(spec.shape, name="upstream")])
    def traced(x, other, upstream):
        inputs = [tf.identity(x), tf.identity(other)]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = compute(*inputs)
        n_there.append(len(tf.compat.v1.get_default_graph().get_operations()))
        return [g for g in tape.gradient(value, inputs, upstream) if g is not None]

    operations = traced.get_concrete_function().graph.get_operations()
    there = [o for o in operations[: n_there[0]] if o.type != "Placeholder"]
    return there, [o for o in operations[n_there[0] :] if o.type != "Placeholder"]


@pytest.mark.parametrize("name", tiny.names())
def test_a_trainings_gradients_stay_as_they_are(name, tiny_cache):
    model = with_random_factors(name, tiny_cache)
    expected = gradients(model)
    gelu = keras.activations.gelu
    with rematerialize(model):
        found = gradients(model)
    assert keras.activations.gelu is gelu
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def gradients(model):
    inputs, labels, weights = batch(model)
    variables = [variable.value for variable in model.backbone.trainable_variables]
    with tf.GradientTape() as tape:
        loss = ResponseLoss(model)(labels, backbone_with_response_positions(model)(inputs), weights)
    return [np.asarray(gradient) for gradient in tape.gradient(loss, variables)]


def test_a_scale_that_is_trained_gets_its_gradient():
    model = Layers(trainable=True)
    x, _, upstream = arrays(1.0, 2, 5, WIDTH)
    with rematerialize(model), tf.GradientTape() as tape:
        value = model.norm(x)
    gradient = tape.gradient(value, model.norm.scale.value, upstream)
    assert np.abs(np.asarray(gradient)).min() > 0
    assert "call" not in vars(model.norm)


def test_attention_with_dropout_stays_as_it_is():
    """It would leave out other shares on the way back."""
    model = Layers()
    model.attention.dropout = 0.1
    with rematerialize(model):
        assert "_compute_attention" not in vars(model.attention)
