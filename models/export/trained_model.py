"""Writes a trained model: LoRA factors and a KerasHub preset, each loaded and compared."""

import gc
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_hub.models import CausalLM

from core import artifact_files
from core.family import ChatTemplate
from core.optimizations import LoadingOptimizations
from models import data
from models.checksums import write_checksums
from models.export.support import TRANSFORMERS_VERSION
from models.export.verification import Verification, Verifier
from models.files import copy_folder
from models.loading.load import ALL_ON, load_model
from models.training.lora import is_lora_enabled, save_adapter

ADAPTER = "adapter"


def write_trained_model(
    model: CausalLM,
    destination: str,
    template: ChatTemplate,
    rows: Sequence[data.TokenizedRow],
    *,
    sequence_length: int,
    load_base: Callable[[], CausalLM],
    optimizations: LoadingOptimizations = ALL_ON,
) -> dict[str, dict[str, object]]:
    """Write the LoRA factors, the merged preset, the chat template, and checksums.

    What was written is loaded again and has to give the logits and the greedy tokens of the model
    in memory.

    Args:
        model: The trained model, with LoRA enabled or without.
        destination: Local folder or `gs://` URI; made where it does not exist.
        template: How the model is prompted.
        rows: Rows of the training.
        sequence_length: Maximum tokens of a row.
        load_base: Loads the base model with LoRA enabled, where `model` has it.
        optimizations: Of the loading.

    Returns:
        By what was written, how it compares with the model in memory; see `Verification`.

    Raises:
        ModelError: What was written is another model.
    """
    # Keras writes HDF5 to local files only.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        verifier = Verifier(model, template, rows)
        found = {}
        if is_lora_enabled(model):
            save_adapter(model, str(folder / artifact_files.ADAPTER))
            found[ADAPTER] = _verify_adapter(folder / artifact_files.ADAPTER, load_base, verifier)
        model.save_to_preset(str(folder / artifact_files.PRESET_FOLDER))
        _add_version(folder / artifact_files.PRESET_FOLDER / "config.json")
        merged = load_model(
            str(folder / artifact_files.PRESET_FOLDER), verifier.dtype, optimizations=optimizations
        )
        found[artifact_files.PRESET_FOLDER] = _verify_preset(merged, verifier)
        text = template.to_json(sequence_length=sequence_length)
        (folder / artifact_files.GENERATION).write_text(text, encoding="utf-8")
        write_checksums(folder)
        copy_folder(folder, destination)
    return {name: verification.to_json() for name, verification in found.items()}


def _add_version(config: Path) -> None:
    """Say for transformers, which reads the file at a repository's root, that all is well."""
    values = json.loads(config.read_text(encoding="utf-8"))
    values["transformers_version"] = TRANSFORMERS_VERSION
    config.write_text(json.dumps(values, indent=4), encoding="utf-8")


def _verify_adapter(
    file: Path, load_base: Callable[[], CausalLM], verifier: Verifier
) -> Verification:
    base = load_base()
    base.backbone.load_lora_weights(str(file))
    verification = verifier.compare_model(ADAPTER, base.backbone)
    del base
    gc.collect()
    return verification


def _verify_preset(model: CausalLM, verifier: Verifier) -> Verification:
    texts = [str(prompt.formatted) for prompt in verifier.fixed]
    tokenizer = model.preprocessor.tokenizer
    start, name = data.start_tokens(tokenizer), artifact_files.PRESET_FOLDER
    verifier.check_tokens(name, [(*start, *ids) for ids in data.encode(texts, tokenizer)])
    return verifier.compare_model(name, model.backbone)
