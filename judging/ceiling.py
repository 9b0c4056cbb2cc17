"""The service LLM's own answers to the coverage prompts: the ceiling a tuned model can reach."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import NamedTuple

from core.progress import progress
from core.records import SEED_SPLIT, ResponseRow
from judging.examples import ExamplePool
from judging.requests import RequestBuilder
from judging.schemas import Answer
from service_llm.types import Reply, ServiceClient
from task.form import infer_form

_logger = logging.getLogger(__name__)


class ServiceResponses(NamedTuple):
    """The service LLM's responses in the order of the prompts, and the replies they came from."""

    rows: list[ResponseRow]
    replies: list[Reply]


def service_responses(
    rows: Sequence[ResponseRow], llm: ServiceClient, builder: RequestBuilder
) -> ServiceResponses:
    """Let the service LLM answer every coverage prompt once.

    Args:
        rows: Some model's responses; their prompts are answered, sample 0 of each.
        llm: The service LLM.
        builder: Makes the requests.

    Returns:
        Responses tidied as synthetic outputs are: what a model is trained on and what the service
        is judged by follow one rule. One that it refused or that could not be read is empty, and
        judged like any other unusable answer.
    """
    prompts = [row for row in rows if row.sample == 0]
    pool = ExamplePool(prompts)
    requests = (builder.answer(row, pool, tag=str(n)) for n, row in enumerate(prompts))
    seeds = [row.output for row in prompts if row.split == SEED_SPLIT]
    form = infer_form(seeds, builder.task.output_schema) if seeds else None
    answers = [""] * len(prompts)
    replies: dict[int, Reply] = {}
    for done, result in enumerate(llm.map(requests), start=1):
        if result.reply is not None:
            replies[int(result.request.tag)] = result.reply
        if isinstance(result.value, Answer):
            answer = result.value.output
            answers[int(result.request.tag)] = form.tidy(answer) if form else answer
        else:
            _logger.warning("The service LLM gave no answer to a prompt: %s", result.error)
        progress.info(
            "answers of the service LLM",
            extra={"progress": {"done": done, "total": len(prompts), "unit": "requests"}},
        )
    responses = [
        dataclasses.replace(row, response=answer, finish="stop")
        for row, answer in zip(prompts, answers, strict=True)
    ]
    return ServiceResponses(responses, [replies[number] for number in sorted(replies)])
