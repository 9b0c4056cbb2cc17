"""What a trained model is written as."""

import os
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.features import GEMMA

ADAPTER_FILE = "adapter.lora.h5"
PRESET_DIR = "preset"
GENERATION_FILE = "generation.json"


def export(model: Any, destination: str, sequence_length: int) -> None:
    """Write the LoRA factors, the merged KerasHub preset, and how the model is prompted.

    Args:
        model: A KerasHub causal language model with LoRA enabled.
        destination: Local folder or `gs://` URI; made where it does not exist.
        sequence_length: Tokens of a row at most that the model was trained with.
    """
    # Keras writes HDF5 to local files only.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model.backbone.save_lora_weights(str(folder / ADAPTER_FILE))
        model.save_to_preset(str(folder / PRESET_DIR))
        text = GEMMA.to_json(sequence_length=sequence_length)
        (folder / GENERATION_FILE).write_text(text, encoding="utf-8")
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            target = os.path.join(destination, str(file.relative_to(folder)))
            tf.io.gfile.makedirs(os.path.dirname(target))
            tf.io.gfile.copy(str(file), target, overwrite=True)
