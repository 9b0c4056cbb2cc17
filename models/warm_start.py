"""A training that goes on from what an earlier one has learned."""

import json
import os
from typing import Any

import tensorflow as tf

from models import gemma
from models.checksums import check_files
from models.errors import ModelError
from models.export import ADAPTER_FILE, PRESET_DIR, TRAINING_FILE
from models.files import local_copy
from models.hparams import TrainHParams
from models.lora import load_adapter

_SAME_FOR_ALL = ("preset",)
_SAME_FOR_FACTORS = ("preset", "method", "lora_rank", "lora_targets")


def check_start(model_dir: str, hparams: TrainHParams) -> None:
    """Raise unless a training can go on from a model.

    Args:
        model_dir: What an earlier Trainer wrote, a local folder or `gs://` URI.
        hparams: Those of the training to come.

    Raises:
        ModelError: There is no model, or it was trained from another base model or with other
            factors; the message names every hyperparameter that would have to be the same.
    """
    earlier = _hparams_of(model_dir)
    wanted = hparams.model_dump()
    keys = _SAME_FOR_ALL if hparams.method == "full" else _SAME_FOR_FACTORS
    different = [
        f"training.{key} was {earlier.get(key)!r} and is {wanted[key]!r}"
        for key in keys
        if earlier.get(key) != wanted[key]
    ]
    if different:
        raise ModelError(
            f"The training cannot start from the model at {model_dir}: {'; '.join(different)}. "
            "Give the values that it was trained with, or set rounds.warm_start=scratch."
        )


def load_trained(model_dir: str, dtype: str) -> Any:
    """The earlier model itself, for a training of all weights.

    Args:
        model_dir: What an earlier Trainer wrote, which `check_start` was asked about.
        dtype: See `gemma.load_model`.
    """
    check_files(model_dir, PRESET_DIR)
    with local_copy(os.path.join(model_dir, PRESET_DIR)) as preset:
        return gemma.load_model(preset, dtype)


def load_factors(model: Any, model_dir: str) -> None:
    """Put the earlier model's LoRA factors in the place of fresh ones.

    Args:
        model: A causal language model with LoRA enabled, which `check_start` was asked about.
        model_dir: What an earlier Trainer wrote.
    """
    check_files(model_dir, ADAPTER_FILE)
    with local_copy(os.path.join(model_dir, ADAPTER_FILE)) as path:
        load_adapter(model, path)


def _hparams_of(model_dir: str) -> dict[str, Any]:
    path = os.path.join(model_dir, TRAINING_FILE)
    try:
        with tf.io.gfile.GFile(path, "r") as file:
            found: dict[str, Any] = json.loads(file.read())["hparams"]
    except (tf.errors.OpError, ValueError, KeyError) as error:
        raise ModelError(
            f"There is no trained model at {model_dir}: {path} cannot be read "
            f"({type(error).__name__}). Start from a Model that this pipeline's Trainer wrote, or "
            "set rounds.warm_start=scratch."
        ) from error
    return found
