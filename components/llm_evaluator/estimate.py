"""What an evaluation will ask the service LLM, before any model has answered."""

from collections.abc import Iterator, Sequence

from components.llm_evaluator.requests import Candidate, RequestBuilder
from components.llm_evaluator.settings import EvaluatorSettings
from components.records import CoverageRow, ResponseRow
from components.service_llm.types import Request
from components.task import Task


def expected_requests(
    rows: Sequence[CoverageRow],
    task: Task,
    settings: EvaluatorSettings,
    *,
    models: int,
    samples: int = 1,
) -> Iterator[Request]:
    """Requests like those that will be sent, to count them and their tokens.

    Responses are taken to be as long as the desired outputs, and all different; equal ones are
    asked about only once, so a good model costs less. Later rounds pay only for what is new.

    Args:
        rows: The coverage dataset.
        task: What is taken over.
        settings: Of the evaluator; the service LLM as a baseline is counted as they say.
        models: Models whose responses ResponseGen makes.
        samples: Responses for each prompt.
    """
    builder = RequestBuilder(task, settings, salt=b"")
    shown = [
        ResponseRow(row.id, row.prompt, row.output, row.split, row.tags, row.output, "stop")
        for row in rows
    ]
    with_service = "service" in settings.baselines
    if with_service:
        yield from (builder.answer(row, shown, tag=row.id) for row in shown)
    for row in shown:
        candidate = Candidate(row.prompt, row.output, row.response)
        for copy in range(models * samples + with_service):
            for vote in range(settings.votes):
                yield builder.judge(candidate, vote, tag=f"{row.id}:{copy}:{vote}")
