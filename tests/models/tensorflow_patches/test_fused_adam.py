"""The update by TensorFlow's kernel is Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.hparams import TrainHParams
from models.tensorflow_patches.fused_adam import adamw
from models.training.schedule import PerBatchSchedule, make_schedule

STEPS = 6
SHAPES = ((7, 3), (5,))
SETTINGS = {
    "plain": {},
    "decay": {"weight_decay": 0.1},
    "clipped": {"global_clipnorm": 0.5, "weight_decay": 0.0},
    "accumulated": {"gradient_accumulation_steps": 2, "weight_decay": 0.1},
}


def updated(optimizer, *, sparse=False):
    """Weights and the optimizer's variables after some steps of a graph."""
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.normal(size=shape), dtype="float32") for shape in SHAPES]
    optimizer.build(variables)

    @tf.function
    def step(*gradients):
        gradients = list(gradients)
        if sparse:
            gradients[0] = tf.IndexedSlices(gradients[0][:2], tf.constant([4, 4]), (7, 3))
        optimizer.apply(gradients, variables)

    for _ in range(STEPS):
        step(*(tf.constant(rng.normal(0, 3, shape), tf.float32) for shape in SHAPES))
    return [np.asarray(v) for v in (*variables, *optimizer.variables)]


@pytest.mark.parametrize("name", SETTINGS)
def test_weights_and_moments_are_those_of_keras(name):
    hparams = TrainHParams(preset="-", warmup_fraction=0.5, learning_rate=0.1)
    rate = PerBatchSchedule(make_schedule(hparams, STEPS), 1)
    arguments = {"learning_rate": rate, "weight_decay": 0.004} | SETTINGS[name]
    found = updated(adamw(**arguments))
    expected = updated(keras.optimizers.AdamW(**arguments))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_rows_of_an_embedding_that_were_not_seen_are_updated_as_by_keras():
    found = updated(adamw(learning_rate=0.1, weight_decay=0.0), sparse=True)
    dense = updated(Densely(learning_rate=0.1, weight_decay=0.0), sparse=True)
    for ours, theirs in zip(found, dense, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


class Densely(keras.optimizers.AdamW):
    def apply(self, grads, trainable_variables=None):
        super().apply([tf.convert_to_tensor(g) for g in grads], trainable_variables)
