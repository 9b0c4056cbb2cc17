"""What an evaluation will ask the service LLM, before any model has answered."""

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class ExpectedResponses:
    """How many responses a round brings.

    Attributes:
        round: The round, from 1. The baselines stay the same, so the first one pays for them.
        baselines: Models besides the tuned one whose responses ResponseGen makes.
        samples: Responses for each prompt.
        repeated: Share of the tuned model's responses, 0 to 1, that were judged before: those of
            the service LLM or of an earlier round.
    """

    round: int
    baselines: int
    samples: int = 1
    repeated: float = 0.0

    def new(self, prompts: int, settings: EvaluatorSettings) -> int:
        """Responses that nothing is known of yet.

        Args:
            prompts: Of the coverage dataset.
            settings: The service LLM as a baseline is counted as they say.
        """
        copies, repeated = 0, self.repeated
        if self.round == 1:
            copies = self.baselines * self.samples
            if SERVICE in settings.baselines:
                copies += 1
            else:
                repeated = 0.0
        return copies * prompts + math.ceil(prompts * self.samples * (1 - repeated))


def expected_requests(
    rows: Sequence[CoverageRow],
    task: Task,
    settings: EvaluatorSettings,
    responses: ExpectedResponses,
) -> Iterator[Expected]:
    """Requests like those that will be sent, to count them and their tokens.

    Responses are taken to be as long as the desired outputs.

    Args:
        rows: The coverage dataset.
        task: What is taken over.
        settings: Of the evaluator.
        responses: How many are judged.
    """
    builder = RequestBuilder(task, settings, salt=b"")
    shown = [
        ResponseRow(row.id, row.prompt, row.output, row.split, row.tags, row.output, "stop")
        for row in rows
    ]
    if responses.round == 1 and SERVICE in settings.baselines:
        for row in shown:
            reply = len(json.dumps({"output": row.output}, ensure_ascii=False))
            yield Expected(builder.answer(row, shown, tag=row.id), reply)
    for number in range(responses.new(len(rows), settings)):
        row = shown[number % len(shown)]
        candidate = Candidate(row.prompt, row.output, row.response)
        for vote in range(settings.votes):
            yield Expected(builder.judge(candidate, vote, tag=""), _VERDICT_CHARACTERS)


def expected_embeddings(
    rows: Sequence[CoverageRow], settings: EvaluatorSettings, responses: ExpectedResponses
) -> Iterator[Expected]:
    """Requests like those of the scorer `embedding`; their replies have no tokens.

    A vector for each desired output, in the first round, and for each response that is new.

    Args:
        rows: See `expected_requests`.
        settings: Likewise.
        responses: How many are compared.
    """
    outputs = list(dict.fromkeys(row.output for row in rows)) if responses.round == 1 else []
    new = responses.new(len(rows), settings)
    for text in (*outputs, *(rows[number % len(rows)].output for number in range(new))):
        yield Expected(Request(text, Embedding), 0)
