"""Turns coverage rows and a generate function into response rows; knows nothing of the model."""

import importlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from components.errors import UserError
from components.records import CoverageRow, ResponseRow
from components.response_gen.few_shot import few_shot_prompt, first_answer
from components.response_gen.settings import GenerationSettings

GenerateFn = Callable[..., list[list[tuple[str, str]]]]


def load_generate_fn(dotted: str) -> GenerateFn:
    """The function behind a dotted path.

    Raises:
        UserError: The path names no module, or no function in it.
    """
    module_name, _, name = dotted.rpartition(".")
    try:
        function = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"generate_fn {dotted!r} cannot be loaded: {error}. "
            "Give the dotted path of a function, for example models.generate.generate_fn."
        ) from error
    if not callable(function):
        raise UserError(f"generate_fn {dotted!r} is a {type(function).__name__}, not a function.")
    return function


def respond(
    rows: Sequence[CoverageRow],
    generate_fn: GenerateFn,
    settings: GenerationSettings,
    *,
    model_dir: str = "",
    preset: str = "",
) -> list[ResponseRow]:
    """Answers every coverage row with the model.

    Args:
        rows: The coverage rows.
        generate_fn: Called once with `model_dir`, `preset`, `prompts` and `settings`; returns for
            each prompt its samples, each a response and `stop` or `length`.
        settings: How to generate.
        model_dir: Folder that the Trainer wrote, local or `gs://`.
        preset: A base model. Exactly one of `model_dir` and `preset` is given.

    Returns:
        The responses, sorted by id and sample.

    Raises:
        UserError: Both or none of `model_dir` and `preset` are given, or an id appears twice.
        ValueError: `generate_fn` returned another number of prompts or samples than was asked for.
    """
    if bool(model_dir) == bool(preset):
        raise UserError(
            f"ResponseGen received model {model_dir!r} and preset {preset!r}. "
            "Give it a trained model or a preset, and not both."
        )
    ordered = sorted(rows, key=lambda row: row.id)
    _check_ids(ordered)
    prompts = [_asked(row, ordered, settings) for row in ordered]
    answers = generate_fn(
        model_dir=model_dir, preset=preset, prompts=prompts, settings=settings.model_dump()
    )
    if [len(samples) for samples in answers] != [settings.samples] * len(ordered):
        raise ValueError(
            f"generate_fn returned {len(answers)} prompts with {[len(a) for a in answers][:5]}... "
            f"samples; asked were {len(ordered)} prompts with {settings.samples} each."
        )
    return [
        _response(row, text, finish, sample, few_shot=settings.few_shot > 0)
        for row, samples in zip(ordered, answers, strict=True)
        for sample, (text, finish) in enumerate(samples)
    ]


def _asked(row: CoverageRow, rows: Sequence[CoverageRow], settings: GenerationSettings) -> str:
    if not settings.few_shot:
        return row.prompt
    return few_shot_prompt(row, rows, settings.few_shot, settings.instruction)


def _check_ids(ordered: Sequence[CoverageRow]) -> None:
    for before, after in itertools.pairwise(ordered):
        if before.id == after.id:
            raise UserError(
                f"The coverage id {before.id!r} appears twice. Give every coverage row its own id."
            )


def _response(
    row: CoverageRow, text: str, finish: Any, sample: int, *, few_shot: bool
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
    )
