"""What a run will ask of the service LLMs, and what that costs, before anything is spent."""

import dataclasses
from collections.abc import Sequence

from components.coverage_example_gen.reader import read_coverage
from components.llm_evaluator import estimate as evaluation
from components.records import SEED_SPLIT, CoverageRow
from components.service_llm.estimate import expected_usage, least_minutes
from components.service_llm.types import Usage
from components.synth_data_gen import estimate as synthesis
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.validate import infer_form
from pipeline.config import Config

_GENERATED_BASELINES = {"base", "few_shot"}
# Where outputs are labels or JSON, a model often gives an answer that was judged before.
_REPEATED = 0.5
_SALT = b"\0" * 32  # as long as the journal's


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What rounds will use.

    Attributes:
        usage: Calls, tokens and cost.
        minutes: How long their quota makes the requests take at least; generator and judge take
            turns. Training and generation on this machine come on top.
    """

    usage: Usage
    minutes: float

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.usage + other.usage, self.minutes + other.minutes)


def estimate_round(config: Config, rows: Sequence[CoverageRow], round: int) -> Estimate:
    """What one round will use.

    Args:
        config: The configuration.
        rows: The coverage dataset.
        round: The round, from 1.
    """
    seeds = [row for row in rows if row.split == SEED_SPLIT]
    form = infer_form([seed.output for seed in seeds])
    generated = expected_usage(
        synthesis.expected_requests(
            RequestBuilder(config.task, config.synth, _SALT, seeds), round=round
        ),
        config.service_llm,
    )
    responses = evaluation.ExpectedResponses(
        round=round,
        baselines=len(_GENERATED_BASELINES.intersection(config.evaluator.baselines)),
        samples=config.generation.samples,
        repeated=_REPEATED if form.schema is not None or form.labels else 0.0,
    )
    judged = expected_usage(
        evaluation.expected_requests(rows, config.task, config.evaluator, responses),
        config.judge_llm,
    )
    estimate = Estimate(generated, least_minutes(generated, config.service_llm)) + Estimate(
        judged, least_minutes(judged, config.judge_llm)
    )
    if config.embedder is None:
        return estimate
    embedded = expected_usage(
        (
            *synthesis.expected_embeddings(rows, config.synth, round=round),
            *evaluation.expected_embeddings(rows, config.evaluator, responses),
        ),
        config.embedder,
    )
    return estimate + Estimate(embedded, least_minutes(embedded, config.embedder))


def estimate_text(config: Config) -> str:
    """A table for the terminal: the first round, every later one, and all that are allowed.

    Raises:
        UserError: The coverage dataset cannot be used.
    """
    rows = read_coverage(config.coverage_dir)
    first = total = estimate_round(config, rows, 1)
    lines = [_HEADER, _line("round 1", first)]
    if config.rounds.max_rounds > 1:
        later = estimate_round(config, rows, 2)
        for _ in range(config.rounds.max_rounds - 1):
            total += later
        lines.append(_line("every later round", later))
        lines.append(_line(f"all {config.rounds.max_rounds} rounds", total))
    models = dict.fromkeys((config.service_llm.model, config.judge_llm.model))
    named = f"Service LLM: {', '.join(models)}."
    if config.embedder:
        named += f" Embedding model: {config.embedder.model}."
    lines += ["", f"{named} The loop stops as soon as the gate is passed."]
    lines.append(
        "Minutes are the least that the quota allows; training and generation come on top. What a "
        "model thinks before it replies is billed as output and not counted here."
    )
    if total.usage.cost_usd is None:
        lines.append(
            "The price is unknown: set service_llm.price (and judge.price, embedder.price) to see "
            "the cost."
        )
    return "\n".join(lines)


_HEADER = (
    f"{'':<18}{'calls':>10}{'prompt tokens':>16}{'output tokens':>16}{'cost (USD)':>13}"
    f"{'minutes':>10}"
)


def _line(name: str, estimate: Estimate) -> str:
    usage = estimate.usage
    cost = "unknown" if usage.cost_usd is None else f"{usage.cost_usd:,.2f}"
    return (
        f"{name:<18}{usage.calls:>10,}{usage.prompt_tokens:>16,}{usage.output_tokens:>16,}"
        f"{cost:>13}{estimate.minutes:>10,.1f}"
    )
