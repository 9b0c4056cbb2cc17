"""What an evaluation will ask the service LLM, before any model has answered."""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from core.records import CoverageRow, ResponseRow
from core.reports.coverage import SERVICE
from judging.examples import ExamplePool
from judging.requests import JudgedResponse, RequestBuilder
from judging.settings import EvaluatorSettings
from service_llm.estimate import Expected
from service_llm.types import Request
from service_llm.vector import Embedding
from task.task import Task

_VERDICT_CHARACTERS = 220  # a reason of one or two sentences, and three numbers


@dataclasses.dataclass(frozen=True)
class ExpectedResponses:
    """How many responses a round makes.

    Attributes:
        round: The round, from 1. The baselines stay the same, so the first one pays for them.
        baselines: Models besides the tuned one whose responses ResponseGen makes.
        baseline_prompts: Prompts that each of them answers; None for all.
        samples: Responses for each prompt.
        repeated: Share of the tuned model's responses, 0 to 1, that were judged before: those of
            the service LLM or of an earlier round.
    """

    round: int
    baselines: int
    samples: int = 1
    repeated: float = 0.0
    baseline_prompts: int | None = None

    def new(self, prompts: int, settings: EvaluatorSettings) -> int:
        """Count the responses that nothing is known of yet.

        Args:
            prompts: Of the coverage dataset.
            settings: The service LLM as a baseline is counted as they say.
        """
        others, repeated = 0, self.repeated
        if self.round == 1:
            asked = prompts if self.baseline_prompts is None else self.baseline_prompts
            others = self.baselines * self.samples * min(prompts, asked)
            if SERVICE in settings.baselines:
                others += prompts
            else:
                repeated = 0.0
        return others + math.ceil(prompts * self.samples * (1 - repeated))


class ExpectedEvaluation(NamedTuple):
    """Requests like those that an evaluation will send, by who gets them.

    Attributes:
        answers: To the service LLM, for its own answers.
        verdicts: To the judge.
    """

    answers: list[Expected]
    verdicts: list[Expected]


def expected_requests(
    rows: Sequence[CoverageRow],
    task: Task,
    settings: EvaluatorSettings,
    responses: ExpectedResponses,
    only: str | None = None,
) -> ExpectedEvaluation:
    """Return requests like those that will be sent, to count them and their tokens.

    Responses are taken to be as long as the references.

    Args:
        rows: The coverage dataset.
        task: What is taken over.
        settings: Of the evaluator.
        responses: How many are judged.
        only: Split whose prompts are answered and judged; None for all rows.
    """
    builder = RequestBuilder(task, settings, salt=b"")
    shown = [
        ResponseRow(row.id, row.prompt, row.output, row.split, row.tags, row.output, "stop")
        for row in rows
    ]
    pool = ExamplePool(shown)
    shown = [row for row in shown if only in (None, row.split)]
    answers = []
    if responses.round == 1 and SERVICE in settings.baselines:
        for row in shown:
            reply = len(json.dumps({"output": row.output}, ensure_ascii=False))
            answers.append(Expected(builder.answer(row, pool, tag=row.id), reply))
    verdicts = []
    new = responses.new(len(shown), settings)
    for one in builder.votes([JudgedResponse.of(row) for row in shown[:new]]):
        # Responses to one prompt are taken to be alike, and so are their requests.
        alike = (new - one.rows[0] - 1) // len(shown) + 1
        verdicts.append(Expected(one.request, _VERDICT_CHARACTERS * len(one.rows), alike))
    return ExpectedEvaluation(answers, verdicts)


def expected_embeddings(
    rows: Sequence[CoverageRow], settings: EvaluatorSettings, responses: ExpectedResponses
) -> Iterator[Expected]:
    """Yield requests like those of the scorer `embedding`; their replies have no tokens.

    A vector for each right answer, in the first round, and for each response that is new.

    Args:
        rows: See `expected_requests`.
        settings: Likewise.
        responses: How many are compared.
    """
    answers = (answer for row in rows for answer in (row.output, *row.references))
    outputs = list(dict.fromkeys(answers)) if responses.round == 1 else []
    new = responses.new(len(rows), settings)
    for text in (*outputs, *(rows[number % len(rows)].output for number in range(new))):
        yield Expected(Request(text, Embedding), 0)
