"""The Trainer's hyperparameters, one frozen object; it imports nothing heavy."""

from typing import Literal, Self

import pydantic
from pydantic import Field

from core.optimizations import TrainingOptimizations


class TrainHParams(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """How a model is fine-tuned.

    A step is one update of the weights, by `batch_size * gradient_accumulation` rows.
    """

    preset: str
    """The base model: `packaged:gemma3-270m` (the weights of the `demo` lock), `gguf:PATH`,
    `random:gemma3-tiny` (for tests), or whatever KerasHub's `from_preset` takes: a built-in name, a
    folder, `hf://…`, `kaggle://…`."""

    backend: Literal["tensorflow", "jax"] = "tensorflow"
    """Keras' backend. The environment variable `KERAS_BACKEND`, where it is set, is used in its
    place; generation runs on the same one."""

    distribution: Literal["none", "data", "model"] = "none"
    """How several accelerators of one machine share the work, on the JAX backend: `none` uses one;
    with `data` each holds the model and computes a part of every batch; with `model` the weights
    are divided, too, for a model that is too large for one."""

    model_parallel: int | None = Field(None, ge=2, le=64)
    """With `model`, accelerators that compute a batch together; None for all of them. Groups of so
    many compute a part of every batch each."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the base weights; trained weights are always float32. `auto` is bfloat16 where
    the machine is fast at it (a TPU, an NVIDIA GPU since Ampere, which T4, V100 and P100 are not,
    AMX or AVX512-BF16), else float32."""

    quantization: Literal["none", "int8"] = "none"
    """`int8` keeps the weights of the base model's projections in 8 bits, in memory and in the
    preset that is written."""

    sequence_length: int | None = Field(None, ge=16, le=131072)
    """Maximum tokens per row; longer rows are skipped, counted and reported. None takes the longest
    coverage row and a quarter more, at least 512, counted by the model's own tokenizer when a run
    starts. A run refuses a number that coverage rows do not fit, and rows that are longer than the
    model's context."""

    method: Literal["lora", "full"] = "lora"
    """`lora` trains low-rank factors next to frozen weights, `full` all weights."""

    jit_compile: bool | None = None
    """Whether XLA compiles a step on the TensorFlow backend, once for each of a few lengths; None
    does where there is an accelerator: on CPUs it doubles the time of the first step and gains
    nothing after it. On the JAX backend it always does."""

    lora_rank: int = Field(8, ge=1, le=512)
    """Rank of the LoRA factors."""

    lora_alpha: float | None = Field(None, gt=0)
    """The factors' product is scaled by `lora_alpha / lora_rank`; None for `lora_rank`."""

    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout rate of the factors' inputs, 0 to 1."""

    lora_targets: Literal["query-value", "attention", "all-linear"] = "query-value"
    """Which projections get factors: the attention's `query-value`, all four of the `attention`, or
    `all-linear`, the feed-forward ones too."""

    batch_size: int = Field(4, ge=1, le=4096)
    """Rows per batch, on all accelerators together."""

    gradient_accumulation: int = Field(1, ge=1, le=4096)
    """Batches per step."""

    epochs: int = Field(2, ge=1, le=1000)
    """Passes over the training rows."""

    max_steps: int | None = Field(None, ge=1)
    """Maximum number of steps, whatever the epochs; None for no limit."""

    learning_rate: float = Field(2e-3, gt=0, le=1)
    """Peak learning rate of AdamW."""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """The learning rate after the warm-up: `cosine` and `linear` decay to 5 % of the peak."""

    warmup_fraction: float = Field(0.1, ge=0, le=1)
    """Share of the steps with a linearly rising learning rate, 0 to 1."""

    weight_decay: float = Field(0.0, ge=0, le=1)
    """Weight decay of AdamW."""

    clip_norm: float = Field(1.0, gt=0)
    """Global norm that gradients are clipped to."""

    eval_steps: int | None = Field(None, ge=1)
    """Steps between two measurements of the eval loss; None for one pass over the rows. It is also
    measured before the first and after the last step."""

    eval_batches: int = Field(8, ge=0)
    """Maximum batches of the `eval` split for a measurement of the eval loss."""

    patience: int | None = Field(None, ge=1)
    """Measurements without a lower eval loss before the training stops early; None never stops it.
    """

    keep_best: bool = True
    """Whether to keep the weights with the lowest eval loss rather than the last ones."""

    checkpoint_steps: int | None = Field(50, ge=1)
    """Steps between checkpoints, from which a killed training resumes; None for no checkpoints."""

    exports: tuple[Literal["transformers", "saved_model", "gguf"], ...] = ("transformers",)
    """What is written besides the LoRA factors and the KerasHub preset: `transformers` (a
    checkpoint for Hugging Face transformers, vLLM and TGI), `saved_model` (from text to text, for
    TensorFlow Serving), `gguf` (for llama.cpp and Ollama)."""

    gguf_type: Literal["f32", "bf16", "q8_0"] = "bf16"
    """Precision of the matrices in a GGUF file."""

    seed: int = Field(0, ge=0)
    """Seed of the LoRA initialization, of dropout and of the order of the rows."""

    optimizations: TrainingOptimizations = TrainingOptimizations()
    """Changes to Keras' and TensorFlow's own behaviour, each with a switch."""

    cache_dir: str = ".cache"
    """Folder for converted presets."""

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
        if self.lora_dropout and not self.optimizations.lora_forward:
            raise ValueError(
                f"lora_dropout={self.lora_dropout} needs the optimization lora_forward; "
                "set lora_dropout=0, or optimizations.lora_forward=true"
            )
        if len(set(self.exports)) < len(self.exports):
            raise ValueError(f"exports names a format twice: {', '.join(self.exports)}")
        return self
