"""The Exporter's function: writes a trained model in further formats, each loaded and compared."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from keras_hub.models import CausalLM

from core import artifact_files
from core.family import ChatTemplate
from core.progress import progress
from core.reports.training import PromptFormat, TrainingRecord
from models import data
from models.backend import check_backend
from models.checksums import check_files, write_checksums
from models.export.gguf_file import GgufType, export_gguf
from models.export.llama_cpp import verify_gguf
from models.export.saved_model import export_saved_model, verify_saved_model
from models.export.support import check_formats
from models.export.transformers_checkpoint import export_transformers, verify_transformers
from models.export.verification import Verification, Verifier
from models.files import copy_folder, local_copy
from models.loading.load import load_model
from models.memory import free_memory
from models.training_record import read_training_record

TRANSFORMERS_DIR = "transformers"
SAVED_MODEL_DIR = "saved_model"


def export_fn(
    *,
    model_dir: str,
    destination: str,
    train_files: Sequence[str],
    formats: Sequence[str],
    gguf_type: GgufType,
) -> list[str]:
    """Write a trained model in further formats, with `exports.json` and `SHA256SUMS`.

    Args:
        model_dir: Output of the Trainer, a local folder or `gs://` URI.
        destination: Local folder or `gs://` URI; made where it does not exist.
        train_files: Patterns of the files that the model was trained on; the longest row is one of
            the texts that the formats are compared on.
        formats: A folder is written for each; see `TrainHParams.exports`.
        gguf_type: Precision of the matrices in a GGUF file.

    Returns:
        The formats that were written.

    Raises:
        ModelError: The Model is damaged, a format cannot hold it, or what was written is another
            model.
    """
    check_files(model_dir, artifact_files.GENERATION, artifact_files.PRESET_FOLDER)
    with tf.io.gfile.GFile(os.path.join(model_dir, artifact_files.GENERATION), "r") as file:
        generation = file.read()
    training = read_training_record(model_dir)
    # Records without versions were written before there was a second backend.
    check_backend(training.versions.get("backend", "tensorflow"))
    template = ChatTemplate.from_json(generation)
    with local_copy(os.path.join(model_dir, artifact_files.PRESET_FOLDER)) as preset:
        model = load_model(preset, _stored_dtype(training))
    check_formats(model, formats)
    length = PromptFormat.model_validate_json(generation).sequence_length
    texts = data.read_texts(train_files)
    rows = data.tokenize(texts, model.preprocessor.tokenizer, length, template).rows
    export(
        model,
        destination,
        Verifier(model, template, rows),
        formats=formats,
        gguf_type=gguf_type,
        sequence_length=length,
    )
    free_memory()
    return list(formats)


def export(
    model: CausalLM,
    destination: str,
    verifier: Verifier,
    *,
    formats: Sequence[str],
    gguf_type: GgufType,
    sequence_length: int,
) -> dict[str, dict[str, object]]:
    """Write a model in further formats; nothing is written unless all are the same model.

    Args:
        model: One without LoRA: the factors would be left out.
        destination: Local folder or `gs://` URI; made where it does not exist.
        verifier: Of the model.
        formats: See `TrainHParams.exports`.
        gguf_type: Precision of the matrices in a GGUF file.
        sequence_length: Maximum tokens of a training row.

    Returns:
        By format, how it compares with the model; see `Verification`.

    Raises:
        ModelError: What was written is another model, or the family has no such export.
    """
    found: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for done, name in enumerate(formats):
            numbers = {"done": done, "total": len(formats), "unit": "formats"}
            progress.info("exporting to %s", name, extra={"progress": numbers})
            verification = _write(
                model, folder / name, verifier, gguf_type=gguf_type, length=sequence_length
            )
            found[name] = verification.to_json()
        (folder / artifact_files.EXPORTS).write_text(json.dumps(found, indent=2), encoding="utf-8")
        write_checksums(folder)
        copy_folder(folder, destination)
    return found


def _write(
    model: CausalLM, folder: Path, verifier: Verifier, *, gguf_type: GgufType, length: int
) -> Verification:
    if folder.name == TRANSFORMERS_DIR:
        export_transformers(model, folder, verifier.template)
        return verify_transformers(folder, verifier)
    if folder.name == SAVED_MODEL_DIR:
        export_saved_model(model, folder, verifier, max_output_tokens=length)
        return verify_saved_model(folder, model.preprocessor.tokenizer, verifier)
    export_gguf(model, folder, verifier.template, gguf_type=gguf_type, sequence_length=length)
    return verify_gguf(folder, gguf_type, verifier)


def _stored_dtype(training: TrainingRecord) -> str:
    """Return the precision of the preset: an optimizer of all weights needs them in float32."""
    return training.dtype if training.is_lora else "float32"
