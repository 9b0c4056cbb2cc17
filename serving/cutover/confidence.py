"""Measures the tuned model's confidence on the holdout, through the server that will answer."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from core.errors import UserError
from core.records import HOLDOUT_SPLIT, CoverageRow
from core.reports.confidence import ConfidenceReport, ConfidenceRow
from judging.confidence import Graded, choose, curve
from judging.requests import JudgedResponse
from serving.cutover.scoring import PairScorer
from serving.gateway.local_model import LocalModel
from serving.gateway.model_server import ModelFailedError
from serving.gateway.protocols.base import Ask
from serving.gateway.task import ServedTask, turns_of
from serving.gateway.upstream import open_session
from serving.model.host import TunedModels
from serving.preset import ServedPreset

_PATIENT_SECONDS = 3600.0  # in the queue: all prompts are asked at once


class Answered(NamedTuple):
    """A coverage row and what the tuned model said.

    Attributes:
        row: The row.
        text: The answer.
        confidence: Mean log-probability of its tokens.
        seconds: Until it was complete.
    """

    row: CoverageRow
    text: str
    confidence: float
    seconds: float


async def ask_holdout(preset: ServedPreset, task: ServedTask) -> list[Answered]:
    """Ask every holdout prompt, as many at a time as the server has slots.

    Args:
        preset: With its coverage rows.
        task: Its task, with the model's server running.

    Raises:
        UserError: There is no holdout, a prompt is not answered, or the server returns no
            log-probabilities.
    """
    rows = [row for row in preset.sent_coverage if row.split == HOLDOUT_SPLIT]
    if not rows:
        raise UserError(f"The coverage dataset of {preset.preset} has no holdout row.")
    patient = preset.settings.model.model_copy(
        update={"queue_length": len(rows), "queue_seconds": _PATIENT_SECONDS}
    )
    task = task.model_copy(update={"measures_confidence": True})
    session = open_session()
    model = LocalModel(task, lambda: session, patient, preset.settings.breakers)
    asking = [asyncio.create_task(_ask(model, row)) for row in rows]
    try:
        return list(await asyncio.gather(*asking))
    finally:
        for rest in asking:  # where one of them failed
            rest.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await session.close()


async def measure(preset: ServedPreset, scorer: PairScorer) -> ConfidenceReport:
    """Start the tuned model, ask it every holdout prompt, and choose the threshold.

    Args:
        preset: With its coverage rows.
        scorer: Says which answers are right.

    Raises:
        UserError: See `ask_holdout` and `make_report`, or the model does not start.
    """
    models = TunedModels([preset])
    try:
        [task] = await models.load(None)
        answers = await ask_holdout(preset, task)
    finally:
        await models.close()
    return await asyncio.to_thread(make_report, preset, task, answers, scorer)


def make_report(
    preset: ServedPreset, task: ServedTask, answers: Sequence[Answered], scorer: PairScorer
) -> ConfidenceReport:
    """Score the answers and choose the threshold.

    Raises:
        UserError: The judge fails.
    """
    scores = scorer.score(
        [JudgedResponse(each.row.prompt, each.row.output, each.text) for each in answers]
    )
    graded = [
        Graded(each.confidence, score.covered) for each, score in zip(answers, scores, strict=True)
    ]
    unscored = sum(not score.scored for score in scores)
    wanted = preset.settings.confidence.right_percent
    choice = choose(graded, wanted)
    return ConfidenceReport(
        task=task.name,
        model_version=task.model_version,
        slots=task.slots,
        scorer=scorer.name,
        wanted_percent=wanted,
        chosen=choice.kept,
        reason=choice.reason
        + (
            f" {unscored} of {len(scores)} answers could not be scored and count as not covered."
            if unscored
            else ""
        ),
        curve=curve(graded),
        rows={
            each.row.id: ConfidenceRow(
                confidence=each.confidence, right=score.covered, seconds=round(each.seconds, 3)
            )
            for each, score in zip(answers, scores, strict=True)
        },
    )


async def _ask(model: LocalModel, row: CoverageRow) -> Answered:
    messages = turns_of(row.prompt)
    started = time.monotonic()
    try:
        answer = await model.answer_unchecked(
            Ask(model="", stream=None, system="", messages=messages), messages
        )
    except ModelFailedError as error:
        raise UserError(f"The holdout prompt {row.id} was not answered: {error}.") from error
    if answer.confidence is None:
        raise UserError(
            "The tuned model's server returns no log-probabilities (`logprobs` of OpenAI's "
            "protocol). Leave serving.model.url unset for llama.cpp's server, or choose one that "
            "does."
        )
    return Answered(row, answer.text, answer.confidence, time.monotonic() - started)
