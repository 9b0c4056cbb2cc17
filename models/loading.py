"""Loading weights without drawing them at random first."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


@contextlib.contextmanager
def no_random_weights() -> Iterator[None]:
    """Weights begin as zeros: their values are read from a preset next.

    Drawing Gemma's embeddings takes three times their memory, which TensorFlow's allocator keeps.
    """
    variable = keras.Variable
    initialize = variable._initialize_with_initializer

    def initialize_weight(self: Any, initializer: Any) -> None:
        is_weight = len(self.shape or ()) > 1 and keras.backend.is_float_dtype(self.dtype)
        initialize(self, keras.initializers.Zeros() if is_weight else initializer)

    variable._initialize_with_initializer = initialize_weight
    try:
        yield
    finally:
        variable._initialize_with_initializer = initialize
