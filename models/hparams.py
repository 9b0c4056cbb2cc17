"""The Trainer's hyperparameters, one frozen object; it imports nothing heavy."""

from typing import Literal

import pydantic
from pydantic import Field


class TrainHParams(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a model is fine-tuned.

    Attributes:
        preset: The base model: `packaged:gemma3-270m` (the weights of the `demo` lock),
            `gguf:PATH`, `random:gemma3-tiny` (for tests), or whatever KerasHub's `from_preset`
            takes: a built-in name, a folder, `hf://…`, `kaggle://…`.
        dtype: Precision of the base weights; LoRA weights are always float32. `auto` is bfloat16
            where the machine is fast at it (a GPU, AMX or AVX512-BF16), else float32.
        sequence_length: Tokens of a row at most; longer rows are left out, counted and reported.
        lora_rank: Rank of the LoRA factors on the attention's query and value projections.
        batch_size: Rows of a step.
        epochs: Passes over the training rows.
        max_steps: Steps at most, whatever the epochs say; None for no limit.
        learning_rate: Peak learning rate of AdamW.
        warmup_fraction: Share of the steps with a linearly rising learning rate, 0 to 1; a cosine
            falls to 5 % of the peak afterwards.
        weight_decay: Of AdamW.
        clip_norm: Gradients are scaled down to this global norm.
        eval_batches: Batches of the `eval` split that the eval loss is measured on at most.
        seed: Seed number of the LoRA initialization and of the order of the rows.
        cache_dir: Folder for converted presets.
    """

    preset: str
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    sequence_length: int = Field(512, ge=16, le=131072)
    lora_rank: int = Field(8, ge=1, le=512)
    batch_size: int = Field(4, ge=1, le=4096)
    epochs: int = Field(2, ge=1, le=1000)
    max_steps: int | None = Field(None, ge=1)
    learning_rate: float = Field(2e-3, gt=0, le=1)
    warmup_fraction: float = Field(0.1, ge=0, le=1)
    weight_decay: float = Field(0.0, ge=0, le=1)
    clip_norm: float = Field(1.0, gt=0)
    eval_batches: int = Field(8, ge=0)
    seed: int = Field(0, ge=0)
    cache_dir: str = ".cache"
