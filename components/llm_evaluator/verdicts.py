"""The verdict on a response, aggregated from votes; asking for votes is left to `judging`."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal, Self

from components.llm_evaluator.requests import Position
from components.llm_evaluator.schemas import Verdict
from components.llm_evaluator.settings import EvaluatorSettings
from components.records import ResponseRow, Row


@dataclasses.dataclass(frozen=True)
class Vote:
    """One readable verdict of the judge, seen from the candidate.

    Attributes:
        similarity: To the desired output, 1 to 5.
        precision: Of the candidate's response, 1 to 5.
        output_precision: Of the desired output, 1 to 5; low values point at a faulty coverage row.
        reason: The judge's words.
        candidate_position: Where the candidate stood.
    """

    similarity: int
    precision: int
    output_precision: int
    reason: str
    candidate_position: Position

    @classmethod
    def of(cls, verdict: Verdict, position: Position) -> Self:
        """The vote in a verdict in which the candidate stood at `position`."""
        precisions = (verdict.precision_a, verdict.precision_b)
        own, other = precisions if position == "a" else precisions[::-1]
        return cls(verdict.similarity, own, other, verdict.reason, position)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The verdict on one response.

    Attributes:
        covered: Similarity and precision both reach their thresholds.
        scored: Enough votes could be read. A response without is not covered.
        similarity: Median of the votes, None when not scored.
        precision: Median of the votes, None when not scored.
        reason: Of the first vote that agrees with the outcome, or why there is no score.
        votes: The readable votes, in the order they were asked for.
    """

    covered: bool
    scored: bool
    similarity: float | None
    precision: float | None
    reason: str
    votes: tuple[Vote, ...]


def aggregate(
    votes: Sequence[Vote | None], settings: EvaluatorSettings, failures: Sequence[str] = ()
) -> Judgement:
    """Turns the votes on one response into its verdict.

    Args:
        votes: One for each that was asked for, None where it could not be read.
        settings: The thresholds.
        failures: Why votes could not be read.

    Returns:
        The verdict: scored when more than half of the votes could be read, and covered when the
        medians of similarity and precision reach their thresholds.
    """
    readable = tuple(vote for vote in votes if vote is not None)
    if 2 * len(readable) <= len(votes):
        why = ", ".join(sorted(set(failures))) or "no reply"
        reason = f"{len(readable)} of {len(votes)} votes could be read ({why})."
        return Judgement(False, False, None, None, reason, readable)
    similarity = float(statistics.median(vote.similarity for vote in readable))
    precision = float(statistics.median(vote.precision for vote in readable))
    covered = _covers(similarity, precision, settings)
    agreeing = (v for v in readable if _covers(v.similarity, v.precision, settings) == covered)
    reason = next(agreeing, readable[0]).reason
    return Judgement(covered, True, similarity, precision, reason, readable)


def _covers(similarity: float, precision: float, settings: EvaluatorSettings) -> bool:
    return similarity >= settings.similarity_threshold and precision >= settings.precision_threshold


@dataclasses.dataclass(frozen=True)
class VerdictRow(Row):
    """One line of `verdicts.jsonl`: a model's response to a coverage prompt and its verdict.

    Attributes:
        model: `tuned`, `base`, `few_shot` or `service`.
        id: The coverage row's id.
        split: The coverage row's split.
        tags: The coverage row's tags.
        prompt: The coverage prompt.
        output: The desired output.
        response: What the model answered.
        finish: `stop` when the model ended its turn, `length` when it was cut off.
        sample: Index of the response among several for one prompt.
        covered: See `Judgement`, as the following.
        scored: Likewise.
        similarity: Likewise.
        precision: Likewise.
        reason: Likewise.
        votes: Likewise.
        scores: Score of each free scorer; None where it does not apply to the row.
    """

    model: str
    id: str
    split: str
    tags: tuple[str, ...]
    prompt: str
    output: str
    response: str
    finish: Literal["stop", "length"]
    sample: int
    covered: bool
    scored: bool
    similarity: float | None
    precision: float | None
    reason: str
    votes: tuple[Vote, ...]
    scores: Mapping[str, float | None]

    @classmethod
    def of(
        cls,
        model: str,
        row: ResponseRow,
        judgement: Judgement,
        scores: Mapping[str, float | None],
    ) -> Self:
        """Puts a response and what was found out about it together."""
        return cls(
            model=model,
            scores=dict(scores),
            **{f.name: getattr(row, f.name) for f in dataclasses.fields(row)},
            **{f.name: getattr(judgement, f.name) for f in dataclasses.fields(judgement)},
        )
