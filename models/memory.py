"""Memory of this process that nothing uses any more."""

import ctypes
import gc
from typing import Any

import keras


def free_memory() -> None:
    """Give back what models of this process held; the next component loads its own."""
    keras.utils.clear_session()
    gc.collect()
    give_back()


def give_back() -> None:
    """Return to the system what was freed; glibc keeps most of it for later."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)


class GivesBackAfterTracing(keras.callbacks.Callback):
    """Gives back what the first batch freed, where TensorFlow traces and optimizes its graph."""

    def __init__(self) -> None:
        super().__init__()
        self._is_traced = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' callback."""
        if not self._is_traced:
            self._is_traced = True
            give_back()
