"""Puts responses before the judge, vote by vote; what a verdict means is left to `verdicts`."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from components.llm_evaluator.requests import Candidate, RequestBuilder, candidate_position
from components.llm_evaluator.schemas import Verdict
from components.llm_evaluator.settings import EvaluatorSettings
from components.llm_evaluator.verdicts import Judgement, Vote, aggregate
from components.service_llm.types import Request, Result

_progress = logging.getLogger("understudy.progress")


class Replies(Protocol):
    """The part of the service LLM that this component uses."""

    def map(self, requests: Iterable[Request]) -> Iterator[Result]:
        """Sends requests and returns their results in the order in which they are there."""
        ...


def judge(
    candidates: Iterable[Candidate],
    llm: Replies,
    builder: RequestBuilder,
    settings: EvaluatorSettings,
) -> dict[Candidate, Judgement]:
    """Judges every different candidate once.

    Args:
        candidates: In any order; equal ones share their verdict and its cost.
        llm: The service LLM that judges.
        builder: Makes the requests.
        settings: Votes and thresholds.

    Returns:
        The verdict of every candidate.
    """
    todo = list(dict.fromkeys(candidates))
    skipped = {c for c in todo if c.response == c.output and not settings.judge_exact_matches}
    asked = [candidate for candidate in todo if candidate not in skipped]
    votes, failures = _votes(asked, llm, builder, settings.votes)
    judgements = {
        candidate: aggregate(votes[number], settings, failures[number])
        for number, candidate in enumerate(asked)
    }
    equal = Judgement(True, True, 5.0, 5.0, "The response equals the desired output.", ())
    return judgements | dict.fromkeys(skipped, equal)


def _votes(
    asked: Sequence[Candidate], llm: Replies, builder: RequestBuilder, count: int
) -> tuple[list[list[Vote | None]], list[list[str]]]:
    votes: list[list[Vote | None]] = [[None] * count for _ in asked]
    failures: list[list[str]] = [[] for _ in asked]
    requests = (
        builder.judge(candidate, vote, tag=f"{number}:{vote}")
        for number, candidate in enumerate(asked)
        for vote in range(count)
    )
    total = len(asked) * count
    for done, result in enumerate(llm.map(requests), start=1):
        number, vote = (int(part) for part in result.request.tag.split(":"))
        if isinstance(result.value, Verdict):
            position = candidate_position(asked[number], vote)
            votes[number][vote] = Vote.of(result.value, position)
        else:
            failures[number].append(result.error or "no reply")
        _progress.info(
            "judge requests",
            extra={"progress": {"done": done, "total": total, "unit": "requests"}},
        )
    return votes, failures
