"""Estimates the requests of a round of generation."""

import json
import math
from collections.abc import Iterator, Sequence

from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.plan import PlannedRequest
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings
from core.records import CoverageRow
from service_llm.estimate import Expected
from service_llm.types import Request
from service_llm.vector import Embedding

_KEPT_SHARE = 0.9  # of the prompts that are written; the filters take the others
_REASON_CHARACTERS = 200
# As long as what is usually proposed; used for its length alone.
_TYPICAL = AttributeSets(
    persona=["a parent who is in a hurry", "a retired engineer who tries everything first"],
    difficulty=["simple", "two wishes in one message"],
    length=["one sentence", "a long story of several paragraphs"],
    tone=["polite", "angry and impatient"],
    format=["plain text", "an email with a greeting"],
    language=["English", "English of somebody who learned it late"],
    edge_case=["a misspelled name", "the wish is only hinted at"],
)
_TYPICAL_VALUES = 8  # proposed for each attribute


def expected_requests(
    builder: RequestBuilder, *, round: int, logged: int = 0
) -> Iterator[Expected]:
    """Yield requests like those of a round: as many, and of the same lengths.

    Args:
        builder: Makes the requests; new prompts are taken to be like its seeds.
        round: The round, from 1; attributes are proposed in the first one only.
        logged: Logged exchanges, which are rows of the first round; they are taken to be of all
            kinds, and as long as the seeds.
    """
    settings, seeds = builder.settings, builder.seeds
    present = math.floor(logged * _KEPT_SHARE) if round == 1 else 0
    rows = max(0, settings.rows_per_round - present)
    if present and settings.quality_filter:
        for row in range(present):
            like = seeds[row % len(seeds)]
            yield Expected(builder.score(like.prompt, like.output, tag=""), _REASON_CHARACTERS)
    if not rows:
        return
    if round == 1 and settings.attributes is None:
        values = sum(len("".join(pair)) for _, pair in _TYPICAL) // 2
        yield Expected(builder.attributes(), values * _TYPICAL_VALUES)
    plan = builder.plan(
        uniform_weights(seeds),
        settings.attributes or _TYPICAL,
        round=round,
        batch=0,
        prompts=math.ceil(rows / _KEPT_SHARE),
    )
    by_id = {seed.id: seed for seed in seeds}
    for planned in plan:
        request = builder.prompts(planned, round=round, batch=0)
        yield Expected(request, _length({"prompts": _prompts_like(planned, by_id)}))
    for row in range(rows):
        # The row's own seed would be the last of all.
        shown = _from(seeds, row + 1, settings.examples_per_request)
        yield from _of_row(builder, seeds[row % len(seeds)], shown)


def expected_leak_judgements(
    builder: RequestBuilder, rows: Sequence[CoverageRow], *, round: int, logged: int = 0
) -> Iterator[Expected]:
    """Yield requests like those of a round to the leak judge; none where it is off.

    Args:
        builder: Makes the requests; new prompts are taken to be like its seeds.
        rows: The coverage dataset, whose prompts the judge is shown.
        round: The round, from 1.
        logged: Logged exchanges, which are judged in the first round.
    """
    settings, seeds = builder.settings, builder.seeds
    if not settings.leak_judge:
        return
    judged = logged if round == 1 else 0
    missing = max(0, settings.rows_per_round - math.floor(judged * _KEPT_SHARE))
    for number in range(judged + missing):
        shown = _from(rows, number, settings.leak_judge_rows)
        request = builder.leak(seeds[number % len(seeds)].prompt, shown, tag="")
        yield Expected(request, _REASON_CHARACTERS)


def expected_embeddings(
    rows: Sequence[CoverageRow], settings: SynthSettings, *, round: int, logged: int = 0
) -> Iterator[Expected]:
    """Yield requests like those of a round to an embedding model; embeddings have no output tokens.

    Args:
        rows: The coverage dataset, which is embedded in the first round; new prompts are taken to
            be like it.
        settings: Sizes of a round.
        round: The round, from 1.
        logged: Logged exchanges, all of which are embedded in the first round.
    """
    new = math.ceil(settings.rows_per_round / _KEPT_SHARE)
    if round == 1:
        missing = max(0, settings.rows_per_round - math.floor(logged * _KEPT_SHARE))
        new = math.ceil(missing / _KEPT_SHARE) + logged + len(rows)
    for number in range(new):
        yield Expected(Request(rows[number % len(rows)].prompt, Embedding), 0)


def _prompts_like(planned: PlannedRequest, by_id: dict[str, CoverageRow]) -> list[str]:
    return [by_id[wanted.like_seed].prompt for wanted in planned.wanted]


def _from(rows: Sequence[CoverageRow], start: int, count: int) -> list[CoverageRow]:
    """Return so many rows from a place on, and from the beginning after the last one."""
    return [rows[n % len(rows)] for n in range(start, start + min(count, len(rows)))]


def _of_row(
    builder: RequestBuilder, like: CoverageRow, shown: Sequence[CoverageRow]
) -> Iterator[Expected]:
    reply = _length({"output": like.output})
    for request in builder.answers(like.prompt, shown, tag=""):
        yield Expected(request, reply)
    if builder.settings.quality_filter:
        yield Expected(builder.score(like.prompt, like.output, tag=""), _REASON_CHARACTERS)


def _length(reply: dict[str, object]) -> int:
    return len(json.dumps(reply, ensure_ascii=False))
