"""Values and gradients are those of KerasHub's operations, and less is kept for the way back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import data, gemma, tiny
from models.hparams import TrainHParams
from models.lean_gradients import lean_gradients
from models.lora import enable_lora
from models.training_model import ResponseLoss, response_states
from tests.models.agreement import rows

WIDTH = 12


class OneNorm:
    """A causal language model as far as it matters here."""

    def __init__(self, dtype="float32", trainable=False):
        from keras_hub.src.models.gemma3.gemma3_layers import RMSNormalization

        self.norm = RMSNormalization(dtype=dtype)
        self.norm.build((None, WIDTH))
        self.norm.scale.assign(np.random.default_rng(3).normal(size=WIDTH))
        self.norm.trainable = trainable
        self.backbone = keras.Sequential([self.norm])


def inputs(scale):
    values = np.random.default_rng(0).normal(0, scale, (2, 5, WIDTH)).astype("float32")
    upstream = np.random.default_rng(1).normal(size=values.shape).astype("float32")
    return tf.constant(values), tf.constant(upstream)


def value_and_gradient(compute, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = compute(x)
    return value, tape.gradient(value, x, tf.cast(upstream, value.dtype))


def operations(model):
    return {
        "gelu": lambda x: keras.activations.gelu(x, approximate=True),
        "exact gelu": keras.activations.gelu,
        "norm": model.norm,
    }


@pytest.mark.parametrize("name", ["gelu", "exact gelu", "norm"])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_values_and_gradients(name, scale, dtype):
    exact, model = OneNorm(), OneNorm(dtype)
    x, upstream = inputs(scale)
    x = tf.cast(tf.cast(x, dtype), "float32")
    expected = value_and_gradient(operations(exact)[name], x, upstream)
    with lean_gradients(model):
        found = value_and_gradient(operations(model)[name], tf.cast(x, dtype), upstream)
    tolerance = 1e-5 if dtype == "float32" else 0.03
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        largest = np.abs(theirs).max()
        np.testing.assert_allclose(tf.cast(ours, "float32"), theirs, atol=tolerance * largest)


@pytest.mark.parametrize(("name", "numbers"), [("gelu", WIDTH), ("norm", WIDTH + 1)])
def test_the_inputs_alone_are_kept(name, numbers):
    model = OneNorm()
    assert kept(operations(model)[name]) > 10 * numbers
    with lean_gradients(model):
        assert kept(operations(model)[name]) == 10 * numbers


def kept(compute):
    """Numbers of arrays of all 10 rows that the way back takes from the way there."""
    spec = tf.TensorSpec((10, WIDTH), tf.float32)
    forward = []

    def traced(x, upstream):
        x = tf.identity(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = compute(x)
        forward.extend(tf.compat.v1.get_default_graph().get_operations())
        return tape.gradient(value, x, upstream)

    graph = tf.function(traced).get_concrete_function(spec, spec).graph
    there = {operation.name for operation in forward if operation.type != "Placeholder"}
    back = [operation for operation in graph.get_operations() if operation.name not in there]
    tensors = {i.ref() for operation in back for i in operation.inputs if i.op.name in there}
    shapes = [ref.deref().shape for ref in tensors]
    return sum(shape.num_elements() for shape in shapes if shape.rank and shape[0] == 10)


@pytest.mark.parametrize("name", tiny.NAMES)
def test_a_trainings_gradients_stay_as_they_are(name, tiny_cache):
    model = gemma.load_model(gemma.resolve_preset(f"random:{name}", tiny_cache), "float32")
    enable_lora(model, TrainHParams(preset="-", lora_rank=3))
    rng = np.random.default_rng(0)
    for variable in model.backbone.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    expected = gradients(model)
    gelu = keras.activations.gelu
    with lean_gradients(model):
        found = gradients(model)
    assert keras.activations.gelu is gelu
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def gradients(model):
    inputs, labels = next(data.batches(rows(), 3, None))
    inputs["token_ids"] %= model.backbone.vocabulary_size
    labels %= model.backbone.vocabulary_size
    [weights] = data.label_weights([labels])
    variables = [variable.value for variable in model.backbone.trainable_variables]
    with tf.GradientTape() as tape:
        loss = ResponseLoss(model)(labels, response_states(model)(inputs), weights)
    return [np.asarray(gradient) for gradient in tape.gradient(loss, variables)]


def test_a_scale_that_is_trained_gets_its_gradient():
    model = OneNorm(trainable=True)
    x, upstream = inputs(1.0)
    with lean_gradients(model), tf.GradientTape() as tape:
        value = model.norm(x)
    gradient = tape.gradient(value, model.norm.scale.value, upstream)
    assert np.abs(np.asarray(gradient)).min() > 0
    assert "call" not in vars(model.norm)
