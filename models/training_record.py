"""Reads the record of a training, which is stored with its model."""

import os

import tensorflow as tf

from core import artifact_files
from core.errors import ModelError, UserError
from core.reports.training import TrainingRecord


def read_training_record(model_dir: str) -> TrainingRecord:
    """Read `training.json` of a trained model, of this version or the first.

    Args:
        model_dir: Output of a Trainer, a local folder or `gs://` URI.

    Raises:
        ModelError: The file is missing, is damaged or has an unknown schema version.
    """
    path = os.path.join(model_dir, artifact_files.TRAINING)
    try:
        with tf.io.gfile.GFile(path, "r") as file:
            return TrainingRecord.from_json(file.read(), path)
    except UserError as error:
        raise ModelError(str(error)) from error
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path} cannot be read ({type(error).__name__}). Give a Model that this pipeline's "
            "Trainer wrote."
        ) from error
