"""The batches of a training in their order, as a dataset for Keras."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from models import data
from models.backend import compiles_with_xla
from models.distribution import batch_parts
from models.hparams import TrainHParams
from models.training.recorder import Recorder

Batch = tuple[dict[str, data.Array], data.Array, data.Array]  # inputs, labels, weights

# The unknown dimensions make Keras trace one program for batches of all lengths.
_SPEC = (
    {
        "token_ids": tf.TensorSpec((None, None), tf.int32),
        "padding_mask": tf.TensorSpec((None, None), tf.bool),
        "positions": tf.TensorSpec((None,), tf.int32),
    },
    tf.TensorSpec((None,), tf.int32),
    tf.TensorSpec((None,), tf.float32),
)


def n_steps(n_rows: int, hparams: TrainHParams) -> tuple[int, int]:
    """Return the number of steps of a training, and of one pass over the rows."""
    n_batches = data.n_batches(n_rows, hparams.batch_size)
    per_pass = -(-n_batches // hparams.gradient_accumulation)
    steps = -(-hparams.epochs * n_batches // hparams.gradient_accumulation)
    return min(steps, hparams.max_steps or steps), per_pass


def training_batches(
    rows: Sequence[data.TokenizedRow], hparams: TrainHParams, first_step: int
) -> Iterator[Batch]:
    """Yield the batches from a step on, without end; the seed alone decides them."""
    rng = np.random.default_rng(hparams.seed)
    multiple = data.pad_multiple(jit_compile=compiles_with_xla(hparams.jit_compile))
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


def divisible(batch: Batch, parts: int) -> Batch:
    """Fill a batch up with rows of weight 0 so that it can be divided into equal parts."""
    inputs, labels, weights = batch

    def filled(array: data.Array, value: data.Array | int) -> data.Array:
        missing = -len(array) % parts
        rows = np.broadcast_to(value, (missing, *array.shape[1:]))
        return np.concatenate([array, rows.astype(array.dtype)]) if missing else array

    filled_inputs = {
        name: filled(array, 0 if name == "positions" else array[0])
        for name, array in inputs.items()
    }
    return filled_inputs, filled(labels, data.IGNORED_LABEL), filled(weights, 0)


def dataset(batches: Iterator[Batch], count: int, recorder: Recorder) -> tf.data.Dataset:
    """Make a prefetched dataset of the next batches."""
    parts = batch_parts()

    def generate() -> Iterator[Batch]:
        for batch in itertools.islice(batches, count):
            tokens = int(batch[0]["padding_mask"].sum())
            inputs, labels, weights = divisible(batch, parts)
            recorder.draw(len(inputs["token_ids"]), tokens)
            yield inputs, labels, weights

    generated = tf.data.Dataset.from_generator(generate, output_signature=_SPEC)
    return generated.prefetch(tf.data.AUTOTUNE)
