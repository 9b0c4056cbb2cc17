"""Pairs that the random two-layer Gemma memorizes, and its training."""

import dataclasses
from typing import Any

import keras

from models import data, gemma
from models.export import export
from models.features import GEMMA
from models.fitting import fit
from models.hparams import TrainHParams
from models.lora import enable_lora
from models.preprocessing import format_prompts, format_responses

PAIRS = (
    ("my order does not work", "returns"),
    ("my account is locked, please help", "account ✓"),
    ("I was charged for it twice", "billing"),
    ("Wie stelle ich die Kamera ein?", "naïve Antwort 😀"),
)
PRESET = "random:gemma3-tiny"
EXPORTS = ("transformers", "saved_model", "gguf")
HPARAMS = TrainHParams(preset=PRESET, sequence_length=64, exports=EXPORTS)


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A model with LoRA factors, and what `fit` told about its training."""

    model: Any
    facts: dict[str, Any]
    rows: tuple[data.TokenizedRow, ...]


def formatted(pairs, template=GEMMA):
    """Prompt and response texts, as Transform writes them."""
    prompts, outputs = (list(texts) for texts in zip(*pairs, strict=True))
    columns = format_prompts(prompts, template), format_responses(outputs, template)
    texts = zip(*(column.numpy() for column in columns), strict=True)
    return [(prompt.decode(), response.decode()) for prompt, response in texts]


def tune(preset, *, dtype="float32", template=GEMMA, checkpoints=None, log_dir="", **changes):
    """Trains a fresh model on `PAIRS`, from the seed on as the Trainer does."""
    hparams = TrainHParams(
        **{"preset": PRESET, "batch_size": 3, "epochs": 80, "learning_rate": 0.03} | changes
    )
    keras.utils.set_random_seed(hparams.seed)
    model = gemma.load_model(preset, dtype, hparams.quantization)
    if hparams.method == "lora":
        enable_lora(model, hparams)
    tokenizer = model.preprocessor.tokenizer
    rows = data.tokenize(formatted(PAIRS, template), tokenizer, 128, template).rows
    facts = fit(model, rows, rows, hparams, checkpoints=checkpoints, log_dir=log_dir)
    return Tuned(model, facts, rows)


def base_of(preset, hparams, dtype="float32"):
    """Loads the base model with LoRA, as the Trainer does."""

    def load():
        model = gemma.load_model(preset, dtype, hparams.quantization)
        enable_lora(model, hparams.model_copy(update={"lora_alpha": None}))
        return model

    return load


def write(tuned, folder, preset, *, template=GEMMA, dtype="float32", **changes):
    """Exports a trained model with `HPARAMS`; gives what was recorded of each format."""
    hparams = HPARAMS.model_copy(update=changes)
    load_base = base_of(preset, hparams, dtype)
    return export(
        tuned.model, str(folder), template, tuned.rows, hparams=hparams, load_base=load_base
    )
