"""Cross-entropies of response tokens from the hidden states before the output head."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
from keras import ops
from keras.layers import Layer

from models.tensorflow_patches.packed_output_table import is_plain_table, soft_capped

# Rows of the output weights per chunk: the logits stay small, and each product large.
VOCAB_CHUNK = 32_768


def chunked_cross_entropy(embedding: Layer, states: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Compute the loss of each token by chunks of the vocabulary, for a training.

    The gradient of the states is accumulated on the way, from a running softmax that is corrected
    when a larger logit comes. The output weights are read once, and no array has the size of the
    vocabulary: Gemma's 262,144 logits of one token take a megabyte, and their gradient another one.
    Only where nothing but the states is trained; otherwise from all logits.

    Source: Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models",
    https://arxiv.org/abs/2411.09009; the running softmax is Milakov and Gimelshein's, "Online
    normalizer calculation for softmax", https://arxiv.org/abs/1805.02867.

    Args:
        embedding: The model's `ReversibleEmbedding`.
        states: Of shape `(tokens, hidden)`.
        labels: int32 of shape `(tokens,)`.

    Returns:
        Float32 of shape `(tokens,)`, in nats.
    """
    if is_plain_table(embedding) and not embedding.embeddings.trainable:
        return _chunked(embedding, states, labels)
    return full_cross_entropy(embedding, states, labels)


def full_cross_entropy(embedding: Layer, states: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Compute the same from all logits at once: faster where no gradient is wanted."""
    logits = embedding(ops.cast(states, embedding.compute_dtype), reverse=True)
    logits = ops.cast(logits, "float32")
    # The backend's own op: the gradient of logsumexp and a gather takes three times as long.
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


class _RunningSoftmax(NamedTuple):
    """The softmax of each token over the chunks so far, float32 with a row per token.

    The label is kept apart from all other tokens of the vocabulary: where the model is sure of it,
    its probability of 0.999 would hide the gradient of the others in the rounding of bfloat16.
    """

    label_logit: tf.Tensor
    largest: tf.Tensor  # logit of the others
    total: tf.Tensor  # of the others' exp(logit - largest)
    mean: tf.Tensor  # of the others' output weights, times `total`: (tokens, hidden)


def _chunked(embedding: Layer, states: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    table = tf.convert_to_tensor(embedding.embeddings)
    dtype = embedding.compute_dtype

    @tf.custom_gradient
    def losses(states: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        rows = tf.cast(states, dtype)

        def add_chunk(first: tf.Tensor, so_far: _RunningSoftmax) -> tuple[tf.Tensor, NamedTuple]:
            weights = tf.cast(table[first : first + VOCAB_CHUNK], dtype)
            return first + VOCAB_CHUNK, _updated(embedding, rows, weights, labels - first, so_far)

        column = tf.zeros_like(rows[:, :1], tf.float32)
        start = _RunningSoftmax(
            column, column + tf.float32.min, column, tf.zeros_like(rows, tf.float32)
        )
        _, softmax = tf.while_loop(
            lambda first, _: first < embedding.input_dim,
            add_chunk,
            (0, start),
            parallel_iterations=1,
        )
        odds = softmax.largest + tf.math.log(softmax.total) - softmax.label_logit
        own = tf.cast(tf.cast(tf.gather(table, labels), dtype), tf.float32)
        own = _uncapped(embedding, own, softmax.label_logit)
        direction = tf.sigmoid(odds) * (softmax.mean / softmax.total - own)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return tf.cast(upstream[:, tf.newaxis] * direction, states.dtype)

        return tf.math.softplus(odds[:, 0]), gradient

    return losses(states)


def _updated(
    embedding: Layer,
    rows: tf.Tensor,
    weights: tf.Tensor,
    labels: tf.Tensor,
    so_far: _RunningSoftmax,
) -> _RunningSoftmax:
    """Add a chunk of the vocabulary; labels count from its first row."""
    logits = tf.cast(tf.matmul(rows, weights, transpose_b=True), tf.float32)
    logits = soft_capped(embedding, logits)
    tokens = tf.where(tf.logical_and(labels >= 0, labels < tf.shape(weights)[0]))
    places = tf.concat([tokens, tf.cast(tf.gather(labels, tokens), tf.int64)], axis=1)
    own = tf.gather_nd(logits, places)
    others = tf.tensor_scatter_nd_update(logits, places, tf.fill(tf.shape(own), tf.float32.min))
    largest = tf.maximum(so_far.largest, tf.reduce_max(others, axis=1, keepdims=True))
    shares, kept = tf.exp(others - largest), tf.exp(so_far.largest - largest)
    weighted = tf.matmul(tf.cast(_uncapped(embedding, shares, logits), rows.dtype), weights)
    return _RunningSoftmax(
        tf.tensor_scatter_nd_update(so_far.label_logit, tokens, own[:, tf.newaxis]),
        largest,
        so_far.total * kept + tf.reduce_sum(shares, axis=1, keepdims=True),
        so_far.mean * kept + tf.cast(weighted, tf.float32),
    )


def _uncapped(embedding: Layer, gradients: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Convert gradients of capped logits to those of the logits before the cap."""
    cap = embedding.logit_soft_cap
    return gradients if cap is None else gradients * (1 - (logits / cap) ** 2)
