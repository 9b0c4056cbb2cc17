"""The batches of a training in their order, and what Keras is given of them."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models import data
from models.hparams import TrainHParams
from models.recorder import Recorder

Batch = tuple[dict[str, data.Array], data.Array, data.Array]  # inputs, labels, weights

_INPUT_SPEC = {
    "token_ids": tf.TensorSpec((None, None), tf.int32),
    "padding_mask": tf.TensorSpec((None, None), tf.bool),
    "positions": tf.TensorSpec((None,), tf.int32),
}
_LABEL_SPEC = tf.TensorSpec((None,), tf.int32)
_WEIGHT_SPEC = tf.TensorSpec((None,), tf.float32)


def n_steps(n_rows: int, hparams: TrainHParams) -> tuple[int, int]:
    """Steps of a training, and of one pass over the rows."""
    n_batches = data.n_batches(n_rows, hparams.batch_size)
    per_pass = -(-n_batches // hparams.gradient_accumulation)
    steps = -(-hparams.epochs * n_batches // hparams.gradient_accumulation)
    return min(steps, hparams.max_steps or steps), per_pass


def training_batches(
    rows: Sequence[data.TokenizedRow], hparams: TrainHParams, first_step: int
) -> Iterator[Batch]:
    """The batches from a step on, without end; the seed number alone decides them."""
    rng = np.random.default_rng(hparams.seed)
    multiple = data.pad_multiple()
    passes = (data.batches(rows, hparams.batch_size, rng, multiple) for _ in itertools.count())
    accumulated = hparams.gradient_accumulation
    batches = itertools.islice(
        itertools.chain.from_iterable(passes), first_step * accumulated, None
    )
    while True:
        of_step = list(itertools.islice(batches, accumulated))
        weights = data.label_weights([labels for _, labels in of_step])
        for (inputs, labels), batch_weights in zip(of_step, weights, strict=True):
            yield inputs, labels, batch_weights


def dataset(batches: Iterator[Batch], count: int, recorder: Recorder) -> tf.data.Dataset:
    """The next batches, prefetched.

    Args:
        batches: Where they are taken from, no more than `count`.
        count: How many.
        recorder: Is told of each.
    """

    def generate() -> Iterator[Any]:
        for inputs, labels, weights in itertools.islice(batches, count):
            recorder.draw(len(inputs["token_ids"]), int(inputs["padding_mask"].sum()))
            yield inputs, labels, weights

    # The unknown dimensions make Keras trace one program for batches of all lengths.
    spec = (_INPUT_SPEC, _LABEL_SPEC, _WEIGHT_SPEC)
    return tf.data.Dataset.from_generator(generate, output_signature=spec).prefetch(
        tf.data.AUTOTUNE
    )
