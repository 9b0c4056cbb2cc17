"""Operations of Gemma whose way back keeps less of the way there."""

import contextlib
import math
import types
from collections.abc import Iterator
from typing import Any

import keras

# Of the approximation by tanh; Hendrycks and Gimpel, https://arxiv.org/abs/1606.08415
_SLOPE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


@contextlib.contextmanager
def lean_gradients(model: Any) -> Iterator[None]:
    """Keep only what goes into a GELU or an RMSNorm until the backward pass.

    TensorFlow keeps what each of their elementary operations needs: three to five arrays instead of
    one. What is missing is computed again, which takes no longer than reading it from memory. XLA
    decides by itself what to keep; norms whose scale is trained stay as they are.

    Args:
        model: A causal language model in KerasHub.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    norms = [
        layer
        for layer in model.backbone._flatten_layers(include_self=False)
        if _is_gemmas_norm(layer) and not layer.scale.trainable
    ]
    gelu = keras.activations.gelu
    for layer in norms:
        layer.call = types.MethodType(_norm, layer)
    keras.activations.gelu = _gelu
    try:
        yield
    finally:
        keras.activations.gelu = gelu
        for layer in norms:
            del layer.call


def _is_gemmas_norm(layer: Any) -> bool:
    # Keras' own layer of that name does not add 1 to its scale.
    is_kerashubs = type(layer).__module__.startswith("keras_hub.")
    return is_kerashubs and type(layer).__name__ == "RMSNormalization"


def _gelu(x: Any, approximate: bool = False) -> Any:
    import tensorflow as tf

    if not approximate:
        return tf.nn.gelu(x, approximate=False)

    @tf.custom_gradient
    def gelu(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            square = x * x
            tanh = tf.tanh(_SLOPE * x * (1 + _CUBIC * square))
            slope = _SLOPE * (1 + 3 * _CUBIC * square)
            return upstream * 0.5 * (1 + tanh + x * (1 - tanh * tanh) * slope)

        return tf.nn.gelu(x, approximate=True), gradient

    return gelu(x)


def _norm(self: Any, x: Any) -> Any:
    import tensorflow as tf

    scale = 1 + tf.cast(tf.convert_to_tensor(self.scale.value), tf.float32)

    @tf.custom_gradient
    def norm(x: Any) -> Any:
        # In float32 whatever comes in, as KerasHub does.
        wide = tf.cast(x, tf.float32)
        factor = tf.math.rsqrt(tf.reduce_mean(wide * wide, -1, keepdims=True) + self.epsilon)

        def gradient(upstream: Any) -> Any:
            scaled = tf.cast(upstream, tf.float32) * scale
            normed = tf.cast(x, tf.float32) * factor
            along = tf.reduce_mean(scaled * normed, -1, keepdims=True)
            return tf.cast(factor * (scaled - normed * along), x.dtype)

        return tf.cast(wide * factor * scale, self.compute_dtype), gradient

    return norm(x)
