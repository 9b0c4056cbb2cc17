"""The Trainer's hyperparameters, one frozen object; it imports nothing heavy."""

from typing import Literal, Self

import pydantic
from pydantic import Field


class TrainHParams(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a model is fine-tuned.

    A step is one update of the weights, by `batch_size * gradient_accumulation` rows.

    Attributes:
        preset: The base model: `packaged:gemma3-270m` (the weights of the `demo` lock),
            `gguf:PATH`, `random:gemma3-tiny` (for tests), or whatever KerasHub's `from_preset`
            takes: a built-in name, a folder, `hf://…`, `kaggle://…`.
        backend: Keras' backend. The environment variable `KERAS_BACKEND`, where it is set, is used
            in its place; generation runs on the same one.
        distribution: How several accelerators of one machine share the work, on the JAX backend:
            `none` uses one; with `data` each holds the model and computes a part of every batch;
            with `model` the weights are divided, too, for a model that is too large for one.
        model_parallel: With `model`, accelerators that compute a batch together; None for all of
            them. Groups of so many compute a part of every batch each.
        dtype: Precision of the base weights; trained weights are always float32. `auto` is bfloat16
            where the machine is fast at it (a GPU, AMX or AVX512-BF16), else float32.
        quantization: `int8` keeps the weights of the base model's projections in 8 bits, in memory
            and in the preset that is written.
        sequence_length: Tokens of a row at most; longer rows are left out, counted and reported.
        method: `lora` trains low-rank factors beside frozen weights, `full` all weights.
        lora_rank: Rank of the LoRA factors.
        lora_alpha: The factors' product counts `lora_alpha / lora_rank`; None for `lora_rank`.
        lora_dropout: Share of a projection's inputs that its factors do not see in a step, 0 to 1.
        lora_targets: Which projections get factors: the attention's `query-value`, all four of the
            `attention`, or `all-linear`, the feed-forward ones too.
        batch_size: Rows that are computed at once, on all accelerators together.
        gradient_accumulation: Batches of a step.
        epochs: Passes over the training rows.
        max_steps: Steps at most, whatever the epochs say; None for no limit.
        learning_rate: Peak learning rate of AdamW.
        schedule: How the learning rate goes on after the warm-up: `cosine` and `linear` fall to 5 %
            of the peak.
        warmup_fraction: Share of the steps with a linearly rising learning rate, 0 to 1.
        weight_decay: Of AdamW.
        clip_norm: Gradients are scaled down to this global norm.
        eval_steps: Steps from one measurement of the eval loss to the next; None for one pass over
            the rows. It is also measured before the first and after the last step.
        eval_batches: Batches of the `eval` split that the eval loss is measured on at most.
        patience: Measurements without a lower eval loss before the training stops early; None never
            stops it.
        keep_best: Whether the weights with the lowest eval loss are kept rather than the last ones.
        checkpoint_steps: Steps between checkpoints that a killed training goes on from; None for
            no checkpoints.
        exports: What is written besides the LoRA factors and the KerasHub preset: `transformers`
            (a checkpoint for Hugging Face transformers, vLLM and TGI), `saved_model` (from text to
            text, for TensorFlow Serving), `gguf` (for llama.cpp and Ollama).
        gguf_type: Precision of the matrices in a GGUF file.
        seed: Seed number of the LoRA initialization, of dropout and of the order of the rows.
        cache_dir: Folder for converted presets.
    """

    preset: str
    backend: Literal["tensorflow", "jax"] = "tensorflow"
    distribution: Literal["none", "data", "model"] = "none"
    model_parallel: int | None = Field(None, ge=2, le=64)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    quantization: Literal["none", "int8"] = "none"
    sequence_length: int = Field(512, ge=16, le=131072)
    method: Literal["lora", "full"] = "lora"
    lora_rank: int = Field(8, ge=1, le=512)
    lora_alpha: float | None = Field(None, gt=0)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    lora_targets: Literal["query-value", "attention", "all-linear"] = "query-value"
    batch_size: int = Field(4, ge=1, le=4096)
    gradient_accumulation: int = Field(1, ge=1, le=4096)
    epochs: int = Field(2, ge=1, le=1000)
    max_steps: int | None = Field(None, ge=1)
    learning_rate: float = Field(2e-3, gt=0, le=1)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_fraction: float = Field(0.1, ge=0, le=1)
    weight_decay: float = Field(0.0, ge=0, le=1)
    clip_norm: float = Field(1.0, gt=0)
    eval_steps: int | None = Field(None, ge=1)
    eval_batches: int = Field(8, ge=0)
    patience: int | None = Field(None, ge=1)
    keep_best: bool = True
    checkpoint_steps: int | None = Field(50, ge=1)
    exports: tuple[Literal["transformers", "saved_model", "gguf"], ...] = ("transformers",)
    gguf_type: Literal["f32", "bf16", "q8_0"] = "bf16"
    seed: int = Field(0, ge=0)
    cache_dir: str = ".cache"

    @pydantic.model_validator(mode="after")
    def _is_distributable(self) -> Self:
        if self.distribution != "none" and self.backend != "jax":
            raise ValueError(
                f"distribution {self.distribution!r} needs Keras' JAX backend; set backend=jax, or "
                "distribution=none"
            )
        if self.model_parallel and self.distribution != "model":
            raise ValueError(
                f"model_parallel={self.model_parallel} divides the weights; set distribution=model"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _is_trainable(self) -> Self:
        if self.method == "full" and self.quantization != "none":
            raise ValueError(
                f"method 'full' cannot train {self.quantization} weights; "
                "set quantization=none, or method=lora"
            )
        if self.exports and self.quantization != "none":
            raise ValueError(
                f"{' and '.join(self.exports)} cannot hold Keras' {self.quantization} weights; "
                "set exports=[], or quantization=none"
            )
        if len(set(self.exports)) < len(self.exports):
            raise ValueError(f"exports names a format twice: {', '.join(self.exports)}")
        return self
