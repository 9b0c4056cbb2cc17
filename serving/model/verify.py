"""Whether a served model still answers as it did at its evaluation."""

import asyncio
from collections.abc import Sequence

from core.errors import UserError
from core.records import VerdictRow
from serving.model.engine import Engine, EngineError
from serving.model.kept_round import KeptRound

# Greedy answers of another runtime differ where two tokens are nearly as likely; an answer of
# another model or chat template differs nearly always.
_MIN_EQUAL_SHARE = 0.5


async def check_answers(engine: Engine, rows: Sequence[VerdictRow], kept: KeptRound) -> None:
    """Ask a few coverage prompts and compare with the responses of the evaluation.

    Raises:
        UserError: A prompt is not answered, or fewer than half of the answers are the evaluated
            ones but for white space.
    """
    try:
        answers = await asyncio.gather(
            *(engine.generate(row.prompt, kept.max_output_tokens) for row in rows)
        )
    except EngineError as error:
        raise UserError(f"The model of round {kept.round} does not answer: {error}") from error
    equal = sum(
        answer.text.split() == row.response.split()
        for answer, row in zip(answers, rows, strict=True)
    )
    if equal < _MIN_EQUAL_SHARE * len(rows):
        raise UserError(
            f"Only {equal} of {len(rows)} coverage prompts are answered as in the evaluation of "
            f"round {kept.round}, so {engine.url} serves another model, or with another chat "
            "template. Nothing was changed."
        )
