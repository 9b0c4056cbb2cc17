"""A training that starts from an earlier model."""

import os

from keras_hub.models import CausalLM

from core import artifact_files
from core.errors import ModelError
from models.checksums import check_files
from models.files import local_copy
from models.hparams import TrainHParams
from models.loading.load import load_model
from models.training.lora import load_adapter
from models.training_record import read_training_record

_SAME_FOR_ALL = ("preset",)
_SAME_FOR_FACTORS = ("preset", "method", "lora_rank", "lora_targets")


def check_start(model_dir: str, hparams: TrainHParams) -> None:
    """Raise unless a training can start from a model.

    Args:
        model_dir: Output of an earlier Trainer, a local folder or `gs://` URI.
        hparams: Those of the training to come.

    Raises:
        ModelError: There is no model, or it was trained from another base model or with other
            factors; the message names every hyperparameter that would have to be the same.
    """
    try:
        record = read_training_record(model_dir)
    except ModelError as error:
        raise ModelError(
            f"There is no trained model at {model_dir}: {error} To train from the base model, set "
            "rounds.warm_start=scratch."
        ) from error
    earlier = {**record.hparams.model_dump(), "preset": record.preset}
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


def load_trained(model_dir: str, dtype: str, hparams: TrainHParams) -> CausalLM:
    """Load the earlier model itself, for a training of all weights."""
    check_files(model_dir, artifact_files.PRESET_FOLDER)
    with local_copy(os.path.join(model_dir, artifact_files.PRESET_FOLDER)) as preset:
        return load_model(preset, dtype, optimizations=hparams.optimizations)


def load_factors(model: CausalLM, model_dir: str) -> None:
    """Replace fresh LoRA factors by the earlier model's."""
    check_files(model_dir, artifact_files.ADAPTER)
    with local_copy(os.path.join(model_dir, artifact_files.ADAPTER)) as path:
        load_adapter(model, path)
