"""The settings of ResponseGen; where they are written down is left to the pipeline's presets."""

from typing import Literal, Self

import pydantic
from pydantic import Field


class GenerationSettings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How a model answers the coverage prompts.

    Attributes:
        max_output_tokens: Tokens of a response at most; a longer one is cut and marked `length`.
        batch_size: Prompts answered at once.
        samples: Responses for each prompt.
        temperature: Sampling temperature; 0 always takes the likeliest token.
        seed: Seed number of the sampling; unused at temperature 0.
        dtype: Precision of the weights; `auto` is bfloat16 where the machine is fast at it.
        distribution: How several accelerators of one machine share the work, on Keras' JAX backend:
            `none` uses one; with `data` each holds the model and answers a part of every batch;
            with `model` the weights are divided, too, for a model that is too large for one.
        model_parallel: With `model`, accelerators that answer a batch together; None for all.
        few_shot: Seed pairs put before each prompt, for a model that was not tuned; 0 for none.
        instruction: Put before the seed pairs; unused without them.
        cache_dir: Folder for converted presets, shared with the Trainer.
    """

    max_output_tokens: int = Field(default=64, ge=1, le=8192)
    batch_size: int = Field(default=8, ge=1, le=1024)
    samples: int = Field(default=1, ge=1, le=32)
    temperature: float = Field(default=0.0, ge=0, le=2)
    seed: int = 0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    distribution: Literal["none", "data", "model"] = "none"
    model_parallel: int | None = Field(default=None, ge=2, le=64)
    few_shot: int = Field(default=0, ge=0, le=32)
    instruction: str = ""
    cache_dir: str = ".cache"

    @pydantic.model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.samples} samples at temperature 0 would all be the same; "
                "set temperature above 0 or samples to 1"
            )
        return self
