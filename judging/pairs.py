"""Scores two answers to one prompt next to each other, by the judge or by another scorer."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from core.reports.coverage import JUDGE
from judging.judge import judge
from judging.requests import JudgedResponse, RequestBuilder
from judging.scorers import Embed, score_all
from judging.settings import EvaluatorSettings
from judging.verdicts import Judgement
from service_llm.types import ServiceClient


class PairScore(NamedTuple):
    """The scores of a reference and a response.

    Attributes:
        reference: Score of the reference, 0 or 1.
        response: Score of the response, 0 or 1.
        covered: Whether the response covers the prompt, as an evaluation would say.
        scored: Whether any of that is known; where not, the response counts as not covered and the
            reference as correct, as in an evaluation.
        reason: The judge's, or the scorer's figure.
    """

    reference: float
    response: float
    covered: bool
    scored: bool
    reason: str


def score_pairs(
    pairs: Sequence[JudgedResponse],
    llm: ServiceClient,
    builder: RequestBuilder,
    embed: Embed | None = None,
) -> list[PairScore]:
    """Score pairs by the scorer of the gate; equal texts are equal and cost nothing.

    The judge says of both answers whether they are correct, without knowing whose they are. Other
    scorers compare the response with the reference, which counts as correct.

    Args:
        pairs: The service's answer as `output`, the model's as `response`.
        llm: The service LLM that judges.
        builder: Makes the requests; its settings rule.
        embed: See `scorers.score_all`.

    Raises:
        UserError: The service LLM fails; what it has answered is in the journal.
    """
    settings = builder.settings.model_copy(update={"judge_exact_matches": False})
    if settings.gate.scorer == JUDGE:
        judgements = judge(pairs, llm, builder, settings)
        return [_of_judgement(judgements[pair], settings) for pair in pairs]
    scorer = settings.gate.scorer
    least = settings.scorer_thresholds[scorer]
    found = score_all([(pair.output, pair.response) for pair in pairs], embed)
    return [
        _of_score(scores[scorer], least, scorer, is_equal=pair.output == pair.response)
        for pair, scores in zip(pairs, found, strict=True)
    ]


def _of_judgement(found: Judgement, settings: EvaluatorSettings) -> PairScore:
    if not found.scored:
        return _unscored(found.reason)
    least = settings.correctness_threshold
    votes = found.votes  # none where the texts are equal
    reference = statistics.median(v.reference_correctness for v in votes) if votes else 5.0
    correctness = found.correctness or 0.0
    return PairScore(
        float(reference >= least), float(correctness >= least), found.covered, True, found.reason
    )


def _of_score(score: float | None, least: float, scorer: str, *, is_equal: bool) -> PairScore:
    if score is None and is_equal:
        return PairScore(1.0, 1.0, True, True, "equal")
    if score is None:
        return _unscored(f"{scorer} does not apply")
    is_enough = score >= least
    return PairScore(1.0, float(is_enough), is_enough, True, f"{scorer} {score:.3g}")


def _unscored(reason: str) -> PairScore:
    return PairScore(1.0, 0.0, False, False, reason)
