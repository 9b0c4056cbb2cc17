"""Training and generation on several accelerators of one machine, with `keras.distribution`.

Sources: https://keras.io/guides/distribution/; the layout of Gemma's weights is KerasHub's, after
Gemma Team, "Gemma: Open Models Based on Gemini Research and Technology",
https://arxiv.org/abs/2403.08295.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from models.errors import ModelError

_BATCH, _MODEL = "batch", "model"


@contextlib.contextmanager
def distributed(kind: str, model_parallel: int | None) -> Iterator[int]:
    """Lay what is built and computed inside over the accelerators of this machine.

    Args:
        kind: `none`; `data`: every accelerator holds the model and computes a part of each batch;
            `model`: the weights are divided, too.
        model_parallel: With `model`, accelerators that one copy of the weights is divided over;
            None for all of them. The copies compute parts of each batch.

    Yields:
        The number of parts that a batch is divided into.

    Raises:
        ModelError: Keras' backend cannot do it, or the accelerators cannot be grouped so.
    """
    if kind == "none":
        yield 1
        return
    devices = _devices(kind)
    per_copy = (model_parallel or len(devices)) if kind == "model" else 1
    if len(devices) % per_copy:
        raise ModelError(
            f"model_parallel={per_copy}: the {len(devices)} accelerators of this machine cannot be "
            f"divided into groups of {per_copy}. Give a divisor of {len(devices)}."
        )
    copies = len(devices) // per_copy
    distribution = _distribution(devices, copies, per_copy)
    with distribution.scope():
        yield copies


def _devices(kind: str) -> list[str]:
    import keras

    backend = keras.backend.backend()
    if backend != "jax":
        raise ModelError(
            f"distribution={kind}: Keras divides work over accelerators on its JAX backend only, "
            f"and this process runs on {backend!r}. Set training.backend=jax (or KERAS_BACKEND=jax)"
            ", or distribution=none."
        )
    devices: list[str] = keras.distribution.list_devices()
    return devices


def _distribution(devices: list[str], copies: int, per_copy: int) -> Any:
    import keras

    if per_copy == 1:
        return keras.distribution.DataParallel(devices=devices)
    mesh = keras.distribution.DeviceMesh((copies, per_copy), (_BATCH, _MODEL), devices)
    return _model_parallel(_layout_map(mesh))


def _layout_map(mesh: Any) -> Any:
    """KerasHub's layouts of the families, whose names of weights do not overlap."""
    import keras
    from keras_hub import models

    layouts = keras.distribution.LayoutMap(mesh)
    # Gemma's blocks are named alike in its three generations, and Mistral's like Llama's.
    found: dict[str, Any] = {}
    for backbone in (models.LlamaBackbone, models.GemmaBackbone):
        found |= dict(backbone.get_layout_map(mesh, _MODEL, _BATCH).items())
    for pattern, layout in found.items():
        layouts[pattern] = layout
    return layouts


def _model_parallel(layouts: Any) -> Any:
    import keras

    class DividesWhatCanBeDivided(keras.distribution.ModelParallel):
        """Leaves whole what has fewer parts than accelerators: Gemma 2B has one key-value head."""

        def get_variable_layout(self, variable: Any) -> Any:
            layout = super().get_variable_layout(variable)
            mesh = layout.device_mesh
            sizes = dict(zip(mesh.axis_names, mesh.shape, strict=True))
            axes = [
                axis if axis and length % sizes[axis] == 0 else None
                for axis, length in zip(layout.axes, variable.shape, strict=True)
            ]
            return keras.distribution.TensorLayout(axes, mesh)

    return DividesWhatCanBeDivided(layout_map=layouts, batch_dim_name=_BATCH)
