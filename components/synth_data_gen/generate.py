"""Runs one round: plan, write prompts, filter, answer, check, and again until there is enough.

Replies arrive in any order; everything is put back into the plan's order before it is judged, so
the same replies give the same rows.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.filters.prompt_filter import PromptFilter
from components.synth_data_gen.plan import PlannedRequest
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.rows import Candidate
from components.synth_data_gen.schemas import AttributeSets, ProposedConversations, ProposedPrompts
from components.synth_data_gen.service import gather
from components.synth_data_gen.settings import SynthSettings
from core.errors import UserError
from core.synthetic_records import Dropped
from service_llm.errors import ServiceLLMError
from service_llm.types import ServiceClient

_MIN_YIELD = 0.1  # a refill never asks for more than ten times what is missing


@dataclasses.dataclass(frozen=True)
class Generation:
    """What a round brought.

    Every prompt asked for is accounted for: `requested` equals the kept ones, all dropped counts,
    and `surplus` together.

    Attributes:
        kept: The rows' candidates, in plan order.
        dropped: What the filters dropped.
        requested: Prompts asked for.
        generated: Prompts that came back.
        surplus: Good prompts that were not needed and never answered.
    """

    kept: list[Candidate]
    dropped: list[Dropped]
    requested: int
    generated: int
    surplus: int

    def dropped_counts(self) -> dict[str, int]:
        """How many candidates each filter dropped."""
        counts: Counter[str] = Counter()
        for dropped in self.dropped:
            counts[dropped.reason] += dropped.count
        return dict(sorted(counts.items()))


class TooFewRowsError(UserError):
    """The filters left too little to train on."""


def propose_attributes(service: ServiceClient, builder: RequestBuilder) -> AttributeSets:
    """Let the service LLM propose the values that plans draw from.

    Raises:
        UserError: It gave no usable proposal.
    """
    (result,) = service.map([builder.attributes()])
    try:
        proposed: AttributeSets = result.required()
    except ServiceLLMError as error:
        raise UserError(
            f"The service LLM proposed no attributes for the plan. {error} Or write them"
            " yourself, in the preset: synth.attributes with some of"
            f" {', '.join(AttributeSets.model_fields)}, each a list of short texts."
        ) from error
    return proposed


def generate(
    service: ServiceClient,
    builder: RequestBuilder,
    prompt_filter: PromptFilter,
    answerer: Answerer,
    *,
    rows: int | None = None,
    present: int = 0,
    weights: Mapping[str, float],
    attributes: AttributeSets,
    round: int,
) -> Generation:
    """Generate until enough rows are kept or the bound on prompts is reached.

    Args:
        service: The service LLM.
        builder: Makes the requests; its settings hold the sizes and bounds.
        prompt_filter: Judges prompts before they are answered.
        answerer: Answers prompts and judges the answers.
        rows: Rows to generate, `rows_per_round` by default; with 0 nothing is requested.
        present: Rows that the round has without them.
        weights: Weight by seed id.
        attributes: The values that plans draw from.
        round: The round, from 1.

    Raises:
        TooFewRowsError: Less than `min_rows_fraction` of `rows_per_round` is there.
    """
    settings = builder.settings
    rows = settings.rows_per_round if rows is None else rows
    bound = math.ceil(rows * (1 + settings.max_extra_requests))
    kept: list[Candidate] = []
    pool: list[Candidate] = []
    dropped: list[Dropped] = []
    requested = generated = batch = 0
    while len(kept) < rows:
        missing = rows - len(kept)
        if not pool:
            if requested >= bound:
                break
            wanted = min(_refill(missing, len(kept), requested), bound - requested)
            plan = builder.plan(weights, attributes, round=round, batch=batch, prompts=wanted)
            written, lost = _write_prompts(service, builder, plan, round=round, batch=batch)
            pool, repeated = prompt_filter.apply(written)
            dropped += lost + repeated
            requested += wanted
            generated += len(written)
            batch += 1
        answered, lost = answerer.answer(pool[:missing])
        pool = pool[missing:]
        kept += answered
        dropped += lost
    result = Generation(kept, dropped, requested, generated, len(pool))
    _require_enough(result, settings, present)
    return result


def _refill(missing: int, kept: int, requested: int) -> int:
    """Prompts to ask for, judged by the share that was kept so far."""
    if requested == 0:
        return missing
    return math.ceil(missing / max(kept / requested, _MIN_YIELD))


def _write_prompts(
    service: ServiceClient,
    builder: RequestBuilder,
    plan: Sequence[PlannedRequest],
    *,
    round: int,
    batch: int,
) -> tuple[list[Candidate], list[Dropped]]:
    requests = (builder.prompts(planned, round=round, batch=batch) for planned in plan)
    replies = gather(service, requests, total=len(plan), what="prompt requests")
    written: list[Candidate] = []
    dropped: list[Dropped] = []
    for planned in plan:
        (result,) = replies[str(planned.number)]
        if not isinstance(result.value, ProposedPrompts | ProposedConversations):
            reason = result.error or "bad_output"
            detail = "the request for these prompts brought none"
            dropped.append(Dropped(reason, detail, output=result.raw, count=len(planned.wanted)))
            continue
        numbers = range(1, len(planned.wanted) + 1)
        proposed = result.value.by_number
        prompts = {n: proposed[n].strip() for n in numbers if n in proposed}
        written += [
            Candidate(
                position=(batch, planned.number, number - 1),
                prompt=prompts[number],
                seed_ids=planned.seed_ids,
                like_seed=wanted.like_seed,
                attributes=wanted.attributes,
                prompt_model_version=result.model_version,
            )
            for number, wanted in enumerate(planned.wanted, start=1)
            if number in prompts
        ]
        if len(prompts) < len(planned.wanted):
            count = len(planned.wanted) - len(prompts)
            dropped.append(Dropped("missing", "fewer prompts than asked for", count=count))
    return written, dropped


def _require_enough(result: Generation, settings: SynthSettings, present: int) -> None:
    least = max(2, math.ceil(settings.rows_per_round * settings.min_rows_fraction))
    if len(result.kept) + present >= least:
        return
    logged = f", and {present} logged ones" if present else ""
    raise TooFewRowsError(
        f"Only {len(result.kept)} of {settings.rows_per_round} rows are left of"
        f" {result.requested} prompts asked for{logged}; at least {least} are needed. The"
        f" filters dropped: {_dropped(result)}. Loosen the filter that dropped most, vary the seeds"
        " or attributes, or raise `max_extra_requests`."
    )


def _dropped(result: Generation) -> str:
    """Say what each filter dropped, with an example of the one that dropped most."""
    counts = result.dropped_counts()
    if not counts:
        return "nothing"
    most = max(counts, key=lambda reason: counts[reason])
    example = next(dropped.detail for dropped in result.dropped if dropped.reason == most)
    took = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return f"{took} (one {most}: {example})"
