"""What a trained model is written as, and the proof that it was written right."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models import data, gemma
from models.errors import ModelError
from models.features import TurnTemplate
from models.lora import save_adapter
from models.transformers_export import export_transformers

ADAPTER_FILE = "adapter.lora.h5"
PRESET_DIR = "preset"
TRANSFORMERS_DIR = "transformers"
GENERATION_FILE = "generation.json"
TRAINING_FILE = "training.json"

_VERIFIED_ROWS = 2
# Largest difference of a logit, as a share of the largest logit. Merging the LoRA factors rounds
# the weights once more, to 8 bits in bfloat16 and in int8.
_TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}
_QUANTIZED_TOLERANCE = 0.1


def export(
    model: Any,
    destination: str,
    template: TurnTemplate,
    rows: Sequence[data.TokenizedRow],
    *,
    sequence_length: int,
    with_transformers: bool,
) -> dict[str, float]:
    """Write the LoRA factors, the merged preset, a transformers checkpoint, and the prompt format.

    What was written is loaded again and has to give the logits of the model in memory.

    Args:
        model: A KerasHub causal language model, with LoRA enabled or without.
        destination: Local folder or `gs://` URI; made where it does not exist.
        template: How the model is prompted.
        rows: Rows to compare the logits on, at least one.
        sequence_length: Tokens of a row at most that the model was trained with.
        with_transformers: Whether a checkpoint for Hugging Face transformers is written.

    Returns:
        By the name of an export, the largest difference of a logit to the model in memory, as a
        share of the largest logit.

    Raises:
        ModelError: What was written gives other logits, or the family has no transformers export.
    """
    # Keras writes HDF5 to local files only.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dtype = model.backbone.token_embedding.variable_dtype
        if any(getattr(layer, "lora_enabled", False) for layer in model.backbone._flatten_layers()):
            save_adapter(model, str(folder / ADAPTER_FILE))
        model.save_to_preset(str(folder / PRESET_DIR))
        text = template.to_json(sequence_length=sequence_length)
        (folder / GENERATION_FILE).write_text(text, encoding="utf-8")
        inputs = _inputs(rows[:_VERIFIED_ROWS])
        wanted = _logits(model, inputs)
        reloaded = gemma.load_model(str(folder / PRESET_DIR), dtype)
        differences = {PRESET_DIR: _difference(reloaded, inputs, wanted, PRESET_DIR)}
        if with_transformers:
            export_transformers(reloaded, folder / TRANSFORMERS_DIR, template)
            reloaded = None  # two models in memory are enough
            again = gemma.load_model(str(folder / TRANSFORMERS_DIR), dtype)
            differences[TRANSFORMERS_DIR] = _difference(again, inputs, wanted, TRANSFORMERS_DIR)
        _copy(folder, destination)
    return differences


def _inputs(rows: Sequence[data.TokenizedRow]) -> dict[str, data.Array]:
    inputs, _ = next(data.batches(rows, len(rows), None))
    return {name: inputs[name] for name in ("token_ids", "padding_mask")}


def _logits(model: Any, inputs: dict[str, data.Array]) -> data.Array:
    logits = keras.ops.convert_to_numpy(keras.ops.cast(model(inputs), "float32"))
    return np.asarray(logits)[inputs["padding_mask"]]


def _difference(model: Any, inputs: dict[str, data.Array], wanted: data.Array, name: str) -> float:
    difference = float(np.abs(_logits(model, inputs) - wanted).max() / np.abs(wanted).max())
    tolerance = _TOLERANCE[model.backbone.token_embedding.variable_dtype]
    if any(layer.quantization_mode for layer in model.backbone._flatten_layers()):
        tolerance = _QUANTIZED_TOLERANCE
    if not difference <= tolerance:
        raise ModelError(
            f"The model that was written as {name!r} gives other logits than the trained one: they "
            f"differ by {difference:.2g} of the largest, and {tolerance:g} is rounding. Nothing "
            "was exported. This is a defect of the export, not of your data; with "
            "training.dtype=float32 and training.transformers_export=false fewer parts take part."
        )
    return round(difference, 6)


def _copy(folder: Path, destination: str) -> None:
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        target = os.path.join(destination, str(file.relative_to(folder)))
        tf.io.gfile.makedirs(os.path.dirname(target))
        tf.io.gfile.copy(str(file), target, overwrite=True)
