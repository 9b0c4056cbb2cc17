"""One round on plain rows: what is aimed at, what the plan draws from, and then the generation."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from components.synth_data_gen import aim
from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.filters.leak_judge import LeakJudge
from components.synth_data_gen.filters.prompt_filter import PromptFilter
from components.synth_data_gen.filters.row_filter import RowFilter
from components.synth_data_gen.generate import Generation, generate, propose_attributes
from components.synth_data_gen.logged import Logged, filter_logged, missing_rows
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.schemas import AttributeSets
from core.records import CoverageRow, VerdictRow
from core.synthetic_records import Dropped
from service_llm.types import ServiceClient
from task.form import infer_form
from task.nearest import Embed


@dataclasses.dataclass(frozen=True)
class RoundInputs:
    """What a round starts from.

    Attributes:
        coverage: Seeds and holdout rows.
        prompts: The prompts of the rounds before.
        outputs: Their outputs.
        logged: Logged exchanges that become rows of this round.
        attributes: What their plans drew from; None in the first round.
        verdicts: Of the last evaluation; None without one.
    """

    coverage: Sequence[CoverageRow]
    prompts: Sequence[str] = ()
    outputs: Sequence[str] = ()
    logged: Sequence[CoverageRow] = ()
    attributes: AttributeSets | None = None
    verdicts: Sequence[VerdictRow] | None = None


class RoundOutputs(NamedTuple):
    """What a round makes.

    Attributes:
        generation: The new rows, and what was dropped.
        logged: What became of the logged exchanges.
        attributes: What the plan drew from; None where nothing has been generated yet.
        weights: How often each seed was shown, relative to the mean of 1.
    """

    generation: Generation
    logged: Logged
    attributes: AttributeSets | None
    weights: dict[str, float]

    @property
    def dropped(self) -> list[Dropped]:
        """What the filters dropped, logged exchanges first."""
        return [*self.logged.dropped, *self.generation.dropped]


def run_round(
    service: ServiceClient,
    builder: RequestBuilder,
    inputs: RoundInputs,
    *,
    embed: Embed | None,
    round: int,
    judge: ServiceClient | None = None,
) -> RoundOutputs:
    """Generate one round.

    The generator sees the seeds; the holdout goes to the filter that compares with it.

    Args:
        service: The service LLM.
        builder: Makes the requests, from settings and seeds.
        inputs: What the rounds before left.
        embed: Turns texts into vectors; None leaves the comparison by meaning out.
        round: The round, from 1.
        judge: The judge LLM where the settings want it to look for leaks; None without.

    Raises:
        UserError: The service LLM cannot be used, or too little is left to train on.
    """
    settings = builder.settings
    form = infer_form([seed.output for seed in builder.seeds], builder.task.output_schema)
    leak_judge = LeakJudge(judge, builder, inputs.coverage, embed) if judge else None
    prompt_filter = PromptFilter(inputs.coverage, inputs.prompts, settings, embed, leak_judge)
    row_filter = RowFilter(
        inputs.coverage,
        list(zip(inputs.prompts, inputs.outputs, strict=True)),
        form,
        prompt_filter.similarity,
    )
    answerer = Answerer(service, builder, form, embed, row_filter)
    weights = aim.uniform_weights(builder.seeds)
    rows = settings.rows_per_round
    logged = Logged()
    if inputs.logged:
        logged = filter_logged(inputs.logged, builder.seeds, prompt_filter, answerer)
        rows, weights = missing_rows(
            builder.seeds, logged.kept, settings.rows_per_round, form.labels
        )
    if settings.aim and inputs.verdicts is not None:
        weights = aim.aimed_weights(
            builder.seeds,
            inputs.verdicts,
            settings.aim_floor,
            inputs.outputs,
            references=[row.output for row in inputs.coverage],
        )
    attributes = settings.attributes or inputs.attributes
    if rows and attributes is None:
        attributes = propose_attributes(service, builder)
    generation = generate(
        service,
        builder,
        prompt_filter,
        answerer,
        rows=rows,
        present=len(logged.kept),
        weights=weights,
        attributes=attributes or AttributeSets.unconstrained(),
        round=round,
    )
    return RoundOutputs(generation, logged, attributes, weights)
