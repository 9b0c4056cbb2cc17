"""Operations of a model whose way back keeps less of the way there."""

import contextlib
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras

# Of the approximation by tanh; Hendrycks and Gimpel, https://arxiv.org/abs/1606.08415
_SLOPE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


@contextlib.contextmanager
def lean_gradients(model: Any) -> Iterator[None]:
    """Keep only what goes into a gated GELU, an RMSNorm or an attention until the way back.

    TensorFlow keeps what each of their elementary operations needs: two to five arrays for each
    one, and of an attention the shares of all pairs of positions. What is missing is computed
    again: for GELU and norms that takes no longer than reading it from memory, for attentions 2 to
    4 % of a step. XLA decides by itself what to keep; norms whose scale is trained and attentions
    with dropout stay as they are.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost",
    https://arxiv.org/abs/1604.06174.

    Args:
        model: A causal language model in KerasHub.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    layers = model.backbone._flatten_layers(include_self=False)
    changed = [change for layer in layers for change in _lean(layer)]
    gelu = keras.activations.gelu
    for layer, name, operation in changed:
        setattr(layer, name, operation)
    keras.activations.gelu = _gelu
    try:
        yield
    finally:
        keras.activations.gelu = gelu
        for layer, name, _ in changed:
            delattr(layer, name)


def _lean(layer: Any) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Which method of a layer is replaced, and by what."""
    if _is_gemmas_norm(layer) and not layer.scale.trainable:
        yield layer, "call", types.MethodType(_norm, layer)
    # Dropout would choose others the second time.
    elif hasattr(layer, "_compute_attention") and not getattr(layer, "dropout", 0):
        yield layer, "_compute_attention", _attention(layer._compute_attention)


def _is_gemmas_norm(layer: Any) -> bool:
    # Keras' own layer of that name does not add 1 to its scale.
    is_kerashubs = type(layer).__module__.startswith("keras_hub.")
    return is_kerashubs and type(layer).__name__ == "RMSNormalization"


def _once_there(upstream: Any, *arrays: Any) -> list[Any]:
    """Arrays of the way there that nothing is computed from before the gradient has arrived.

    Without it TensorFlow computes at once whatever does not need the gradient, and keeps it.
    """
    import tensorflow as tf

    with tf.control_dependencies([upstream]):
        return [tf.identity(array) for array in arrays]


class _Gelu:
    """The GELU of an array by tanh, which is computed when it is multiplied with the other gate."""

    def __init__(self, x: Any) -> None:
        self._x = x

    def __mul__(self, other: Any) -> Any:
        return _gated(self._x, other)


def _gelu(x: Any, approximate: bool = False) -> Any:
    import tensorflow as tf

    return _Gelu(x) if approximate else tf.nn.gelu(x, approximate=False)


def _gated(x: Any, other: Any) -> Any:
    import tensorflow as tf

    @tf.custom_gradient
    def product(x: Any, other: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            late, late_other = _once_there(upstream, x, other)
            square = late * late
            tanh = tf.tanh(_SLOPE * late * (1 + _CUBIC * square))
            share = 0.5 * (1 + tanh)
            slope = _SLOPE * (1 + 3 * _CUBIC * square)
            along = share + 0.5 * late * (1 - tanh * tanh) * slope
            return upstream * late_other * along, upstream * late * share

        return tf.nn.gelu(x, approximate=True) * other, gradient

    return product(x, other)


def _norm(self: Any, x: Any) -> Any:
    import tensorflow as tf

    scale = 1 + tf.cast(tf.convert_to_tensor(self.scale.value), tf.float32)

    def factor(wide: Any) -> Any:
        return tf.math.rsqrt(tf.reduce_mean(wide * wide, -1, keepdims=True) + self.epsilon)

    @tf.custom_gradient
    def norm(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            [late] = _once_there(upstream, x)
            late = tf.cast(late, tf.float32)
            inverse = factor(late)
            scaled = tf.cast(upstream, tf.float32) * scale
            normed = late * inverse
            along = tf.reduce_mean(scaled * normed, -1, keepdims=True)
            return tf.cast(inverse * (scaled - normed * along), x.dtype)

        # In float32 whatever comes in, as KerasHub does.
        wide = tf.cast(x, tf.float32)
        return tf.cast(wide * factor(wide) * scale, self.compute_dtype), gradient

    return norm(x)


def _attention(compute: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    def attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        @tf.custom_gradient
        def of(*inputs: Any) -> Any:
            def gradient(upstream: Any) -> Any:
                late = _once_there(upstream, *inputs)
                with tf.GradientTape() as tape:
                    tape.watch(late)
                    output = compute(*late, *args, **kwargs)
                return tape.gradient(output, late, upstream)

            return compute(*inputs, *args, **kwargs), gradient

        return of(query, key, value)

    return attention
