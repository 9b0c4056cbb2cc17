"""Loads weights with little more memory than they take."""

import contextlib
import gc
from collections.abc import Iterator

import h5py
import keras
import ml_dtypes
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras.src.saving import saving_lib

from models.data import Array

_LARGE_BYTES = 2**24  # of a variable that is assigned in parts, and of a part


@contextlib.contextmanager
def in_place_loading() -> Iterator[None]:
    """Initialize weights with zeros, not at random, and read and assign large ones in parts.

    Drawing Gemma's embeddings takes three times their memory. Reading them at once takes it twice,
    and assigning them at once a tensor and a second buffer, which TensorFlow's allocator keeps.
    """
    variable, store = keras.Variable, saving_lib.H5IOStore
    initialize, assign = variable._initialize_with_initializer, variable.assign
    read = store.__getitem__

    def initialize_weight(
        self: keras.Variable, initializer: keras.initializers.Initializer
    ) -> None:
        is_weight = len(self.shape or ()) > 1 and keras.backend.is_float_dtype(self.dtype)
        initialize(self, keras.initializers.Zeros() if is_weight else initializer)

    def assign_weight(self: keras.Variable, value: "Array | _StoredArray") -> tf.Tensor:
        if _fits_in_parts(self, value) and _assign_in_parts(self, value):
            return self._value
        return assign(self, np.asarray(value) if isinstance(value, _StoredArray) else value)

    def read_weight(self: saving_lib.H5IOStore, key: str) -> "Array | _StoredArray":
        dataset = saving_lib.safe_get_h5_dataset(self._h5_entry_group, key)
        is_large = getattr(dataset, "nbytes", 0) > _LARGE_BYTES
        return _StoredArray(dataset) if is_large else read(self, key)

    variable._initialize_with_initializer = initialize_weight
    variable.assign = assign_weight
    store.__getitem__ = read_weight
    try:
        yield
    finally:
        variable._initialize_with_initializer = initialize
        variable.assign = assign
        store.__getitem__ = read


@contextlib.contextmanager
def collect_new_objects_only() -> Iterator[None]:
    """Limit garbage collections to objects that are made inside.

    Keras collects at every weight that quantization replaces, and the many objects of TFX and
    TensorFlow take most of a second each time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _StoredArray:
    """An array of an open HDF5 file whose rows are read on demand."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        # Keras writes the bytes of bfloat16, and its name next to them.
        self._dtype = ml_dtypes.bfloat16 if dataset.attrs.get("dtype") == "bfloat16" else None
        self.shape: tuple[int, ...] = dataset.shape
        self.nbytes: int = dataset.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        read = self._dataset[rows]
        return read if self._dtype is None else read.view(self._dtype)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return self[:] if dtype is None else self[:].astype(dtype)


def _fits_in_parts(variable: keras.Variable, value: Array | _StoredArray) -> bool:
    """Return whether a large array is for a variable of TensorFlow's on the CPU."""
    if keras.backend.backend() != "tensorflow":
        return False
    if not isinstance(value, np.ndarray | _StoredArray):
        return False
    is_large = value.nbytes > _LARGE_BYTES and value.shape == tuple(variable.shape)
    return is_large and "CPU" in getattr(variable._value, "device", "")


def _assign_in_parts(variable: keras.Variable, value: Array | _StoredArray) -> bool:
    """Write into the variable's own buffer; return whether everything has arrived there.

    Assigning a slice is not an option: each later read of the variable would copy it. Reading a
    variable copies nothing, and `InplaceUpdate` changes the buffer it is given, which its
    documentation does not promise: so every part is read back.
    """
    buffer = tf.convert_to_tensor(variable._value)
    n_rows = max(1, _LARGE_BYTES * len(value) // value.nbytes)
    for start in range(0, len(value), n_rows):
        part = tf.cast(value[start : start + n_rows], buffer.dtype)
        end = start + len(part)
        tf.raw_ops.InplaceUpdate(x=buffer, i=tf.range(start, end), v=part)
        if not tf.reduce_all(variable._value[start:end] == part):
            return False
    return True
