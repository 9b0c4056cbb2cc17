"""Projections of a model as fewer and larger matrix products."""

import contextlib
import math
import string
import types
from collections.abc import Iterator

import keras
import tensorflow as tf
from keras import ops
from keras.layers import Layer
from keras_hub.models import Backbone, CausalLM


@contextlib.contextmanager
def lora_forward(
    model: CausalLM, dropout: float = 0.0, seed: int = 0, *, enabled: bool = True
) -> Iterator[list[keras.Variable]]:
    """Project all tokens of a batch at once, and the inputs through one factor after the other.

    KerasHub projects each row of a batch by itself, and copies the attention's kernels into another
    order at every call. Keras adds the product of the factors to the kernel, so that a step first
    computes the gradient of the whole kernel. Projections in int8 stay as they are.

    Args:
        model: With LoRA enabled or not.
        dropout: Dropout rate of the factors' inputs, 0 to 1.
        seed: Of the dropout.
        enabled: Otherwise the model stays as it is.

    Yields:
        The state variables of the dropout, which a checkpoint has to keep.
    """
    # XLA finds the larger products by itself.
    all_layers = keras.backend.backend() == "tensorflow"
    layers = [
        layer
        for layer in dense_layers(model.backbone)
        if enabled and layer.quantization_mode is None and (all_layers or layer.lora_enabled)
    ]
    states = []
    for number, layer in enumerate(layers):
        generator = None
        if dropout and layer.lora_enabled:
            generator = keras.random.SeedGenerator(seed + number)
            states.append(generator.state)
        layer._tracker.unlock()
        layer.lora_dropout = (dropout, generator)
        layer._tracker.lock()
        layer.call = types.MethodType(_call, layer)
    try:
        yield states
    finally:
        for layer in layers:
            del layer.call, layer.lora_dropout


def dense_layers(backbone: Backbone) -> list[Layer]:
    """Return all projections of a backbone."""
    return [
        layer
        for layer in backbone._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.Dense | keras.layers.EinsumDense)
    ]


def _call(self: Layer, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    equation = getattr(self, "equation", "abx,xy->aby")
    kernel = ops.cast(self._kernel, self.compute_dtype)
    output = product(equation, inputs, kernel)
    if self.lora_enabled:
        rate, generator = self.lora_dropout
        seen = inputs
        if training and generator is not None:
            seen = keras.random.dropout(inputs, rate, seed=generator)
        output += _factored(self, equation, seen)
    if self.bias is not None:
        output += self.bias
    return output if self.activation is None else self.activation(output)


def _factored(layer: Layer, equation: str, inputs: tf.Tensor) -> tf.Tensor:
    first, second = factor_equations(equation)
    factors = (layer.lora_kernel_a, layer.lora_kernel_b)
    a, b = (ops.cast(factor, layer.compute_dtype) for factor in factors)
    scale = ops.cast(layer.lora_alpha / layer.lora_rank, layer.compute_dtype)
    return product(second, ops.einsum(first, inputs, a), b) * scale


def factor_equations(equation: str) -> tuple[str, str]:
    """Return the two products of a projection's factors; Keras factors its kernel's last axis."""
    operands, output = equation.split("->")
    inputs, kernel = operands.split(",")
    axis = kernel[-1]
    rank = next(letter for letter in string.ascii_letters if letter not in equation)
    between = output.replace(axis, rank)
    return f"{inputs},{kernel[:-1]}{rank}->{between}", f"{between},{rank}{axis}->{output}"


def product(equation: str, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Compute an einsum as products of matrices in their stored layout.

    Args:
        equation: Of a projection, such as `btd,df->btf` or, by head, `btd,ndh->btnh`.
        inputs: Tensor of the first operand's axes.
        kernel: Tensor of the second operand's axes.

    Returns:
        The result of `keras.ops.einsum`.
    """
    operands, output = equation.split("->")
    left, right = operands.split(",")
    contracted = "".join(axis for axis in right if axis in left)
    kept, new = left.removesuffix(contracted), right.replace(contracted, "")
    if not contracted or kept + contracted != left or kept + new != output:
        return ops.einsum(equation, inputs, kernel)
    width = math.prod(kernel.shape[right.index(axis)] for axis in contracted)
    rows = ops.reshape(inputs, (-1, width))
    if right == contracted + new:
        flat = ops.matmul(rows, ops.reshape(kernel, (width, -1)))
    elif len(right) == 3 and right[1] == contracted:
        # One product per head: its output is smaller to bring into order than the kernel.
        flat = ops.transpose(ops.matmul(rows, kernel), (1, 0, 2))
    else:
        return ops.einsum(equation, inputs, kernel)
    sizes = ops.shape(inputs)
    shape = [
        kernel.shape[right.index(axis)] if axis in new else sizes[left.index(axis)]
        for axis in output
    ]
    return ops.reshape(flat, shape)
