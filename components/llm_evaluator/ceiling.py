"""The service LLM's own answers to the coverage prompts: the ceiling a tuned model can reach."""

import dataclasses
import logging
from collections.abc import Sequence

from components.llm_evaluator.judging import Replies
from components.llm_evaluator.requests import RequestBuilder
from components.llm_evaluator.schemas import Answer
from components.records import ResponseRow

_logger = logging.getLogger(__name__)
_progress = logging.getLogger("understudy.progress")


def service_responses(
    rows: Sequence[ResponseRow], llm: Replies, builder: RequestBuilder
) -> list[ResponseRow]:
    """Lets the service LLM answer every coverage prompt once.

    Args:
        rows: Some model's responses; their prompts are answered, sample 0 of each.
        llm: The service LLM.
        builder: Makes the requests.

    Returns:
        The service LLM's responses in the order of `rows`. One that it refused or that could not be
        read is empty, so it is judged like any other unusable answer.
    """
    prompts = [row for row in rows if row.sample == 0]
    requests = (builder.answer(row, prompts, tag=str(n)) for n, row in enumerate(prompts))
    answers = [""] * len(prompts)
    for done, result in enumerate(llm.map(requests), start=1):
        if isinstance(result.value, Answer):
            answers[int(result.request.tag)] = result.value.output
        else:
            _logger.warning("The service LLM gave no answer to a prompt: %s", result.error)
        _progress.info(
            "answers of the service LLM",
            extra={"progress": {"done": done, "total": len(prompts), "unit": "requests"}},
        )
    return [
        dataclasses.replace(row, response=answer, finish="stop")
        for row, answer in zip(prompts, answers, strict=True)
    ]
