"""The settings of LLMEvaluator; the pipeline's presets hold their values."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import pydantic
from pydantic import BeforeValidator, Field

from core.former_names import take_former_name
from core.reports.coverage import JUDGE
from judging.scorers import SCORERS
from service_llm.prompt_files import reader

Baseline = Literal["base", "few_shot", "service"]
Rule = Literal["similar_and_correct", "correct"]
_OF_JUDGE = ("task", "prompt", "answer_a", "answer_b")


class GateSettings(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """When a model is good enough to be pushed."""

    split: Literal["overall", "seed", "holdout"] = "holdout"
    """Whose coverage rate counts."""

    statistic: Literal["point", "lower"] = "point"
    """`point` compares the rate itself, `lower` the lower bound of its 95 % interval."""

    threshold_percent: float = Field(default=80.0, ge=0, le=100)
    """The rate to reach, in percent: of all prompts, or, with `relative_to_service`, of the service
    LLM's own rate."""

    relative_to_service: bool = False
    """Whether the threshold is a share of the rate that the service LLM reaches on the same
    prompts, which is all that a model trained on its answers can be asked for."""

    rule: Rule = "similar_and_correct"
    """When the judge's verdict counts as covered: `similar_and_correct` asks that similarity and
    correctness reach their thresholds, `correct` that correctness does, so that a right answer
    other than the reference passes."""

    scorer: str = Field(default=JUDGE, json_schema_extra={"enum": [JUDGE, *SCORERS]})
    """What decides that a prompt is covered: the judge, or another scorer."""

    @pydantic.field_validator("scorer")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name != JUDGE and name not in SCORERS:
            names = ", ".join((JUDGE, *SCORERS))
            raise ValueError(f"There is no such scorer. Choose one of {names}")
        return name


class EvaluatorPrompts(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """Files with prompt texts that replace those of LLMEvaluator; None keeps its own."""

    judge: Annotated[str | None, BeforeValidator(reader(_OF_JUDGE, _OF_JUDGE))] = None
    """Asks for a verdict on two answers. Uses `task`, `prompt`, `answer_a` and `answer_b`."""

    answer: Annotated[
        str | None, BeforeValidator(reader({"task", "examples", "message"}, {"task", "message"}))
    ] = None
    """Asks for the service LLM's own answer. May use `task`, `examples` and `message`."""

    judge_references: Annotated[
        str | None,
        BeforeValidator(reader((*_OF_JUDGE, "references"), (*_OF_JUDGE, "references"))),
    ] = None
    """The text of `judge` for prompts with several right answers, which `references` holds."""

    answer_conversation: Annotated[
        str | None, BeforeValidator(reader({"task", "examples", "message"}, {"task", "message"}))
    ] = None
    """The text of `answer` where seeds have several turns."""

    def text(self, name: str) -> str | None:
        """Return the text that replaces one of `templates`, if any."""
        return self.model_dump().get(name)


class EvaluatorSettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """How responses are judged and when the model passes."""

    votes: int = Field(default=2, ge=1, le=15)
    """Verdicts requested for each response. The response is shown first in half of them, so an even
    number cancels a judge's position bias."""

    max_prompts: int | None = Field(default=1000, ge=10)
    """Prompts of each split that are answered and judged at most: of more, each tag in its share
    and the same ones in every round. 1,000 give a coverage rate of 80 % an interval of 5 points.
    None for all."""

    max_baseline_prompts: int | None = Field(default=50, ge=10)
    """Of these, the prompts of each split that the untuned models (`base`, `few_shot`) answer at
    most, each tag in its share: they are slow, as they rarely end their turn, and a comparison on
    50 prompts shows what training brought. None for all."""

    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature of the judge."""

    max_output_tokens: int = Field(default=2048, ge=64, le=65536)
    """Maximum tokens of one verdict, the judge's thinking included. The service LLM's own answers
    have room for twice as many tokens as the longest seed's output has characters, and at least
    this."""

    rows_per_request: int = Field(default=1, ge=1, le=20)
    """Rows judged in one request. More save tokens, and a verdict may then depend on the rows
    around it; `python -m benchmarks.judge_rows --preset PRESET` measures how often it does. Rows
    with several right answers are always judged alone, and so are all with a prompt of your own."""

    similarity_threshold: float = Field(default=4.0, ge=1, le=5)
    """Similarity to the reference, 1 to 5, from which a response counts as similar; compared with
    the median of the votes."""

    correctness_threshold: float = Field(default=4.0, ge=1, le=5)
    """Correctness of the response, 1 to 5, from which it counts as correct; compared with the
    median of the votes."""

    judge_exact_matches: bool = True
    """Whether a response that equals the reference is judged too; False saves its requests and
    counts it as covered."""

    gate: GateSettings = GateSettings()
    """When the model passes."""

    prompts: EvaluatorPrompts = EvaluatorPrompts()
    """Prompt texts of your own: `evaluator.prompts.judge: FILE`. A report names the judge's by its
    hash, and rounds with another one are known to have another judge."""

    json_fields_threshold: float = Field(default=1.0, gt=0, le=1)
    """Share of equal JSON fields, 0 to 1, from which that scorer counts a prompt as covered."""

    rouge_l_threshold: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L F1, 0 to 1, likewise."""

    embedding_threshold: float = Field(default=0.85, ge=-1, le=1)
    """Cosine similarity, -1 to 1, likewise, where an embedding model is configured; models differ
    in what they call similar."""

    baselines: tuple[Baseline, ...] = ("base", "few_shot", "service")
    """Models judged besides the tuned one where their responses are given; `service` is the service
    LLM itself, which answers every prompt once per project."""

    baseline_examples: int | None = Field(default=None, ge=1, le=32)
    """Seed pairs shown to the baselines that are prompted with examples, `few_shot` and `service`.
    None: six; the service LLM is shown all of up to a dozen, as when it answers for training."""

    max_example_tokens: int = Field(default=8000, ge=100)
    """Budget of tokens for these pairs in one prompt, as estimated; one pair is shown whatever its
    length."""

    labels_uri: str = ""
    """CSV with human labels, made with `understudy sample-labels`; empty for none."""

    @property
    def scorer_thresholds(self) -> Mapping[str, float]:
        """The score from which each scorer counts a prompt as covered."""
        return {
            name: getattr(self, scorer.threshold)
            if isinstance(scorer.threshold, str)
            else scorer.threshold
            for name, scorer in SCORERS.items()
        }

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_former_name(cls, values: object) -> object:
        return take_former_name(values, "evaluator", "precision_threshold", "correctness_threshold")

    @pydantic.model_validator(mode="after")
    def _service_is_measured(self) -> Self:
        if self.gate.relative_to_service and "service" not in self.baselines:
            raise ValueError(
                "gate.relative_to_service compares with the service LLM's own answers, and "
                f"baselines {list(self.baselines)} leaves them out; add 'service' to "
                "baselines, or set gate.relative_to_service=false"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _votes_differ(self) -> Self:
        if self.votes > 2 and self.temperature == 0:
            raise ValueError(
                f"{self.votes} votes at temperature 0 repeat the two orders and are not "
                "independent; set temperature above 0 or votes to 2"
            )
        return self
