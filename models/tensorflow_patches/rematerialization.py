"""Ops that recompute activations in the backward pass."""

import contextlib
import math
import types
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf
from keras.layers import Layer
from keras_hub.models import CausalLM

from core.optimizations import TrainingOptimizations

# Of the approximation by tanh; Hendrycks and Gimpel, https://arxiv.org/abs/1606.08415
_SLOPE = math.sqrt(2 / math.pi)
_CUBIC = 0.044715
ALL_ON = TrainingOptimizations()

Gradient = Callable[[tf.Tensor], tf.Tensor | tuple[tf.Tensor, ...]]


@contextlib.contextmanager
def rematerialize(model: CausalLM, optimizations: TrainingOptimizations = ALL_ON) -> Iterator[None]:
    """Keep only the inputs of gated GELUs, RMS norms and attentions until the backward pass.

    TensorFlow keeps what each of their elementary operations needs: two to five arrays per
    operation, and of an attention the weights of all pairs of positions. The rest is recomputed:
    for GELUs and norms that takes no longer than reading it from memory, for attentions 2 to 4 % of
    a step. XLA decides by itself what to keep; norms whose scale is trained and attentions with
    dropout stay as they are.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost",
    https://arxiv.org/abs/1604.06174.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    layers = model.backbone._flatten_layers(include_self=False)
    changed = [change for layer in layers for change in _changes(layer, optimizations)]
    if optimizations.recomputed_gelu:
        changed.append((keras.activations, "gelu", _gelu))
    before = [vars(owner).get(name) for owner, name, _ in changed]
    for owner, name, operation in changed:
        setattr(owner, name, operation)
    try:
        yield
    finally:
        for (owner, name, _), original in zip(changed, before, strict=True):
            if original is None:
                delattr(owner, name)
            else:
                setattr(owner, name, original)


def _changes(
    layer: Layer, optimizations: TrainingOptimizations
) -> Iterator[tuple[object, str, Callable[..., object]]]:
    """Yield the method of a layer that is replaced, and by what."""
    # Keras' own layer of that name does not add 1 to its scale.
    is_kerashubs = type(layer).__module__.startswith("keras_hub.")
    is_norm = is_kerashubs and type(layer).__name__ == "RMSNormalization"
    if optimizations.recomputed_rms_norm and is_norm and not layer.scale.trainable:
        yield layer, "call", types.MethodType(_rms_norm, layer)
    # Dropout would choose others the second time.
    is_attention = hasattr(layer, "_compute_attention") and not getattr(layer, "dropout", 0)
    if optimizations.recomputed_attention and is_attention:
        yield layer, "_compute_attention", _attention(layer._compute_attention)


def _after(upstream: tf.Tensor, *arrays: tf.Tensor) -> list[tf.Tensor]:
    """Return arrays of the forward pass that nothing uses before the gradient has arrived.

    Otherwise TensorFlow at once computes whatever does not need the gradient, and keeps it.
    """
    with tf.control_dependencies([upstream]):
        return [tf.identity(array) for array in arrays]


class _Gelu:
    """The GELU by tanh of an array, which is computed when it is multiplied with the other gate."""

    def __init__(self, x: tf.Tensor) -> None:
        self._x = x

    def __mul__(self, other: tf.Tensor) -> tf.Tensor:
        return _gated_gelu(self._x, other)


def _gelu(x: tf.Tensor, approximate: bool = False) -> tf.Tensor | _Gelu:
    return _Gelu(x) if approximate else tf.nn.gelu(x, approximate=False)


@tf.custom_gradient
def _gated_gelu(x: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        late, late_other = _after(upstream, x, other)
        square = late * late
        tanh = tf.tanh(_SLOPE * late * (1 + _CUBIC * square))
        share = 0.5 * (1 + tanh)
        slope = _SLOPE * (1 + 3 * _CUBIC * square)
        along = share + 0.5 * late * (1 - tanh * tanh) * slope
        return upstream * late_other * along, upstream * late * share

    return tf.nn.gelu(x, approximate=True) * other, gradient


def _rms_norm(self: Layer, x: tf.Tensor) -> tf.Tensor:
    scale = 1 + tf.cast(tf.convert_to_tensor(self.scale.value), tf.float32)

    def factor(wide: tf.Tensor) -> tf.Tensor:
        return tf.math.rsqrt(tf.reduce_mean(wide * wide, -1, keepdims=True) + self.epsilon)

    @tf.custom_gradient
    def norm(x: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            [late] = _after(upstream, x)
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


def _attention(compute: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    def attention(
        query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, *args: object, **kwargs: object
    ) -> tf.Tensor:
        @tf.custom_gradient
        def recomputed(*inputs: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
            def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
                late = _after(upstream, *inputs)
                with tf.GradientTape() as tape:
                    tape.watch(late)
                    output = compute(*late, *args, **kwargs)
                return tape.gradient(output, late, upstream)

            return compute(*inputs, *args, **kwargs), gradient

        return recomputed(query, key, value)

    return attention
