"""The settings of LLMEvaluator; where they are written down is left to the pipeline's presets."""

from typing import Literal, Self

import pydantic
from pydantic import Field

Baseline = Literal["base", "few_shot", "service"]
ScorerName = Literal["judge", "exact_match", "json_fields", "rouge_l", "embedding"]


class GateSettings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """When a model is good enough to be pushed.

    Attributes:
        split: Whose coverage rate counts.
        statistic: `point` compares the rate itself, `lower` the lower end of its 95 % interval.
        threshold_percent: The rate to reach, in percent.
        scorer: What decides that a prompt is covered: the judge, or one of the free scorers.
    """

    split: Literal["overall", "seed", "holdout"] = "holdout"
    statistic: Literal["point", "lower"] = "point"
    threshold_percent: float = Field(default=80.0, ge=0, le=100)
    scorer: ScorerName = "judge"


class EvaluatorSettings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """How responses are judged and when the model passes.

    Attributes:
        votes: Verdicts asked for each response. The candidate stands first in half of them, so an
            even number cancels a judge's liking for a place.
        temperature: Sampling temperature of the judge.
        max_output_tokens: Tokens of one verdict at most, the judge's thinking included.
        similarity_threshold: Similarity to the desired output, 1 to 5, from which a response counts
            as similar; compared with the median of the votes.
        precision_threshold: Precision of the response, 1 to 5, from which it counts as right.
        judge_exact_matches: Whether a response that equals the desired output is judged too; False
            saves its requests and counts it as covered.
        gate: When the model passes.
        json_fields_threshold: Share of equal JSON fields, 0 to 1, from which that scorer counts a
            prompt as covered.
        rouge_l_threshold: ROUGE-L F1, 0 to 1, likewise.
        embedding_threshold: Cosine similarity, -1 to 1, likewise, where an embedding model is
            configured; models differ in what they call similar.
        baselines: Models judged beside the tuned one where their responses are given; `service` is
            the service LLM itself, which answers every prompt once per project.
        baseline_examples: Seed pairs shown to the baselines that are prompted with examples,
            `few_shot` and `service`.
        labels_uri: CSV with human labels, made with
            `python -m components.llm_evaluator.sample_labels`; empty for none.
    """

    votes: int = Field(default=2, ge=1, le=15)
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_output_tokens: int = Field(default=2048, ge=64, le=65536)
    similarity_threshold: float = Field(default=4.0, ge=1, le=5)
    precision_threshold: float = Field(default=4.0, ge=1, le=5)
    judge_exact_matches: bool = True
    gate: GateSettings = GateSettings()
    json_fields_threshold: float = Field(default=1.0, gt=0, le=1)
    rouge_l_threshold: float = Field(default=0.7, gt=0, le=1)
    embedding_threshold: float = Field(default=0.85, ge=-1, le=1)
    baselines: tuple[Baseline, ...] = ("base", "few_shot", "service")
    baseline_examples: int = Field(default=6, ge=1, le=32)
    labels_uri: str = ""

    @pydantic.model_validator(mode="after")
    def _votes_differ(self) -> Self:
        if self.votes > 2 and self.temperature == 0:
            raise ValueError(
                f"{self.votes} votes at temperature 0 repeat the two orders and are not "
                "independent; set temperature above 0 or votes to 2"
            )
        return self
