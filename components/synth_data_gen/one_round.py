"""One round on plain rows: what is aimed at, what the plan draws from, and then the generation."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from components.records import CoverageRow
from components.synth_data_gen import aim
from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.filters import Embed, PromptFilter
from components.synth_data_gen.generate import Generation, generate, propose_attributes
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.schemas import AttributeSets
from components.synth_data_gen.service import Service
from components.synth_data_gen.validate import infer_form


@dataclasses.dataclass(frozen=True)
class Before:
    """What a round finds.

    Attributes:
        coverage: Seeds and holdout rows.
        prompts: The prompts of the rounds before.
        attributes: What their plans drew from; None in the first round.
        verdicts: Of the last evaluation; None without one.
    """

    coverage: Sequence[CoverageRow]
    prompts: Sequence[str] = ()
    attributes: AttributeSets | None = None
    verdicts: Sequence[aim.Verdict] | None = None


class Outcome(NamedTuple):
    """What a round brings.

    Attributes:
        generation: The new rows, and what was dropped.
        attributes: What the plan drew from.
        weights: How often each seed was shown, relative to the mean of 1.
    """

    generation: Generation
    attributes: AttributeSets
    weights: dict[str, float]


def run_round(
    service: Service,
    builder: RequestBuilder,
    before: Before,
    *,
    embed: Embed | None,
    round: int,
) -> Outcome:
    """Generates one round.

    The generator sees the seeds; the holdout goes to the filter that compares with it.

    Args:
        service: The service LLM.
        builder: Makes the requests, from settings and seeds.
        before: What came before.
        embed: Turns texts into vectors; None leaves the comparison by meaning out.
        round: The round, from 1.

    Raises:
        UserError: The service LLM cannot be used, or too little is left to train on.
    """
    settings = builder.settings
    attributes = settings.attributes or before.attributes or propose_attributes(service, builder)
    weights = aim.uniform_weights(builder.seeds)
    if settings.aim and before.verdicts is not None:
        weights = aim.aimed_weights(builder.seeds, before.verdicts, settings.aim_floor)
    generation = generate(
        service,
        builder,
        PromptFilter(before.coverage, before.prompts, settings, embed),
        Answerer(service, builder, infer_form([seed.output for seed in builder.seeds])),
        weights=weights,
        attributes=attributes,
        round=round,
    )
    return Outcome(generation, attributes, weights)
