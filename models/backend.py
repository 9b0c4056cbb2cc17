"""Which of Keras' backends this process runs on, and who may use the accelerators."""

import importlib.util
import os

from core.errors import ModelError

BACKEND_VARIABLE = "KERAS_BACKEND"


def choose_backend(name: str) -> None:
    """Set the Keras backend of this process; to be called before Keras is loaded.

    Args:
        name: `tensorflow` or `jax`.

    Raises:
        ModelError: It is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise ModelError(
            f"training.backend is {name!r}, and there is no package {name!r} in this environment. "
            f"Install it (for NVIDIA: pip install 'jax[cuda12]'), or set training.backend="
            f"tensorflow and unset {BACKEND_VARIABLE}."
        )
    os.environ[BACKEND_VARIABLE] = name


def check_backend(wanted: str) -> None:
    """Raise unless Keras runs on a backend; leave the accelerators to it alone.

    Raises:
        ModelError: Keras was loaded with another one.
    """
    import keras

    found = keras.backend.backend()
    if found != wanted:
        raise ModelError(
            f"training.backend is {wanted!r}, and Keras runs on {found!r} in this process: it was "
            f"loaded before. Set the environment variable {BACKEND_VARIABLE}={wanted} before the "
            "process starts."
        )
    leave_accelerators()


def leave_accelerators() -> None:
    """Keep TensorFlow, which reads the data, from taking the memory that another backend needs."""
    import keras
    import tensorflow as tf

    if keras.backend.backend() == "tensorflow":
        return
    for kind in ("GPU", "TPU"):
        tf.config.set_visible_devices([], kind)


def has_accelerator() -> bool:
    """Return whether the backend computes on something else than CPUs."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("TPU"))
