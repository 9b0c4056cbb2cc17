"""Pairs that the random two-layer Gemma memorizes, and its training."""

import dataclasses
from typing import Any

import keras

from models import data, gemma
from models.hparams import TrainHParams
from models.preprocessing import format_prompts, format_responses
from models.trainer import fit

PAIRS = (
    ("my order does not work", "returns"),
    ("my account is locked, please help", "account ✓"),
    ("I was charged for it twice", "billing"),
    ("Wie stelle ich die Kamera ein?", "naïve Antwort 😀"),
)
PRESET = "random:gemma3-tiny"


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A model with LoRA factors, and what `fit` told about its training."""

    model: Any
    facts: dict[str, Any]
    rows: tuple[data.TokenizedRow, ...]


def formatted(pairs):
    """Prompt and response texts, as Transform writes them."""
    prompts, outputs = (list(texts) for texts in zip(*pairs, strict=True))
    texts = zip(format_prompts(prompts).numpy(), format_responses(outputs).numpy(), strict=True)
    return [(prompt.decode(), response.decode()) for prompt, response in texts]


def tune(preset, *, dtype="float32", **changes):
    """Trains a fresh model on `PAIRS`, from the seed on as the Trainer does."""
    hparams = TrainHParams(
        **{"preset": PRESET, "batch_size": 3, "epochs": 80, "learning_rate": 0.03} | changes
    )
    keras.utils.set_random_seed(hparams.seed)
    model = gemma.load_model(preset, dtype)
    gemma.enable_lora(model, hparams.lora_rank)
    rows = data.tokenize(formatted(PAIRS), model.preprocessor.tokenizer, 64).rows
    return Tuned(model, fit(model, rows, rows, hparams), rows)
