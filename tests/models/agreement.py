"""A model, LoRA factors and a batch that are the same wherever they are made."""

from typing import Any

import numpy as np

from models import data
from models.hparams import TrainHParams
from models.loading.load import load_model, resolve_preset
from models.training.lora import enable_lora

EXPORTED = (
    "gemma3-tiny",
    "gemma2-tiny",
    "gemma-tiny",
    "mistral-tiny",
    "llama2-tiny",
    "llama3-tiny",
)
FAMILIES = ("gemma3-tiny", "gemma2-tiny", "gemma-tiny", "mistral-tiny")
# KerasHub factors the query of each head by itself, so its factors are not PEFT's. The value of a
# model with one key-value head is the same product in both.
RANK, ALPHA = 4, 6.0


def seeded_model(name: str, cache_dir: str) -> Any:
    """A tiny model with weights from numpy's generator, which does not depend on the backend."""
    model = load_model(resolve_preset(f"random:{name}", cache_dir), "float32")
    rng = np.random.default_rng(7)
    for variable in model.backbone.variables:
        variable.assign(rng.normal(0, 0.08, variable.shape))
    return model


def rows() -> tuple[data.TokenizedRow, ...]:
    """Rows of different lengths, so that a batch of them is padded."""
    rng = np.random.default_rng(8)
    return tuple(
        data.TokenizedRow((2, *(int(t) for t in rng.integers(4, 300, length))), start)
        for length, start in ((30, 20), (17, 5), (23, 22))
    )


def factors(shapes: list[tuple[int, ...]]) -> list[Any]:
    """LoRA factors, neither of them zero."""
    rng = np.random.default_rng(9)
    return [rng.normal(0, 0.1, shape).astype("float32") for shape in shapes]


def with_value_factors(model: Any) -> list[Any]:
    """Put LoRA on the value projections only; returns the factors' variables, layer by layer."""
    hparams = TrainHParams(preset="-", lora_rank=RANK, lora_alpha=ALPHA)
    enable_lora(model, hparams)
    variables = []
    for variable in model.backbone.trainable_variables:
        if "value" in variable.path:
            variables.append(variable)
        else:
            variable.assign(np.zeros(variable.shape))
    for variable, values in zip(variables, factors([v.shape for v in variables]), strict=True):
        variable.assign(values)
    return variables


def with_random_factors(name: str, cache_dir: str, **changes: Any) -> Any:
    """A tiny model with LoRA of rank 3 on queries and values, no factor of which is zero."""
    hparams = TrainHParams(preset="-", lora_rank=3, exports=(), **changes)
    preset = resolve_preset(f"random:{name}", cache_dir)
    model = load_model(preset, "float32", hparams.quantization)
    enable_lora(model, hparams)
    rng = np.random.default_rng(0)
    for variable in model.backbone.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


def batch(model: Any) -> tuple[Any, Any, Any]:
    """Inputs, labels and weights of one step of all `rows`, in a model's vocabulary."""
    inputs, labels = next(data.batches(rows(), 3, None))
    inputs["token_ids"] %= model.backbone.vocabulary_size
    labels %= model.backbone.vocabulary_size
    [weights] = data.label_weights([labels])
    return inputs, labels, weights
