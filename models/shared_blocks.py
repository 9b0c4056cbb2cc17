"""Decoder blocks that are alike, traced once."""

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras

_OF_ONE_LAYER = frozenset({"name", "_name", "_path", "_parent_path"})
_SETTINGS = bool | int | float | str | tuple | types.NoneType | keras.DTypePolicy


@contextlib.contextmanager
def shared_blocks(model: Any) -> Iterator[None]:
    """Let blocks of a backbone that differ in their weights only be one function in graphs.

    A graph of all blocks takes some seconds to trace and hundreds of MiB: Python, TensorFlow and
    its optimizer each hold their own. What is called eagerly stays as it is, as do blocks whose
    state changes while they are called (dropout), and other backends than TensorFlow.

    Args:
        model: A causal language model in KerasHub, of which no other layers are changed meanwhile.
    """
    blocks = []
    if keras.backend.backend() == "tensorflow":
        blocks = [block for block in model.backbone.transformer_layers if not _has_state(block)]
    kinds: list[tuple[Any, Callable[..., Any]]] = []
    for block in blocks:
        settings = _settings(block)
        shared = next((function for known, function in kinds if known == settings), None)
        if shared is None:
            shared = _function_of(block)
            kinds.append((settings, shared))
        block.call = types.MethodType(_caller(block.call, shared), block)
    try:
        yield
    finally:
        for block in blocks:
            del block.call


def _has_state(block: Any) -> bool:
    # The seed numbers of dropout, that of LoRA's inputs too, are variables, but no weights.
    return len(block.variables) != len(block.weights)


def _settings(block: Any) -> Any:
    """All that decides what a block computes, but for the values of its weights."""
    layers = [
        (type(layer), {k: v for k, v in vars(layer).items() if _is_setting(k, v)})
        for layer in block._flatten_layers()
    ]
    weights = [(v.shape, v.dtype, v.trainable) for v in block.weights]
    return layers, weights


def _is_setting(name: str, value: Any) -> bool:
    return name not in _OF_ONE_LAYER and isinstance(value, _SETTINGS)


def _function_of(block: Any) -> Callable[..., Any]:
    import tensorflow as tf

    call, weights = block.call, block.weights

    @tf.function(autograph=False)
    def function(values: list[Any], args: Any, kwargs: Any) -> Any:
        # Or the gradient of each frozen kernel is in the graph, for grappler to find it unused.
        values = [
            value if weight.trainable else tf.stop_gradient(value)
            for weight, value in zip(weights, values, strict=True)
        ]
        with keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True))):
            return call(*args, **kwargs)

    return function


def _caller(call: Callable[..., Any], shared: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    def call_shared(self: Any, *args: Any, **kwargs: Any) -> Any:
        if tf.executing_eagerly():
            return call(*args, **kwargs)
        values = [tf.convert_to_tensor(weight._value) for weight in self.weights]
        return shared(values, args, kwargs)

    return call_shared
