"""Faster output heads for models whose output weights are their token embeddings."""

import math
import types

import keras
import tensorflow as tf
from keras.layers import Layer

_PART_WIDTH = 64


def untranspose_output_head(embedding: Layer) -> None:
    """Compute the logits of tied embeddings without transposing the whole table first.

    KerasHub multiplies by `transpose(embeddings)`, which TensorFlow writes out at every call: 671
    MB for Gemma's 262,144 tokens in float32. `matmul(..., transpose_b=True)` reads the table in its
    stored layout. Other backends, untied and quantized embeddings stay as they are.

    Args:
        embedding: A built `keras_hub.layers.ReversibleEmbedding`, changed in place.
    """
    if is_plain_table(embedding):
        embedding.call = types.MethodType(_call, embedding)


def is_plain_table(embedding: Layer) -> bool:
    """Return whether the output weights are TensorFlow's unquantized, tied token embeddings."""
    is_plain = embedding.tie_weights and embedding.quantization_mode is None
    return bool(
        keras.backend.backend() == "tensorflow" and is_plain and embedding.reverse_dtype is None
    )


def _call(self: Layer, inputs: tf.Tensor, reverse: bool = False) -> tf.Tensor:
    if not reverse:
        return type(self).call(self, inputs)
    table = tf.cast(tf.convert_to_tensor(self.embeddings), self.compute_dtype)
    hidden = tf.cast(inputs, self.compute_dtype)
    flat = tf.reshape(hidden, [-1, self.output_dim])
    logits = tf.matmul(flat, table, transpose_b=True)
    logits = tf.reshape(logits, tf.concat([tf.shape(hidden)[:-1], [self.input_dim]], axis=0))
    logits.set_shape([*inputs.shape[:-1], self.input_dim])
    return soft_capped(self, logits)


def soft_capped(embedding: Layer, logits: tf.Tensor) -> tf.Tensor:
    """Apply the model's soft cap to logits, if it has one (Gemma 2)."""
    cap = embedding.logit_soft_cap
    return logits if cap is None else tf.tanh(logits / cap) * cap


def is_worth_packing(embedding: Layer) -> bool:
    """Return whether few rows' logits come sooner from a `packed_table`.

    The product of a few rows takes as long as reading the weights. In float32 TensorFlow reads them
    in parts in 0.4 of the time of the stored table. In bfloat16 it reorders the weights either way,
    and is as fast with the table itself.
    """
    return is_plain_table(embedding) and embedding.compute_dtype == "float32"


def packed_spec(embedding: Layer) -> tf.TensorSpec:
    """Return shape and type of a `packed_table`, without making one."""
    width = math.gcd(embedding.input_dim, _PART_WIDTH)
    shape = (embedding.input_dim // width, embedding.output_dim, width)
    return tf.TensorSpec(shape, embedding.compute_dtype)


def packed_table(embedding: Layer) -> tf.Tensor:
    """Copy the output weights into the order that a processor reads fastest for few rows.

    Args:
        embedding: One that `is_plain_table`.

    Returns:
        Tensor of shape `(parts, hidden, vocabulary / parts)`.
    """
    n_parts, hidden, width = packed_spec(embedding).shape
    table = tf.cast(tf.convert_to_tensor(embedding.embeddings), embedding.compute_dtype)
    return tf.transpose(tf.reshape(table, [n_parts, width, hidden]), [0, 2, 1])


def packed_logits(embedding: Layer, hidden: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
    """Compute logits, `(rows, vocabulary)`, of `(rows, hidden)` with a `packed_table`."""
    logits = tf.matmul(tf.cast(hidden, table.dtype)[tf.newaxis], table)
    logits = tf.reshape(tf.transpose(logits, [1, 0, 2]), [-1, embedding.input_dim])
    return soft_capped(embedding, logits)
