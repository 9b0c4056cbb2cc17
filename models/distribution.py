"""Training and generation on several accelerators of one machine, with `keras.distribution`.

Sources: https://keras.io/guides/distribution/; the layout of Gemma's weights is KerasHub's, after
Gemma Team, "Gemma: Open Models Based on Gemini Research and Technology",
https://arxiv.org/abs/2403.08295.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from core import families
from core.errors import ModelError
from models.data import Array

if TYPE_CHECKING:
    import keras

_BATCH, _MODEL = "batch", "model"


@contextlib.contextmanager
def distributed(kind: str, model_parallel: int | None, batch_size: int) -> Iterator[None]:
    """Distribute what is built and computed inside over the accelerators of this machine.

    Args:
        kind: `none`; `data`: every accelerator holds the model and computes a part of each batch;
            `model`: the weights are divided over all accelerators, too.
        model_parallel: With `model`, accelerators that compute a part of a batch together; None for
            all of them, which compute it as a whole.
        batch_size: Rows of a batch.

    Raises:
        ModelError: Keras' backend does not support it, or the accelerators or the batches cannot be
            divided so.
    """
    if kind == "none":
        yield
        return
    devices = _devices(kind)
    together = (model_parallel or len(devices)) if kind == "model" else 1
    if len(devices) % together:
        raise ModelError(
            f"model_parallel={together}: the {len(devices)} accelerators of this machine cannot be "
            f"divided into groups of {together}. Give a divisor of {len(devices)}."
        )
    parts = len(devices) // together
    if batch_size % parts:
        raise ModelError(
            f"batch_size={batch_size} cannot be divided into {parts} parts, one for each of the "
            f"{parts} groups of accelerators. Give a multiple of {parts}."
        )
    with _distribution(devices, parts, together).scope():
        yield


def batch_parts() -> int:
    """Return the number of parts that a batch is divided into in the current scope."""
    import keras

    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.num_model_replicas)


def distribute_inputs(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """Place the arrays of a whole batch on the accelerators that compute its parts."""
    import keras

    distribution = keras.distribution.distribution()
    if distribution is None:
        return inputs
    return {
        name: keras.distribution.distribute_tensor(array, distribution.get_data_layout(array.shape))
        for name, array in inputs.items()
    }


def _devices(kind: str) -> list[str]:
    import keras

    backend = keras.backend.backend()
    if backend != "jax":
        raise ModelError(
            f"distribution={kind}: Keras divides work over accelerators on its JAX backend only, "
            f"and this process runs on {backend!r}. Set training.backend=jax (or KERAS_BACKEND=jax)"
            ", or distribution=none."
        )
    return list(keras.distribution.list_devices())


def _distribution(
    devices: list[str], parts: int, together: int
) -> "keras.distribution.Distribution":
    import keras
    import keras_hub

    if together == 1:
        return keras.distribution.DataParallel(devices=devices)

    class DivisibleModelParallel(keras.distribution.ModelParallel):
        """Copies what has fewer parts than accelerators: Gemma 2B has one key-value head."""

        def get_variable_layout(self, variable: keras.Variable) -> keras.distribution.TensorLayout:
            layout = super().get_variable_layout(variable)
            mesh = layout.device_mesh
            sizes = dict(zip(mesh.axis_names, mesh.shape, strict=True))
            axes = [
                axis if axis and length % sizes[axis] == 0 else None
                for axis, length in zip(layout.axes, variable.shape, strict=True)
            ]
            return keras.distribution.TensorLayout(axes, mesh)

    mesh = keras.distribution.DeviceMesh((parts, together), (_BATCH, _MODEL), devices)
    layouts = keras.distribution.LayoutMap(mesh)
    # KerasHub's layouts of all families; those of the same name are the same.
    found: dict[str, keras.distribution.TensorLayout] = {}
    for name in sorted({family.sharding for family in families.FAMILIES if family.sharding}):
        backbone = getattr(keras_hub.models, name)
        found |= dict(backbone.get_layout_map(mesh, _MODEL, _BATCH).items())
    for pattern, layout in found.items():
        layouts[pattern] = layout
    return DivisibleModelParallel(layout_map=layouts, batch_dim_name=_BATCH)
