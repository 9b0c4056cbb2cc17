"""What `check --online` finds: one small request of each kind to each configured service."""

import dataclasses
import datetime
from collections.abc import Iterator, Sequence

from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.plan import make_plan
from components.synth_data_gen.requests import RequestBuilder as GeneratorRequests
from components.synth_data_gen.schemas import AttributeSets
from core.conversation import has_turns
from core.errors import UserError
from core.records import SEED_SPLIT, CoverageRow, ResponseRow
from core.reports.coverage import SERVICE
from core.usage import Usage
from judging.examples import ExamplePool
from judging.requests import JudgedResponse
from judging.requests import RequestBuilder as JudgeRequests
from judging.schemas import Verdicts
from pipeline.config import Config
from service_llm.probe import Probe, ProbeResult, send_probes
from service_llm.served import other_model
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request
from service_llm.vector import Embedding
from task.coverage.reader import read_coverage
from task.coverage.redaction import redacted_rows

_SALT = b"\0" * 32  # as long as the journal's
_SHOWN_ROWS = 2  # the shortest, so that a request costs next to nothing
_SHOWN_CHARACTERS = 160
_OPEN = AttributeSets(**{name: [] for name in AttributeSets.model_fields})


def check_online(config: Config) -> str:
    """Send what a run would send, once of each kind, and tell what came of it.

    Args:
        config: The configuration of a run.

    Returns:
        For each service and kind: whether it works, what had to be adapted, what it cost, and how
        a reply begins.

    Raises:
        UserError: The coverage dataset cannot be used, or a request did not work; the message holds
            the whole report.
    """
    rows = redacted_rows(read_coverage(config.coverage_dir), config.privacy)
    lines: list[str] = []
    results: list[ProbeResult] = []
    for section, probes in probes_of(config, rows).items():
        settings = config.services[section]
        lines.append(f"{section}: {settings.model} ({settings.provider})")
        sent = send_probes(settings, probes)
        lines += [line for result in sent for line in _lines(result, settings)]
        results += sent
    total = sum((result.usage for result in results), Usage())
    lines.append(f"{total.calls} replies, {_cost(total)} in all.")
    failed = [result for result in results if result.problem]
    if failed:
        kinds = ", ".join(dict.fromkeys(result.kind for result in failed))
        lines.append(f"A run with these settings would fail or lose rows at: {kinds}.")
        raise UserError("\n".join(lines))
    return "\n".join(lines)


def probes_of(config: Config, rows: Sequence[CoverageRow]) -> dict[str, list[Probe]]:
    """Build one request of each kind, by the section of the configuration whose service gets it.

    Args:
        config: The configuration of a run.
        rows: The coverage dataset, as a run would send it.
    """
    judge = "judge" if config.judge else "service_llm"
    probes: dict[str, list[Probe]] = {section: [] for section in config.services}
    requests = _generator_requests(config, rows)
    probes["service_llm"] += _generator_probes(requests)
    if config.synth.leak_judge:
        request = requests.leak(requests.seeds[0].prompt, _shortest(rows), tag="")
        probes[judge].append(Probe("leak judge", request))
    builder = JudgeRequests(config.task, config.evaluator, _SALT)
    probes[judge] += _judge_probes(builder, rows)
    shown = [_answered(row) for row in _shortest(rows)]
    if SERVICE in config.evaluator.baselines:
        request = builder.answer(shown[0], ExamplePool(shown), tag="")
        probes["service_llm"].append(Probe("baseline answer", request))
    if config.embedder:
        probes["embedder"].append(Probe("embedding", Request(_shortest(rows)[0].prompt, Embedding)))
    return probes


def _generator_requests(config: Config, rows: Sequence[CoverageRow]) -> GeneratorRequests:
    seeds = _shortest([row for row in rows if row.split == SEED_SPLIT])
    settings = config.synth.model_copy(update={"samples": 1})
    return GeneratorRequests(config.task, settings, _SALT, seeds)


def _generator_probes(builder: GeneratorRequests) -> Iterator[Probe]:
    seeds, settings = builder.seeds, builder.settings
    if settings.attributes is None:
        yield Probe("attributes", builder.attributes())
    planned = make_plan(
        uniform_weights(seeds),
        settings.attributes or _OPEN,
        settings,
        round=1,
        batch=0,
        prompts=1,
    )
    yield Probe("prompts", builder.prompts(planned[0], round=1, batch=0))
    first = seeds[0]
    yield Probe("answer", builder.answers(first.prompt, seeds[1:], tag="")[0])
    if settings.quality_filter:
        yield Probe("score", builder.score(first.prompt, first.output, tag=""))


def _judge_probes(builder: JudgeRequests, rows: Sequence[CoverageRow]) -> Iterator[Probe]:
    """Yield a first vote on a row of each kind that a run has, in the request that it makes."""
    plain = _shortest([row for row in rows if not row.references])
    several = _shortest([row for row in rows if row.references])
    if plain:
        judged = [JudgedResponse.of(_answered(row)) for row in plain]
        vote = next(builder.votes(judged))
        if vote.request.schema is Verdicts:
            # As much room as a whole request: a service may not give it.
            room = builder.settings.max_output_tokens * builder.settings.rows_per_request
            request = dataclasses.replace(vote.request, max_output_tokens=room)
            yield Probe("judge of several rows", request)
        else:
            yield Probe("judge", vote.request)
    if several:
        request = builder.judge(JudgedResponse.of(_answered(several[0])), 0, tag="")
        yield Probe("judge of several right answers", request)


def _answered(row: CoverageRow) -> ResponseRow:
    """Return a row with its reference as what a model answered."""
    return ResponseRow(
        row.id, row.prompt, row.output, row.split, row.tags, row.output, "stop",
        references=row.references,
    )  # fmt: skip


def _shortest(rows: Sequence[CoverageRow]) -> list[CoverageRow]:
    """Return the shortest rows; one of them has several turns where any row has."""
    by_length = sorted(rows, key=lambda row: len(row.prompt) + len(row.output))
    conversations = [row for row in by_length if has_turns(row.prompt)]
    shortest = by_length[:_SHOWN_ROWS]
    if conversations and not any(has_turns(row.prompt) for row in shortest):
        shortest[-1] = conversations[0]
    return shortest


def _lines(result: ProbeResult, settings: ServiceLLMSettings) -> Iterator[str]:
    state = "FAILED" if result.problem else "works"
    adapted = f", without {' and '.join(result.adaptations)}" if result.adaptations else ""
    usage = result.usage
    if usage.calls:
        counted = "tokens not counted by the service"
        if not usage.unknown_calls:
            counted = f"{usage.prompt_tokens} + {usage.output_tokens} tokens"
        version = result.model_version
        answered = f", answered by {version}" if version and version != settings.model else ""
        if other_model(settings.model, version, datetime.datetime.now(datetime.UTC).date()):
            answered += ". Warning: this is another model than the one asked for; its price differs"
        adapted += f"; {counted}, {_cost(usage)}{answered}"
    yield f"  {result.kind}: {state}{adapted}"
    if result.problem:
        yield f"    {result.problem}"
    if result.reply:
        text = " ".join(result.reply.split())
        cut = "…" if len(text) > _SHOWN_CHARACTERS else ""
        yield f"    {text[:_SHOWN_CHARACTERS]}{cut}"


def _cost(usage: Usage) -> str:
    return "unknown price" if usage.cost_usd is None else f"{usage.cost_usd:.5f} USD"
