"""What a run will ask of the service LLMs, and what that costs, before anything is spent."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from components.synth_data_gen import estimate as synthesis
from components.synth_data_gen.requests import RequestBuilder
from core.records import SEED_SPLIT, TEST_SPLIT, CoverageRow
from core.reports.coverage import SERVICE
from core.terminal import wrapped
from core.usage import Usage
from judging import estimate as evaluation
from judging.judged_rows import judged_rows
from judging.settings import EvaluatorSettings
from pipeline.config import Config
from pipeline.lengths import measure
from pipeline.logged import logged_rows
from pipeline.machine_time import MachineMinutes, answering_of, machine_speed, round_minutes
from pipeline.token_lengths import characters_per_token, shared_share
from pipeline.vertex.prices import describe_machine_cost
from service_llm.estimate import CharactersPerToken, Expected, expected_usage, min_minutes
from service_llm.settings import EmbedderSettings
from task.coverage.reader import read_coverage
from task.coverage.redaction import redacted_rows
from task.form import infer_form

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
            turns. Training and generation on this machine come on top (`machine_time`).
    """

    usage: Usage
    minutes: float

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(self.usage + other.usage, self.minutes + other.minutes)


class Sent(NamedTuple):
    """Requests of one kind, and what they use."""

    requests: Sequence[Expected]
    usage: Usage


class RoundEstimate(NamedTuple):
    """What one round will use.

    Attributes:
        synthesis: By SynthDataGen.
        evaluation: By LLMEvaluator.
        written: What the rows are generated with, without leak judgements and embeddings.
        verdicts: What is asked of the judge.
    """

    synthesis: Estimate
    evaluation: Estimate
    written: Sent
    verdicts: Sent

    @property
    def total(self) -> Estimate:
        """Of both components."""
        return self.synthesis + self.evaluation


def estimate_round(
    config: Config, rows: Sequence[CoverageRow], round: int, logged: Sequence[CoverageRow] = ()
) -> RoundEstimate:
    """Estimate what one round will use, by component.

    Args:
        config: The configuration.
        rows: The coverage dataset.
        round: The round, from 1.
        logged: Logged exchanges to train on, which the first round reads.
    """
    rows = [row for row in rows if row.split != TEST_SPLIT]
    judged_prompts = judged_rows(rows, config.evaluator.max_prompts)
    builder = _builder(config, rows)
    form = infer_form([seed.output for seed in builder.seeds], config.task.output_schema)
    read = synthesis.expected_logged(logged, form, round)
    missing = synthesis.expected_missing(builder, read, form.labels)
    requests = list(synthesis.expected_requests(builder, round=round, rows=missing, logged=read))
    lengths = characters_per_token(config, rows, [expected.request.prompt for expected in requests])
    generated = expected_usage(requests, config.service_llm, lengths)
    responses = evaluation.ExpectedResponses(
        round=round,
        baselines=len(_GENERATED_BASELINES.intersection(config.evaluator.baselines)),
        samples=config.generation.samples,
        repeated=_REPEATED if form.schema is not None or form.labels else 0.0,
        baseline_prompts=len(judged_rows(judged_prompts, config.evaluator.max_baseline_prompts)),
    )
    made = Estimate(generated, min_minutes(generated, config.service_llm))
    judged, verdicts = _evaluation(config, judged_prompts, config.evaluator, responses)
    leaks = expected_usage(
        synthesis.expected_leak_judgements(builder, rows, rows=missing, logged=read),
        config.judge_llm,
        lengths,
    )
    made += Estimate(leaks, min_minutes(leaks, config.judge_llm))
    if embedder := config.embedder:
        made += _embeddings(
            synthesis.expected_embeddings(rows, round=round, rows=missing, logged=read),
            embedder,
            lengths,
        )
        judged += _embeddings(
            evaluation.expected_embeddings(judged_prompts, config.evaluator, responses),
            embedder,
            lengths,
        )
    return RoundEstimate(made, judged, Sent(requests, generated), verdicts)


def estimate_logged_scores(
    config: Config, rows: Sequence[CoverageRow], fitting: Sequence[CoverageRow]
) -> Usage:
    """Estimate what the scores of logged exchanges will use at most; the first round pays for them.

    Args:
        config: The configuration.
        rows: The coverage dataset.
        fitting: Logged exchanges of the right form.
    """
    read = synthesis.ExpectedLogged(len(fitting), fitting)
    expected = list(synthesis.expected_logged_scores(_builder(config, rows), read))
    lengths = characters_per_token(config, rows, [one.request.prompt for one in expected])
    return expected_usage(expected, config.service_llm, lengths)


def _builder(config: Config, rows: Sequence[CoverageRow]) -> RequestBuilder:
    seeds = [row for row in rows if row.split == SEED_SPLIT]
    return RequestBuilder(
        config.task, config.synth, _SALT, seeds, config.service_llm.max_reply_tokens
    )


def _embeddings(
    expected: Iterable[Expected], embedder: EmbedderSettings, lengths: CharactersPerToken
) -> Estimate:
    usage = expected_usage(expected, embedder, lengths)
    return Estimate(usage, min_minutes(usage, embedder))


def estimate_last_look(config: Config, rows: Sequence[CoverageRow]) -> Estimate:
    """Estimate what judging the test split will use, which happens once.

    Args:
        config: The configuration.
        rows: The coverage dataset.
    """
    service = tuple(name for name in config.evaluator.baselines if name == SERVICE)
    settings = config.evaluator.model_copy(update={"baselines": service})
    rows = judged_rows(rows, config.evaluator.max_prompts)
    shown = [row for row in rows if row.split in (SEED_SPLIT, TEST_SPLIT)]
    responses = evaluation.ExpectedResponses(1, baselines=0, samples=config.generation.samples)
    return _evaluation(config, shown, settings, responses, only=TEST_SPLIT)[0]


def _evaluation(
    config: Config,
    rows: Sequence[CoverageRow],
    settings: EvaluatorSettings,
    responses: evaluation.ExpectedResponses,
    only: str | None = None,
) -> tuple[Estimate, Sent]:
    """Estimate the service LLM's own answers and the verdicts of the judge, and these alone."""
    expected = evaluation.expected_requests(rows, config.task, settings, responses, only)
    sent = [*expected.answers, *expected.verdicts]
    lengths = characters_per_token(config, rows, [one.request.prompt for one in sent])
    answers = expected_usage(expected.answers, config.service_llm, lengths)
    verdicts = expected_usage(expected.verdicts, config.judge_llm, lengths)
    total = Estimate(answers, min_minutes(answers, config.service_llm)) + Estimate(
        verdicts, min_minutes(verdicts, config.judge_llm)
    )
    return total, Sent(expected.verdicts, verdicts)


def estimate_text(config: Config) -> str:
    """Return a table for a terminal of 80 columns: the first round, each later one, all of them.

    Raises:
        UserError: The coverage dataset cannot be used.
    """
    rows = redacted_rows(read_coverage(config.coverage_dir), config.privacy)  # as a run reads them
    logged = logged_rows(config)
    first = total = estimate_round(config, rows, 1, logged).total
    later = estimate_round(config, rows, 2)
    lines = [_HEADER, _line("round 1", first)]
    if config.rounds.max_rounds > 1:
        for _ in range(config.rounds.max_rounds - 1):
            total += later.total
        lines.append(_line("every later round", later.total))
        lines.append(_line(f"all {config.rounds.max_rounds} rounds", total))
    if any(row.split == TEST_SPLIT for row in rows):
        last = estimate_last_look(config, rows)
        total += last
        lines.append(_line("test, judged once", last))
    models = dict.fromkeys((config.service_llm.model, config.judge_llm.model))
    named = f"Service LLM: {', '.join(models)}."
    if config.embedder:
        named += f" Embedding model: {config.embedder.model}."
    notes = [
        f"{named} The loop stops as soon as the gate is passed.",
        "Minutes in the table are the minimum that the quota allows. Tokens a model spends on "
        "thinking are billed as output and not counted here.",
        _unit_text(config, rows, later),
        _machine_text(config, rows, len(logged)),
    ]
    if config.vertex is not None:
        notes.append(describe_machine_cost(config))
    if total.usage.cost_usd is None:
        notes.append(
            "The price is unknown: set service_llm.price (and judge.price, embedder.price) to see "
            "the cost."
        )
    return "\n".join([*lines, "", *map(wrapped, notes)])


def _unit_text(config: Config, rows: Sequence[CoverageRow], later: RoundEstimate) -> str:
    """Say what one kept row and one verdict take, of a round after the first."""
    sent = [*later.written.requests, *later.verdicts.requests]
    lengths = characters_per_token(config, rows, [expected.request.prompt for expected in sent])
    row, verdict = later.written.usage, later.verdicts.usage
    kept, asked = config.synth.rows_per_round, verdict.calls
    return (
        f"A kept row takes {row.prompt_tokens / kept:,.0f} prompt and "
        f"{row.output_tokens / kept:,.0f} output tokens, a verdict "
        f"{verdict.prompt_tokens / asked:,.0f} and {verdict.output_tokens / asked:,.0f}, at "
        f"{lengths.prompt:.1f} characters a token; {shared_share(sent):.0%} of the prompt tokens "
        "begin requests of a kind alike and can be cached, which is not counted here."
    )


def _machine_text(config: Config, rows: Sequence[CoverageRow], logged: int) -> str:
    """Say how many minutes training and generation take on this machine, and how that is known."""
    speed = machine_speed(config)
    if isinstance(speed, str):
        return f"Training and generation on this machine come on top: {speed}."
    lengths = measure(config, rows)
    answering = answering_of(config, rows)
    rounds = [
        round_minutes(config, lengths, speed, number, logged, answering=answering)
        for number in range(1, config.rounds.max_rounds + 1)
    ]
    shown = [f"round 1 {_minutes(rounds[0])}"]
    if len(rounds) > 1:
        # The rows of all rounds before are trained on again, so the last one is the longest.
        shown.append(f"round {len(rounds)} {_minutes(rounds[-1])}")
    total = sum(minutes.training + minutes.generation for minutes in rounds)
    return (
        f"On this machine come on top, in minutes: {'; '.join(shown)}; all {total:,.1f} "
        f"({speed.source})."
    )


def _minutes(minutes: MachineMinutes) -> str:
    return f"training {minutes.training:,.1f} and generation {minutes.generation:,.1f}"


_HEADER = (
    f"{'':<18}{'calls':>10}{'prompt tokens':>15}{'output tokens':>15}{'cost (USD)':>12}"
    f"{'minutes':>9}"
)


def _line(name: str, estimate: Estimate) -> str:
    usage = estimate.usage
    cost = "unknown" if usage.cost_usd is None else f"{usage.cost_usd:,.2f}"
    return (
        f"{name:<18}{usage.calls:>10,}{usage.prompt_tokens:>15,}{usage.output_tokens:>15,}"
        f"{cost:>12}{estimate.minutes:>9,.1f}"
    )
