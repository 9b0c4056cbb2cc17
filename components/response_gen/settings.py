"""The settings of ResponseGen."""

from typing import Literal, Self

import pydantic
from pydantic import Field

from core.optimizations import GenerationOptimizations


class GenerationSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """How a model answers the coverage prompts."""

    max_output_tokens: int | None = Field(default=None, ge=1, le=8192)
    """Maximum tokens per response; a longer one is cut and marked `length`. None takes the longest
    output of the coverage rows and a quarter more, counted by the model's own tokenizer when a run
    starts. A run refuses a number that these outputs do not fit."""

    batch_size: int = Field(default=8, ge=1, le=1024)
    """Prompts answered at once."""

    samples: int = Field(default=1, ge=1, le=32)
    """Responses for each prompt."""

    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; 0 always takes the likeliest token."""

    seed: int = 0
    """Seed of the sampling; unused at temperature 0."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the weights; `auto` is bfloat16 where the machine is fast at it."""

    distribution: Literal["none", "data", "model"] = "none"
    """How several accelerators of one machine share the work, on Keras' JAX backend: `none` uses
    one; with `data` each holds the model and answers a part of every batch; with `model` the
    weights are divided, too, for a model that is too large for one."""

    model_parallel: int | None = Field(default=None, ge=2, le=64)
    """With `model`, accelerators that answer a batch together; None for all."""

    few_shot: int = Field(default=0, ge=0, le=32)
    """Seed pairs put before each prompt, for a model that was not tuned; 0 for none."""

    max_example_tokens: int = Field(default=8000, ge=100)
    """Budget of tokens for these pairs, as estimated; one pair is shown whatever its
    length."""

    instruction: str = ""
    """Put before the seed pairs; unused without them."""

    cache_dir: str = ".cache"
    """Folder for converted presets, shared with the Trainer."""

    optimizations: GenerationOptimizations = GenerationOptimizations()
    """Changes to Keras' and TensorFlow's own behaviour, each with a switch."""

    @pydantic.model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.samples} samples at temperature 0 would all be the same; "
                "set temperature above 0 or samples to 1"
            )
        return self
