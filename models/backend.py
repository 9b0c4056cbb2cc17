"""Which of Keras' backends this process runs on, and who may use the accelerators."""

import importlib.util
import os
import sys

from core.errors import ModelError

BACKEND_VARIABLE = "KERAS_BACKEND"
# NVIDIA's compute capability of Ampere, the first with bfloat16; T4, V100 and P100 are before it.
# https://docs.nvidia.com/cuda/cuda-c-programming-guide/#arithmetic-instructions
_AMPERE = (8, 0)


def choose_backend(name: str) -> None:
    """Set the Keras backend of this process; to be called before Keras is loaded.

    Args:
        name: `tensorflow` or `jax`.

    Raises:
        ModelError: It is not installed.
    """
    if importlib.util.find_spec(name) is None:
        if name == "tensorflow":  # not one of several to choose from: the pipeline needs it anyhow
            raise ModelError(
                f"TensorFlow is not installed for {sys.executable}. Run `make setup`, then use "
                ".venv/bin/understudy."
            )
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


def compiles_with_xla(wanted: bool | None) -> bool:
    """Return whether XLA compiles the steps of a training.

    Args:
        wanted: See `TrainHParams.jit_compile`.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return True
    return has_accelerator() if wanted is None else wanted


def accelerators_have_bfloat16() -> bool:
    """Return whether there are accelerators, and all of them compute in bfloat16.

    TPUs do, NVIDIA's GPUs since Ampere. Others that do not say what they can are taken not to.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        capabilities = [
            _AMPERE if device.platform == "tpu" else getattr(device, "compute_capability", "0")
            for device in jax.devices()
        ]
    else:
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        capabilities = [
            details(device).get("compute_capability", "0")
            for device in tf.config.list_physical_devices("GPU")
        ]
        capabilities += [_AMPERE for _ in tf.config.list_physical_devices("TPU")]
    return bool(capabilities) and all(_version(found) >= _AMPERE for found in capabilities)


def _version(capability: str | tuple[int, ...]) -> tuple[int, ...]:
    """Return a compute capability as numbers; JAX has a text such as `7.5`."""
    if isinstance(capability, tuple):
        return capability
    parts = str(capability).split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else (0,)
