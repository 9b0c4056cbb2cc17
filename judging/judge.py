"""Asks the judge about responses, vote by vote; `verdicts` says what the votes mean."""

import dataclasses
from collections.abc import Iterable, Sequence

from core.progress import progress
from core.records import Vote
from judging.requests import JudgedResponse, RequestBuilder, response_position
from judging.schemas import Verdict, Verdicts
from judging.settings import EvaluatorSettings
from judging.verdicts import Judgement, aggregate, vote_of
from service_llm.types import Result, ServiceClient


def judge(
    responses: Iterable[JudgedResponse],
    llm: ServiceClient,
    builder: RequestBuilder,
    settings: EvaluatorSettings,
) -> dict[JudgedResponse, Judgement]:
    """Judge every different response once.

    Args:
        responses: In any order; equal ones share their verdict and its cost.
        llm: The service LLM that judges.
        builder: Makes the requests.
        settings: Votes and thresholds.

    Returns:
        The verdict on every response.
    """
    todo = list(dict.fromkeys(responses))
    skipped = {
        r
        for r in todo
        if r.response in (r.output, *r.references) and not settings.judge_exact_matches
    }
    asked = [judged for judged in todo if judged not in skipped]
    votes, failures = _votes(asked, llm, builder, settings.votes)
    judgements = {
        judged: aggregate(votes[number], settings, failures[number])
        for number, judged in enumerate(asked)
    }
    equal = Judgement(True, True, 5.0, 5.0, "The response equals the reference.", ())
    return judgements | dict.fromkeys(skipped, equal)


def _votes(
    asked: Sequence[JudgedResponse], llm: ServiceClient, builder: RequestBuilder, count: int
) -> tuple[list[list[Vote | None]], list[list[str]]]:
    votes: list[list[Vote | None]] = [[None] * count for _ in asked]
    failures: list[list[str]] = [[] for _ in asked]
    sent = list(builder.votes(asked))
    requests = (dataclasses.replace(one.request, tag=str(place)) for place, one in enumerate(sent))
    for done, result in enumerate(llm.map(requests), start=1):
        one = sent[int(result.request.tag)]
        for number, verdict in zip(one.rows, _verdicts(result, len(one.rows)), strict=True):
            if verdict is not None:
                position = response_position(asked[number], one.vote)
                votes[number][one.vote] = vote_of(verdict, position)
                continue
            # Of a refusal the reason is shown; an unreadable reply may be of any length.
            reason = f": {result.raw}" if result.error == "refused" and result.raw else ""
            failures[number].append(f"{result.error or 'no reply'}{reason}")
        progress.info(
            "judge requests",
            extra={"progress": {"done": done, "total": len(sent), "unit": "requests"}},
        )
    return votes, failures


def _verdicts(result: Result, rows: int) -> list[Verdict | None]:
    """Return the verdict on each row of a request; None where there is none."""
    if isinstance(result.value, Verdict):
        return [result.value]
    found = result.value.by_number if isinstance(result.value, Verdicts) else {}
    return [found.get(number) for number in range(1, rows + 1)]
