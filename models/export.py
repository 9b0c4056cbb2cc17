"""What a trained model is written as: each format loaded again and compared before it is kept."""

import gc
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from models import data, gemma
from models.checksums import write_checksums
from models.features import GENERATION_FILE, TurnTemplate
from models.gguf_export import export_gguf
from models.hparams import TrainHParams
from models.llama_cpp import check_llama_cpp, verify_gguf
from models.lora import is_lora_enabled, save_adapter
from models.saved_model_export import check_saved_model, export_saved_model, verify_saved_model
from models.transformers_export import export_transformers, verify_transformers
from models.transformers_weights import check_family
from models.verification import Verification, Verifier, refusal

ADAPTER = "adapter"
ADAPTER_FILE = "adapter.lora.h5"
PRESET_DIR = "preset"
TRANSFORMERS_DIR = "transformers"
SAVED_MODEL_DIR = "saved_model"
GGUF_DIR = "gguf"
TRAINING_FILE = "training.json"


def check_exports(model: Any, hparams: TrainHParams) -> None:
    """Raise unless the model can be written in all wanted formats: better before the training.

    Args:
        model: The model that is going to be trained.
        hparams: Its `exports` are checked.

    Raises:
        ModelError: It cannot.
    """
    for name in {"transformers", "gguf"}.intersection(hparams.exports):
        check_family(model.backbone, name)
    if "saved_model" in hparams.exports:
        check_saved_model(model.preprocessor)
    if "gguf" in hparams.exports:
        check_llama_cpp()


def export(
    model: Any,
    destination: str,
    template: TurnTemplate,
    rows: Sequence[data.TokenizedRow],
    *,
    hparams: TrainHParams,
    load_base: Callable[[], Any],
) -> dict[str, dict[str, Any]]:
    """Write the LoRA factors, the merged preset, further formats, the prompt format and checksums.

    What was written is loaded again and has to give the logits and the greedy tokens of the model
    in memory.

    Args:
        model: A KerasHub causal language model, with LoRA enabled or without.
        destination: Local folder or `gs://` URI; made where it does not exist.
        template: How the model is prompted.
        rows: Rows of the training.
        hparams: What the model was trained with; `exports` names the further formats.
        load_base: Loads the base model with LoRA enabled, where `model` has it.

    Returns:
        By the name of an export, how it compares with the model in memory; see `Verification`.

    Raises:
        ModelError: What was written is another model, or the family has no such export.
    """
    # Keras writes HDF5 to local files only.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        verifier = Verifier(model, template, rows)
        found = {}
        if is_lora_enabled(model):
            save_adapter(model, str(folder / ADAPTER_FILE))
            found[ADAPTER] = _verify_adapter(folder / ADAPTER_FILE, load_base, verifier)
        model.save_to_preset(str(folder / PRESET_DIR))
        merged = gemma.load_model(str(folder / PRESET_DIR), verifier.dtype)
        found[PRESET_DIR] = _verify_preset(merged, verifier)
        for name in hparams.exports:
            found[name] = _WRITERS[name](merged, folder / name, verifier, hparams)
        text = template.to_json(sequence_length=hparams.sequence_length)
        (folder / GENERATION_FILE).write_text(text, encoding="utf-8")
        write_checksums(folder)
        _copy(folder, destination)
    return {name: verification.to_json() for name, verification in found.items()}


def _verify_adapter(file: Path, load_base: Callable[[], Any], verifier: Verifier) -> Verification:
    base = load_base()
    base.backbone.load_lora_weights(str(file))
    verification = verifier.compare_model(ADAPTER, base.backbone)
    del base
    gc.collect()
    return verification


def _verify_preset(model: Any, verifier: Verifier) -> Verification:
    texts = [str(prompt.formatted) for prompt in verifier.fixed]
    start = int(model.preprocessor.tokenizer.start_token_id)
    tokens = [(start, *ids) for ids in data.encode(texts, model.preprocessor.tokenizer)]
    if tokens != [prompt.tokens for prompt in verifier.fixed]:
        raise refusal(PRESET_DIR, "come with a tokenizer that splits a prompt into other tokens")
    return verifier.compare_model(PRESET_DIR, model.backbone)


def _transformers(
    model: Any, folder: Path, verifier: Verifier, hparams: TrainHParams
) -> Verification:
    export_transformers(model, folder, verifier.template)
    return verify_transformers(folder, verifier)


def _saved_model(
    model: Any, folder: Path, verifier: Verifier, hparams: TrainHParams
) -> Verification:
    export_saved_model(model, folder, verifier, max_output_tokens=hparams.sequence_length)
    return verify_saved_model(folder, model.preprocessor.tokenizer, verifier)


def _gguf(model: Any, folder: Path, verifier: Verifier, hparams: TrainHParams) -> Verification:
    export_gguf(
        model,
        folder,
        verifier.template,
        gguf_type=hparams.gguf_type,
        sequence_length=hparams.sequence_length,
    )
    return verify_gguf(folder, hparams.gguf_type, verifier)


_WRITERS: dict[str, Callable[[Any, Path, Verifier, TrainHParams], Verification]] = {
    TRANSFORMERS_DIR: _transformers,
    SAVED_MODEL_DIR: _saved_model,
    GGUF_DIR: _gguf,
}


def _copy(folder: Path, destination: str) -> None:
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        target = os.path.join(destination, str(file.relative_to(folder)))
        tf.io.gfile.makedirs(os.path.dirname(target))
        tf.io.gfile.copy(str(file), target, overwrite=True)
