"""The verdict on a response, aggregated from votes; `judge` requests the votes."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence

from core.records import Position, ResponseRow, VerdictRow, Vote
from judging.schemas import Verdict
from judging.settings import EvaluatorSettings


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The verdict on one response; its fields are those of `VerdictRow`."""

    covered: bool
    scored: bool
    similarity: float | None
    correctness: float | None
    reason: str
    votes: tuple[Vote, ...]


def vote_of(verdict: Verdict, position: Position) -> Vote:
    """Return the vote in a verdict in which the judged response was shown at `position`."""
    scores = (verdict.correctness_a, verdict.correctness_b)
    own, other = scores if position == "a" else scores[::-1]
    return Vote(verdict.similarity, own, other, verdict.reason, position)


def aggregate(
    votes: Sequence[Vote | None], settings: EvaluatorSettings, failures: Sequence[str] = ()
) -> Judgement:
    """Turn the votes on one response into its verdict.

    Args:
        votes: One for each that was requested, None where it could not be read.
        settings: The thresholds.
        failures: Why votes could not be read.

    Returns:
        The verdict: scored when more than half of the votes could be read, and covered when the
        medians of similarity and correctness reach their thresholds, or, by the rule `correct`,
        that of correctness does.
    """
    readable = tuple(vote for vote in votes if vote is not None)
    if 2 * len(readable) <= len(votes):
        why = ", ".join(sorted(set(failures))) or "no reply"
        reason = f"{len(readable)} of {len(votes)} votes could be read ({why})."
        return Judgement(False, False, None, None, reason, readable)
    similarity = float(statistics.median(vote.similarity for vote in readable))
    correctness = float(statistics.median(vote.correctness for vote in readable))
    covered = _covers(similarity, correctness, settings)
    agreeing = (v for v in readable if _covers(v.similarity, v.correctness, settings) == covered)
    reason = next(agreeing, readable[0]).reason
    return Judgement(covered, True, similarity, correctness, reason, readable)


def verdict_row(
    model: str, row: ResponseRow, judgement: Judgement, scores: Mapping[str, float | None]
) -> VerdictRow:
    """Put a response and what was found out about it together."""
    return VerdictRow(model=model, scores=scores, **vars(row), **vars(judgement))


def _covers(similarity: float, correctness: float, settings: EvaluatorSettings) -> bool:
    is_similar = similarity >= settings.similarity_threshold or settings.gate.rule == "correct"
    return is_similar and correctness >= settings.correctness_threshold
