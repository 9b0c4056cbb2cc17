"""A faster output head for models whose output weights are their token embeddings."""

import types
from typing import Any


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
    if self.logit_soft_cap is not None:
        logits = tf.tanh(logits / self.logit_soft_cap) * self.logit_soft_cap
    return logits
