"""What a round of generation will ask the service LLM."""

import json
import math
from collections.abc import Iterator, Sequence

from components.records import CoverageRow
from components.service_llm.embedding import Embedding
from components.service_llm.estimate import Expected
from components.service_llm.types import Request
from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.plan import PlannedRequest, make_plan
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.settings import SynthSettings

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


def expected_requests(builder: RequestBuilder, *, round: int) -> Iterator[Expected]:
    """Requests like those of a round: as many, and of the same lengths.

    Args:
        builder: Makes the requests; new prompts are taken to be like its seeds.
        round: The round, from 1; attributes are proposed in the first one only.
    """
    settings, seeds = builder.settings, builder.seeds
    if round == 1 and settings.attributes is None:
        values = sum(len("".join(pair)) for _, pair in _TYPICAL) // 2
        yield Expected(builder.attributes(), values * _TYPICAL_VALUES)
    plan = make_plan(
        uniform_weights(seeds),
        settings.attributes or _TYPICAL,
        settings,
        round=round,
        batch=0,
        prompts=math.ceil(settings.rows_per_round / _KEPT_SHARE),
    )
    by_id = {seed.id: seed for seed in seeds}
    for planned in plan:
        request = builder.prompts(planned, round=round, batch=0)
        yield Expected(request, _length({"prompts": _prompts_like(planned, by_id)}))
    for row in range(settings.rows_per_round):
        yield from _of_row(builder, seeds[row % len(seeds)], _others(seeds, row))


def expected_embeddings(
    rows: Sequence[CoverageRow], settings: SynthSettings, *, round: int
) -> Iterator[Expected]:
    """Requests like those that a round makes of an embedding model; their replies have no tokens.

    Args:
        rows: The coverage dataset, which is embedded in the first round; new prompts are taken to
            be like it.
        settings: Sizes of a round.
        round: The round, from 1.
    """
    new = math.ceil(settings.rows_per_round / _KEPT_SHARE)
    for number in range(new + (len(rows) if round == 1 else 0)):
        yield Expected(Request(rows[number % len(rows)].prompt, Embedding), 0)


def _prompts_like(planned: PlannedRequest, by_id: dict[str, CoverageRow]) -> list[str]:
    return [by_id[wanted.like_seed].prompt for wanted in planned.wanted]


def _others(seeds: Sequence[CoverageRow], row: int) -> list[CoverageRow]:
    """All seeds, from another one on for each row, the row's own last."""
    start = (row + 1) % len(seeds)
    return [*seeds[start:], *seeds[:start]]


def _of_row(
    builder: RequestBuilder, like: CoverageRow, shown: Sequence[CoverageRow]
) -> Iterator[Expected]:
    reply = _length({"output": like.output})
    for request in builder.answers(
        like.prompt, shown[: builder.settings.examples_per_request], tag=""
    ):
        yield Expected(request, reply)
    if builder.settings.quality_filter:
        yield Expected(builder.score(like.prompt, like.output, tag=""), _REASON_CHARACTERS)


def _length(reply: dict[str, object]) -> int:
    return len(json.dumps(reply, ensure_ascii=False))
