"""The settings of SynthDataGen; the pipeline's presets give their values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import BeforeValidator, Field

from components.synth_data_gen.prompt_settings import SynthPrompts
from components.synth_data_gen.schemas import AttributeSets
from core.former_names import take_former_name
from core.yaml_text import read_yaml

_MIN_NEAR = 0.5  # below it, different messages about one thing are dropped


def read_attributes(value: object) -> object:
    """Read an `attributes.yaml` where a path is given; attributes left out are unconstrained.

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


def _content(path: str) -> object:
    try:
        return read_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the file with the attributes cannot be read ({error}); give the path of a YAML file"
            " such as the attributes.yaml next to a round's data"
        ) from error


def _at_least_near(former: Any) -> Any:
    """Raise what was allowed before; what is no number is left to the field to refuse."""
    try:
        return max(float(former), _MIN_NEAR)
    except (TypeError, ValueError):
        return former


class SynthSettings(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """How synthetic data is planned, generated and filtered."""

    rows_per_round: int = Field(default=200, ge=2)
    """Rows that a round adds, logged ones included, when the filters leave enough."""

    train_on_rest: bool = False
    """Whether the logged exchanges next to the coverage dataset, `train_on_rest.jsonl` as `init
    --train-on-rest` writes it, become training rows. They pass the same filters as generated rows,
    and the first round generates only what is missing in number or kind."""

    prompts_per_request: int = Field(default=8, ge=1, le=50)
    """New prompts asked for in one request; fewer where they would not fit into a reply of the
    service LLM (`service_llm.max_output_tokens`)."""

    examples_per_request: int | None = Field(default=None, ge=1, le=50)
    """Seed pairs shown in one request; fewer where `max_example_tokens` has no room for them. None:
    all of up to a dozen seeds, in one order, so that a provider can cache them; of more, six."""

    max_example_tokens: int = Field(default=8000, ge=100)
    """Budget of tokens for the seed pairs of one request, as estimated; one pair is shown
    whatever its length."""

    temperature: float = Field(default=1.0, ge=0, le=2)
    """Sampling temperature when prompts are written."""

    answer_temperature: float = Field(default=0.2, ge=0, le=2)
    """Sampling temperature when they are answered."""

    samples: int = Field(default=1, ge=1, le=15)
    """Answers per prompt. With more than one, the answer most of them agree on is kept."""

    min_agreement: float = Field(default=0.5, ge=0, le=1)
    """Share of the samples that must agree, 0 to 1; below it the row is dropped."""

    max_extra_requests: float = Field(default=2.0, ge=0, le=20)
    """How many more prompts than `rows_per_round` may be asked for in a round, as a multiple of it;
    0 asks once and never refills."""

    min_rows_fraction: float = Field(default=0.5, ge=0, le=1)
    """Share of `rows_per_round` below which the round fails, 0 to 1."""

    eval_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the rows that goes to the `eval` split."""

    near_duplicate_similarity: float = Field(default=0.7, ge=_MIN_NEAR, le=1)
    """A prompt at least this similar to an earlier one is dropped as a near duplicate, 0 to 1; the
    measure is that of `leak_similarity`."""

    leak_similarity: float = Field(default=0.5, gt=0, le=1)
    """A prompt at least this similar to a coverage prompt is dropped as a leak, 0 to 1; see
    `decontaminate`."""

    leak_judge: bool = False
    """Whether the judge, which must not be the generator, reads every prompt that the other filters
    let pass, with the coverage prompts it is nearest to, and drops those that restate one."""

    leak_judge_rows: int = Field(default=3, ge=1, le=20)
    """Coverage prompts that the leak judge is shown with each prompt."""

    semantic_similarity: float = Field(default=0.95, gt=0, le=1)
    """Cosine similarity from which two prompts mean the same, where an embedding model is
    configured; models differ in what they call similar."""

    quality_filter: bool = True
    """Whether the service LLM solves every prompt once more, compares, and scores the row. Without
    it one row in six was wrong or ambiguous in a run with a capable LLM."""

    score_logged: bool = True
    """Whether `quality_filter` reads logged exchanges, too, by a request for each; `check` and
    `estimate` say what that costs. False keeps them as they were answered."""

    quality_rubric: str = ""
    """What the scores 1 to 5 stand for; empty for `prompts/rubric`."""

    quality_threshold: int = Field(default=4, ge=1, le=5)
    """Lowest score that is kept, 1 to 5."""

    prompts: SynthPrompts = SynthPrompts()
    """Prompt texts of your own: `synth.prompts.answer: FILE`. Their hash is kept with every row."""

    attributes: Annotated[AttributeSets | None, BeforeValidator(read_attributes)] = None
    """The values that plans draw from, those that are left out stay open; or the path of a YAML
    file with them, such as an edited `attributes.yaml` of an earlier run. None: the service LLM
    proposes them once from the seeds."""

    edge_case_fraction: float = Field(default=0.34, ge=0, le=1)
    """Share of the prompts that get an edge case."""

    aim: bool = False
    """Whether generation is weighted toward output values that the last round confused and toward
    those that are rare among the rows so far. Off, because what it gains over uniform generation
    has not been measured (`python -m benchmarks aimed`)."""

    aim_floor: float = Field(default=0.3, ge=0, le=1)
    """Share of generation that stays uniform over the seeds when aiming."""

    seed: int = 0
    """Seed number of the plan."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_former_name(cls, values: object) -> object:
        return take_former_name(
            values,
            "synth",
            "near_duplicate_jaccard",
            "near_duplicate_similarity",
            note=", and compares as synth.leak_similarity does",
            read=_at_least_near,
        )
