"""Pairs that the random two-layer Gemma memorizes, and its training."""

import dataclasses
from typing import Any

import keras

from core.families import GEMMA
from models import data
from models.export.exports import export
from models.export.trained_model import write_trained_model
from models.export.verification import Verifier
from models.hparams import TrainHParams
from models.loading.load import load_model
from models.preprocessing import format_prompts, format_responses
from models.training.loop import fit
from models.training.lora import enable_lora

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
    """Trains a fresh model on `PAIRS`, from the seed on as the Trainer does.

    Its eval loss is measured before, after 80 steps and at the end: after each of 80 passes it
    takes four times as long as the steps.
    """
    hparams = TrainHParams(
        **{
            "preset": PRESET,
            "batch_size": 3,
            "epochs": 80,
            "learning_rate": 0.03,
            "eval_steps": 80,
        }
        | changes
    )
    keras.utils.set_random_seed(hparams.seed)
    model = load_model(preset, dtype, hparams.quantization, hparams.optimizations)
    if hparams.method == "lora":
        enable_lora(model, hparams)
    tokenizer = model.preprocessor.tokenizer
    rows = data.tokenize(formatted(PAIRS, template), tokenizer, 128, template).rows
    facts = fit(model, rows, rows, hparams, checkpoints=checkpoints, log_dir=log_dir)
    return Tuned(model, facts, rows)


def base_of(preset, hparams, dtype="float32"):
    """Loads the base model with LoRA, as the Trainer does."""

    def load():
        model = load_model(preset, dtype, hparams.quantization)
        enable_lora(model, hparams.model_copy(update={"lora_alpha": None}))
        return model

    return load


def write(tuned, folder, preset, *, template=GEMMA, dtype="float32", **changes):
    """Writes a trained model as the Trainer does, and its formats below `exports`.

    Gives what was recorded of each.
    """
    hparams = HPARAMS.model_copy(update=changes)
    length = hparams.sequence_length
    record = write_trained_model(
        tuned.model,
        str(folder),
        template,
        tuned.rows,
        sequence_length=length,
        load_base=base_of(preset, hparams, dtype),
    )
    merged = load_model(str(folder / "preset"), dtype)
    return record | export(
        merged,
        str(folder / "exports"),
        Verifier(merged, template, tuned.rows),
        formats=hparams.exports,
        gguf_type=hparams.gguf_type,
        sequence_length=length,
    )
