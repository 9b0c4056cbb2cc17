"""Returns memory that this process no longer uses to the system."""

import ctypes
import gc
from collections.abc import Mapping

import keras


def free_memory() -> None:
    """Free what models of this process held; the next component loads its own."""
    keras.utils.clear_session()
    gc.collect()
    trim_memory()


def trim_memory() -> None:
    """Return freed memory to the system; glibc keeps most of it for later."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)


class TrimMemoryAfterTracing(keras.callbacks.Callback):
    """Trims memory after the first batch, in which TensorFlow traces and optimizes its graph."""

    def __init__(self) -> None:
        super().__init__()
        self._is_traced = False

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Trim once."""
        if not self._is_traced:
            self._is_traced = True
            trim_memory()
