"""What an evaluation will ask the service LLM, before any model has answered."""

import json
import math
from collections.abc import Iterator, Sequence

from components.llm_evaluator.report import SERVICE
from components.llm_evaluator.requests import Candidate, RequestBuilder
from components.llm_evaluator.settings import EvaluatorSettings
from components.records import CoverageRow, ResponseRow
from components.service_llm.embedding import Embedding
from components.service_llm.estimate import Expected
from components.service_llm.types import Request
from components.task import Task

_VERDICT_CHARACTERS = 220  # a reason of one or two sentences, and three numbers


def expected_requests(
    rows: Sequence[CoverageRow],
    task: Task,
    settings: EvaluatorSettings,
    *,
    round: int,
    baselines: int,
    samples: int = 1,
    repeated: float = 0.0,
) -> Iterator[Expected]:
    """Requests like those that will be sent, to count them and their tokens.

    Responses are taken to be as long as the desired outputs. The baselines stay the same over the
    rounds, so the first one pays for them.

    Args:
        rows: The coverage dataset.
        task: What is taken over.
        settings: Of the evaluator; the service LLM as a baseline is counted as they say.
        round: The round, from 1.
        baselines: Models besides the tuned one whose responses ResponseGen makes.
        samples: Responses for each prompt.
        repeated: Share of the tuned model's responses, 0 to 1, that were judged before: those of
            the service LLM or of an earlier round.
    """
    builder = RequestBuilder(task, settings, salt=b"")
    shown = [
        ResponseRow(row.id, row.prompt, row.output, row.split, row.tags, row.output, "stop")
        for row in rows
    ]
    if round == 1 and SERVICE in settings.baselines:
        for row in shown:
            reply = len(json.dumps({"output": row.output}, ensure_ascii=False))
            yield Expected(builder.answer(row, shown, tag=row.id), reply)
    new = _new_responses(
        len(rows), settings, round=round, baselines=baselines, samples=samples, repeated=repeated
    )
    for number in range(new):
        row = shown[number % len(shown)]
        candidate = Candidate(row.prompt, row.output, row.response)
        for vote in range(settings.votes):
            yield Expected(builder.judge(candidate, vote, tag=""), _VERDICT_CHARACTERS)


def expected_embeddings(
    rows: Sequence[CoverageRow],
    settings: EvaluatorSettings,
    *,
    round: int,
    baselines: int,
    samples: int = 1,
    repeated: float = 0.0,
) -> Iterator[Expected]:
    """Requests like those of the scorer `embedding`; their replies have no tokens.

    A vector for each desired output, in the first round, and for each response that is new.

    Args:
        rows: See `expected_requests`, as for the others.
        settings: Likewise.
        round: Likewise.
        baselines: Likewise.
        samples: Likewise.
        repeated: Likewise.
    """
    new = _new_responses(
        len(rows), settings, round=round, baselines=baselines, samples=samples, repeated=repeated
    )
    outputs = list(dict.fromkeys(row.output for row in rows)) if round == 1 else []
    responses = (rows[number % len(rows)].output for number in range(new))
    for text in (*outputs, *responses):
        yield Expected(Request(text, Embedding), 0)


def _new_responses(
    prompts: int,
    settings: EvaluatorSettings,
    *,
    round: int,
    baselines: int,
    samples: int,
    repeated: float,
) -> int:
    """Responses that nothing is known of yet."""
    copies = 0
    if round == 1:
        copies = baselines * samples
        if SERVICE in settings.baselines:
            copies += 1
        else:
            repeated = 0.0
    return copies * prompts + math.ceil(prompts * samples * (1 - repeated))
