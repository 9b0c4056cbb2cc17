"""Stops a training whose loss or weights are no longer finite."""

import math
from collections.abc import Sequence

import numpy as np

from core.errors import ModelError
from models.data import Array
from models.hparams import TrainHParams


def check_loss(loss: float, step: int, hparams: TrainHParams, name: str = "training loss") -> None:
    """Check that a loss is a number.

    Args:
        loss: The loss.
        step: The step that it is of; 0 for the weights before the first one.
        hparams: The hyperparameters of the training.
        name: What kind of loss it is.

    Raises:
        ModelError: It is infinite or no number.
    """
    if not math.isfinite(loss):
        raise _diverged(f"the {name} {_at(step)} is {loss}", step, hparams)


def check_weights(weights: Sequence[Array], step: int, hparams: TrainHParams) -> None:
    """Check that all trained weights are numbers.

    Args:
        weights: The trainable weights.
        step: The step that they are of.
        hparams: The hyperparameters of the training.

    Raises:
        ModelError: One is infinite or no number.
    """
    bad = sum(int(np.size(array) - np.isfinite(_as_float(array)).sum()) for array in weights)
    if bad:
        text = (
            f"{bad:,} of {sum(map(np.size, weights)):,} trained weights {_at(step)} are not finite"
        )
        raise _diverged(text, step, hparams)


def _as_float(array: Array) -> Array:
    # NumPy's isfinite does not know bfloat16.
    return array if array.dtype.kind == "f" else array.astype("float32")


def _at(step: int) -> str:
    return f"of step {step}" if step else "before the first step"


def _diverged(what: str, step: int, hparams: TrainHParams) -> ModelError:
    if step == 0:
        return ModelError(
            f"The training cannot start: {what}. The weights of {hparams.preset} are damaged, or "
            f"training.dtype={hparams.dtype} is too narrow for them: set training.dtype=float32."
        )
    return ModelError(
        f"The training diverged: {what}. Lower training.learning_rate (now "
        f"{hparams.learning_rate:g}) or training.clip_norm (now {hparams.clip_norm:g}). Nothing "
        "was exported; the last checkpoint before that step is kept."
    )
