"""The settings of SynthDataGen; where they are written down is left to the pipeline's presets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pydantic
import yaml
from pydantic import BeforeValidator, Field

from components.synth_data_gen.schemas import AttributeSets


def read_attributes(value: Any) -> Any:
    """What an `attributes.yaml` holds where a path is given; those that are left out are open.

    It is read when the configuration is: so a round gets the values themselves, which TFX's cache
    and a machine elsewhere know of, and not the name of a file.
    """
    content = _content(value) if isinstance(value, str) else value
    if not isinstance(content, Mapping):
        return content
    nested = set(content) == {"attributes"}
    given = content["attributes"] if nested else content
    if not isinstance(given, Mapping):
        return given
    return {**{name: [] for name in AttributeSets.model_fields}, **given}


def _content(path: str) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(
            f"the file with the attributes cannot be read ({error}); give the path of a YAML file"
            " such as the attributes.yaml beside a round's data"
        ) from error


class SynthSettings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How synthetic data is planned, generated and filtered.

    Attributes:
        rows_per_round: Rows that a round adds when the filters leave enough.
        prompts_per_request: New prompts asked for in one request.
        examples_per_request: Seed pairs shown in one request.
        temperature: Sampling temperature when prompts are written.
        answer_temperature: Sampling temperature when they are answered.
        samples: Answers per prompt. With more than one, the answer most of them agree on is kept.
        min_agreement: Share of the samples that must agree, 0 to 1; below it the row is dropped.
        max_extra_requests: How many more prompts than `rows_per_round` may be asked for in a round,
            as a multiple of it; 0 asks once and never refills.
        min_rows_fraction: Share of `rows_per_round` below which the round fails, 0 to 1.
        eval_fraction: Share of the rows that goes to the `eval` split.
        near_duplicate_jaccard: Prompts whose character 5-grams have at least this Jaccard
            similarity are duplicates.
        leak_similarity: A prompt at least this similar to a coverage prompt is dropped as a leak,
            0 to 1; see `decontaminate`.
        semantic_similarity: Cosine similarity from which two prompts mean the same, where an
            embedding model is configured; models differ in what they call similar.
        quality_filter: Whether the service LLM scores every row.
        quality_rubric: What the scores 1 to 5 stand for; empty for `prompts/rubric`.
        quality_threshold: Lowest score that is kept, 1 to 5.
        attributes: The values that plans draw from, those that are left out stay open; or the path
            of a YAML file with them, such as an edited `attributes.yaml` of an earlier run. None:
            the service LLM proposes them once from the seeds.
        edge_case_fraction: Share of the prompts that get an edge case.
        aim: Whether generation is weighted toward seeds whose answers failed in the last round.
        aim_floor: Share of generation that stays uniform over the seeds when aiming.
        seed: Seed number of the plan.
    """

    rows_per_round: int = Field(default=200, ge=2)
    prompts_per_request: int = Field(default=8, ge=1, le=50)
    examples_per_request: int = Field(default=6, ge=1, le=50)
    temperature: float = Field(default=1.0, ge=0, le=2)
    answer_temperature: float = Field(default=0.2, ge=0, le=2)
    samples: int = Field(default=1, ge=1, le=15)
    min_agreement: float = Field(default=0.5, ge=0, le=1)
    max_extra_requests: float = Field(default=2.0, ge=0, le=20)
    min_rows_fraction: float = Field(default=0.5, ge=0, le=1)
    eval_fraction: float = Field(default=0.1, gt=0, lt=1)
    near_duplicate_jaccard: float = Field(default=0.7, ge=0.4, le=1)
    leak_similarity: float = Field(default=0.55, gt=0, le=1)
    semantic_similarity: float = Field(default=0.95, gt=0, le=1)
    quality_filter: bool = False
    quality_rubric: str = ""
    quality_threshold: int = Field(default=4, ge=1, le=5)
    attributes: Annotated[AttributeSets | None, BeforeValidator(read_attributes)] = None
    edge_case_fraction: float = Field(default=0.34, ge=0, le=1)
    aim: bool = True
    aim_floor: float = Field(default=0.3, ge=0, le=1)
    seed: int = 0
