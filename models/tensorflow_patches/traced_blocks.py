"""Decoder blocks of the same structure, traced once."""

import contextlib
import types
from collections.abc import Callable, Iterator, Mapping

import keras
import tensorflow as tf
from keras.layers import Layer
from keras_hub.models import CausalLM

_OF_ONE_LAYER = frozenset({"name", "_name", "_path", "_parent_path"})
_SETTINGS = bool | int | float | str | tuple | types.NoneType | keras.DTypePolicy

Call = Callable[..., tf.Tensor]


@contextlib.contextmanager
def traced_blocks(model: CausalLM, *, enabled: bool = True) -> Iterator[None]:
    """Trace decoder blocks that differ in the values of their weights only as one function.

    A graph of all blocks takes seconds to trace and hundreds of MiB: Python, TensorFlow and its
    optimizer each hold a copy. Eager calls stay as they are, as do blocks whose state changes while
    they are called (dropout), and other backends than TensorFlow.

    Args:
        model: No other layers of it are changed meanwhile.
        enabled: Otherwise the model stays as it is.
    """
    blocks = []
    if enabled and keras.backend.backend() == "tensorflow":
        blocks = [block for block in model.backbone.transformer_layers if not _has_state(block)]
    kinds: list[tuple[object, Call]] = []
    for block in blocks:
        structure = _structure(block)
        traced = next((function for known, function in kinds if known == structure), None)
        if traced is None:
            traced = _function_of(block)
            kinds.append((structure, traced))
        block.call = types.MethodType(_caller(block.call, traced), block)
    try:
        yield
    finally:
        for block in blocks:
            del block.call


def _has_state(block: Layer) -> bool:
    # The seeds of dropout, that of LoRA's inputs too, are variables, but no weights.
    return len(block.variables) != len(block.weights)


def _structure(block: Layer) -> object:
    """Return all that decides what a block computes, but for the values of its weights."""
    layers = [
        (type(layer), {k: v for k, v in vars(layer).items() if _is_setting(k, v)})
        for layer in block._flatten_layers()
    ]
    return layers, [(v.shape, v.dtype, v.trainable) for v in block.weights]


def _is_setting(name: str, value: object) -> bool:
    return name not in _OF_ONE_LAYER and isinstance(value, _SETTINGS)


def _function_of(block: Layer) -> Call:
    call, weights = block.call, block.weights

    @tf.function(autograph=False)
    def function(
        values: list[tf.Tensor], args: tuple[tf.Tensor, ...], kwargs: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        # Or the gradient of each frozen kernel is in the graph, for grappler to find it unused.
        values = [
            value if weight.trainable else tf.stop_gradient(value)
            for weight, value in zip(weights, values, strict=True)
        ]
        with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
            return call(*args, **kwargs)

    return function


def _caller(call: Call, traced: Call) -> Call:
    def call_traced(self: Layer, *args: tf.Tensor, **kwargs: tf.Tensor) -> tf.Tensor:
        if tf.executing_eagerly():
            return call(*args, **kwargs)
        values = [tf.convert_to_tensor(weight._value) for weight in self.weights]
        return traced(values, args, kwargs)

    return call_traced
