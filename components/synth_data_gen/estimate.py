"""Estimates the requests of a round of generation."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.logged import missing_rows
from components.synth_data_gen.plan import PlannedRequest
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.schemas import AttributeSets
from core.example_budget import examples_shown
from core.records import CoverageRow
from service_llm.estimate import Expected
from service_llm.types import Request
from service_llm.vector import Embedding
from task.form import OutputForm

_KEPT_SHARE = 0.9  # of the prompts that are written; the filters take the others
_BUILT_SCORES = 200  # requests that stand for all scores of logged exchanges
_REASON_CHARACTERS = 60  # of one sentence; 57 in a run with a capable LLM
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


class ExpectedLogged(NamedTuple):
    """What logged exchanges are taken to become in the round that reads them.

    Attributes:
        read: Exchanges read.
        fitting: Those of the right form; all may be scored, unless other filters drop them before.
    """

    read: int = 0
    fitting: Sequence[CoverageRow] = ()


def expected_logged(rows: Sequence[CoverageRow], form: OutputForm, round: int) -> ExpectedLogged:
    """Return what becomes of logged exchanges; nothing after the first round.

    Args:
        rows: The logged exchanges.
        form: What outputs look like.
        round: The round, from 1.
    """
    if round > 1:
        return ExpectedLogged()
    misfits = {misfit.row for misfit in form.misfits([row.output for row in rows])}
    return ExpectedLogged(len(rows), [row for n, row in enumerate(rows) if n not in misfits])


def expected_missing(
    builder: RequestBuilder, logged: ExpectedLogged, labels: frozenset[str] = frozenset()
) -> int:
    """Return how many rows a round generates, of what logged exchanges leave missing.

    Exchanges without tags are taken to be of all kinds.

    Args:
        builder: Has the seeds and the size of a round.
        logged: The logged exchanges.
        labels: All legal outputs, where outputs are labels.
    """
    seeds, wanted = builder.seeds, builder.settings.rows_per_round
    if not logged.fitting:
        return wanted
    kept = [
        Candidate(
            position=(-1, 0, number),
            prompt=row.prompt,
            like_seed=seeds[number % len(seeds)].id,
            output=row.output,
            tags=row.tags,
        )
        for number, row in enumerate(
            _evenly(logged.fitting, math.floor(len(logged.fitting) * _KEPT_SHARE))
        )
    ]
    return missing_rows(seeds, kept, wanted, labels).rows


def expected_requests(
    builder: RequestBuilder, *, round: int, rows: int, logged: ExpectedLogged
) -> Iterator[Expected]:
    """Yield requests like those of a round: as many, and of the same lengths.

    Args:
        builder: Makes the requests; new prompts are taken to be like its seeds.
        round: The round, from 1; attributes are proposed in the first one only.
        rows: Rows to generate; see `expected_missing`.
        logged: The logged exchanges of the round.
    """
    settings, seeds = builder.settings, builder.seeds
    yield from expected_logged_scores(builder, logged)
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
        yield Expected(request, _length({"messages": _messages_like(planned, by_id)}))
    for row in range(rows):
        # The row's own seed would be the last of all.
        shown = _from(seeds, row + 1, examples_shown(settings.examples_per_request, len(seeds)))
        yield from _of_row(builder, seeds[row % len(seeds)], shown)


def expected_logged_scores(builder: RequestBuilder, logged: ExpectedLogged) -> Iterator[Expected]:
    """Yield requests like those that score logged exchanges; none where they are not scored.

    Args:
        builder: Makes the requests.
        logged: The logged exchanges.
    """
    if not (builder.settings.quality_filter and builder.settings.score_logged):
        return
    rows = logged.fitting
    shown = _evenly(rows, _BUILT_SCORES)
    for number, row in enumerate(shown):
        times = len(rows) // len(shown) + (number < len(rows) % len(shown))
        yield _score_of(builder, row)._replace(times=times)


def expected_leak_judgements(
    builder: RequestBuilder, coverage: Sequence[CoverageRow], *, rows: int, logged: ExpectedLogged
) -> Iterator[Expected]:
    """Yield requests like those of a round to the leak judge; none where it is off.

    Args:
        builder: Makes the requests; new prompts are taken to be like its seeds.
        coverage: The coverage dataset, whose prompts the judge is shown.
        rows: Rows to generate.
        logged: The logged exchanges of the round.
    """
    settings, seeds = builder.settings, builder.seeds
    if not settings.leak_judge:
        return
    for number in range(logged.read + rows):
        shown = _from(coverage, number, settings.leak_judge_rows)
        request = builder.leak(seeds[number % len(seeds)].prompt, shown, tag="")
        yield Expected(request, _REASON_CHARACTERS)


def expected_embeddings(
    coverage: Sequence[CoverageRow], *, round: int, rows: int, logged: ExpectedLogged
) -> Iterator[Expected]:
    """Yield requests like those of a round to an embedding model; embeddings have no output tokens.

    Args:
        coverage: The coverage dataset, which is embedded in the first round; new prompts are taken
            to be like it.
        round: The round, from 1.
        rows: Rows to generate.
        logged: The logged exchanges of the round, all of which are embedded.
    """
    new = math.ceil(rows / _KEPT_SHARE) + logged.read + (len(coverage) if round == 1 else 0)
    for number in range(new):
        yield Expected(Request(coverage[number % len(coverage)].prompt, Embedding), 0)


def _messages_like(
    planned: PlannedRequest, by_id: dict[str, CoverageRow]
) -> list[dict[str, object]]:
    return [
        {"number": number, "message": by_id[wanted.like_seed].prompt}
        for number, wanted in enumerate(planned.wanted, start=1)
    ]


def _evenly(rows: Sequence[CoverageRow], count: int) -> Sequence[CoverageRow]:
    """Pick so many rows at equal distances; all where there are no more."""
    count = min(count, len(rows))
    return [rows[n * len(rows) // count] for n in range(count)]


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
        yield _score_of(builder, like)


def _score_of(builder: RequestBuilder, like: CoverageRow) -> Expected:
    reply = {"own_output": like.output, "difference": "none", "reason": "", "score": 5}
    request = builder.score(like.prompt, like.output, tag="")
    return Expected(request, _length(reply) + _REASON_CHARACTERS)


def _length(reply: dict[str, object]) -> int:
    return len(json.dumps(reply, ensure_ascii=False))
