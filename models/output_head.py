"""A faster output head for models whose output weights are their token embeddings."""

import math
import types
from typing import Any

_PART_WIDTH = 64


def use_fast_output_head(embedding: Any) -> None:
    """Compute the logits of tied embeddings without transposing the whole table first.

    KerasHub multiplies by `transpose(embeddings)`, which TensorFlow writes out at every call: 671
    MB for Gemma's 262,144 pieces in float32. `matmul(..., transpose_b=True)` reads the table as it
    lies. Other backends, untied and quantized embeddings stay as they are.

    Args:
        embedding: A built `keras_hub.layers.ReversibleEmbedding`, changed in place.
    """
    import keras

    is_plain = embedding.tie_weights and embedding.quantization_mode is None
    if keras.backend.backend() == "tensorflow" and is_plain and embedding.reverse_dtype is None:
        embedding.call = types.MethodType(_call, embedding)


def _call(self: Any, inputs: Any, reverse: bool = False) -> Any:
    import tensorflow as tf

    if not reverse:
        return type(self).call(self, inputs)
    table = tf.cast(tf.convert_to_tensor(self.embeddings), self.compute_dtype)
    hidden = tf.cast(inputs, self.compute_dtype)
    flat = tf.reshape(hidden, [-1, self.output_dim])
    logits = tf.matmul(flat, table, transpose_b=True)
    logits = tf.reshape(logits, tf.concat([tf.shape(hidden)[:-1], [self.input_dim]], axis=0))
    logits.set_shape([*inputs.shape[:-1], self.input_dim])
    return capped(self, logits)


def capped(embedding: Any, logits: Any) -> Any:
    """Logits after the model's soft cap, if it has one (Gemma 2)."""
    import tensorflow as tf

    cap = embedding.logit_soft_cap
    return logits if cap is None else tf.tanh(logits / cap) * cap


def is_worth_packing(embedding: Any) -> bool:
    """Whether few rows' logits come sooner from a `packed_table`.

    A product of few rows takes as long as reading the weights. TensorFlow's reads them in parts in
    0.4 of the time of the table as it lies in float32. In bfloat16 it brings the weights into an
    order of its own either way, and is as fast with the table itself.
    """
    return has_fast_output_head(embedding) and embedding.compute_dtype == "float32"


def packed_spec(embedding: Any) -> Any:
    """Shape and type of a `packed_table`, without making one."""
    import tensorflow as tf

    width = math.gcd(embedding.input_dim, _PART_WIDTH)
    shape = (embedding.input_dim // width, embedding.output_dim, width)
    return tf.TensorSpec(shape, embedding.compute_dtype)


def packed_table(embedding: Any) -> Any:
    """A copy of the output weights in the order that a processor reads fastest for few rows.

    Args:
        embedding: One that `use_fast_output_head` has changed.

    Returns:
        Tensor of shape `(parts, hidden, pieces / parts)`.
    """
    import tensorflow as tf

    n_parts, hidden, width = packed_spec(embedding).shape
    table = tf.cast(tf.convert_to_tensor(embedding.embeddings), embedding.compute_dtype)
    return tf.transpose(tf.reshape(table, [n_parts, width, hidden]), [0, 2, 1])


def packed_logits(embedding: Any, hidden: Any, table: Any) -> Any:
    """Logits of rows, `(rows, hidden)`, with what `packed_table` returned: `(rows, pieces)`."""
    import tensorflow as tf

    logits = tf.matmul(tf.cast(hidden, table.dtype)[tf.newaxis], table)
    logits = tf.reshape(tf.transpose(logits, [1, 0, 2]), [-1, embedding.input_dim])
    return capped(embedding, logits)


def has_fast_output_head(embedding: Any) -> bool:
    """Whether `use_fast_output_head` has changed an embedding."""
    return getattr(vars(embedding).get("call"), "__func__", None) is _call
