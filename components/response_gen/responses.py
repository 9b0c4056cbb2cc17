"""Turns coverage rows and a generate function into response rows, whatever the model."""

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from components.response_gen.few_shot import few_shot_prompt, first_answer
from components.response_gen.settings import GenerationSettings
from core.errors import UserError
from core.records import CoverageRow, ResponseRow
from core.reports.operation import GenerationTimes
from core.timed_answers import TimedAnswers

Finish = Literal["stop", "length"]
GenerateFn = Callable[..., list[list[tuple[str, Finish]]]]
_LONGEST = 16  # in characters; which of them has most tokens is for the model to say


class Responses(NamedTuple):
    """Response rows, and how long they took; None where the generate function does not say."""

    rows: list[ResponseRow]
    times: GenerationTimes | None


def respond(
    rows: Sequence[CoverageRow],
    generate_fn: GenerateFn,
    settings: GenerationSettings,
    *,
    model_dir: str = "",
    preset: str = "",
    pool: Sequence[CoverageRow] = (),
) -> Responses:
    """Answer every coverage row with the model.

    Args:
        rows: The coverage rows that are answered.
        generate_fn: Called once with `model_dir`, `preset`, `prompts` and `settings`, a dict, which
            has `references`, the longest ones, too; returns for each prompt its samples, each a
            response and `stop` or `length`.
        settings: How to generate.
        model_dir: Folder that the Trainer wrote, local or `gs://`.
        preset: A base model. Exactly one of `model_dir` and `preset` is given.
        pool: Rows whose seeds are shown as examples, so that a sample is asked as all are; empty
            for `rows`.

    Returns:
        The responses, sorted by id and sample, with their times.

    Raises:
        UserError: Both `model_dir` and `preset` are given, or neither, or an id appears twice.
        ValueError: `generate_fn` returned a different number of prompts or samples than requested.
    """
    if bool(model_dir) == bool(preset):
        raise UserError(
            f"ResponseGen received model {model_dir!r} and preset {preset!r}. "
            "Give it a trained model or a preset, and not both."
        )
    ordered = sorted(rows, key=lambda row: row.id)
    _check_ids(ordered)
    shown = sorted(pool, key=lambda row: row.id) or ordered
    prompts = [_asked(row, shown, settings) for row in ordered]
    answers = generate_fn(
        model_dir=model_dir,
        preset=preset,
        prompts=prompts,
        settings=settings.model_dump() | {"references": _longest_outputs(shown)},
    )
    if [len(samples) for samples in answers] != [settings.samples] * len(ordered):
        raise ValueError(
            f"generate_fn returned {len(answers)} prompts with {[len(a) for a in answers][:5]}... "
            f"samples; {len(ordered)} prompts with {settings.samples} each were requested."
        )
    responses = [
        _response(row, text, finish, sample, few_shot=settings.few_shot > 0)
        for row, samples in zip(ordered, answers, strict=True)
        for sample, (text, finish) in enumerate(samples)
    ]
    return Responses(responses, answers.times if isinstance(answers, TimedAnswers) else None)


def _asked(row: CoverageRow, rows: Sequence[CoverageRow], settings: GenerationSettings) -> str:
    if not settings.few_shot:
        return row.prompt
    return few_shot_prompt(
        row, rows, settings.few_shot, settings.instruction, tokens=settings.max_example_tokens
    )


def _longest_outputs(rows: Sequence[CoverageRow]) -> list[str]:
    """Return those from which `max_output_tokens` follows where it is not set."""
    return sorted({row.output for row in rows}, key=len)[-_LONGEST:]


def _check_ids(ordered: Sequence[CoverageRow]) -> None:
    for before, after in itertools.pairwise(ordered):
        if before.id == after.id:
            raise UserError(
                f"The coverage id {before.id!r} appears twice. Give every coverage row its own id."
            )


def _response(
    row: CoverageRow, text: str, finish: Finish, sample: int, *, few_shot: bool
) -> ResponseRow:
    response = first_answer(text) if few_shot else text
    went_on = few_shot and response != text.strip()
    return ResponseRow(
        id=row.id,
        prompt=row.prompt,
        output=row.output,
        split=row.split,
        tags=row.tags,
        response=response,
        finish="stop" if went_on else finish,
        sample=sample,
        references=row.references,
    )
