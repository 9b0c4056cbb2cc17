"""Makes the summary of a loop from what its components recorded; `reports.run_page` shows it."""

import dataclasses
import datetime
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence

from core import artifact_files
from core.jsonl import read_rows
from core.records import VerdictRow
from core.reports.coverage import TUNED, CoverageReport, Gate
from core.reports.failures import ValueShare
from core.reports.learning import LearningCurve, LearningPoint
from core.reports.loop import (
    ComponentRun,
    LoopSummary,
    PushRecord,
    RoundArtifacts,
    RoundSummary,
    RunnerUp,
)
from core.reports.rates import OVERALL
from core.reports.synthesis import SynthesisRecord
from core.reports.training import TrainingRecord
from core.storage import read_text
from core.usage import Usage
from judging.comparison import compare
from judging.learning_curve import learning_curve
from judging.rates import rate
from judging.report import rows_of_gate
from judging.value_shares import count_values, value_shares
from pipeline.config import Config
from pipeline.metadata import PipelineRun
from pipeline.operation import compare_operation
from pipeline.rounds import LoopResult, RoundResult
from service_llm.served import service_warnings

_PACKAGES = ("tfx", "tensorflow", "keras", "keras-hub")


def make_summary(config: Config, loop: LoopResult, runs: Mapping[int, PipelineRun]) -> LoopSummary:
    """Collect everything worth knowing about a loop.

    Args:
        config: What the loop ran with.
        loop: Its rounds so far.
        runs: The orchestrator's run of each round, by the round's number; a round without one has
            no times.

    Raises:
        OSError: A file that a round must have written cannot be read.
        UserError: A file is damaged or of a version that cannot be read.
    """
    seconds = _seconds(loop, runs)
    models = {result.model_uri: result.round for result in loop.rounds}
    rounds = tuple(
        _round(result, runs.get(result.round), seconds.get(result.round, {}), models)
        for result in loop.rounds
    )
    best = next(entry for entry in rounds if entry.round == loop.best.round)
    return LoopSummary(
        name=config.name,
        task=config.task.name,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        stop_reason=loop.stop_reason,
        best_round=loop.best.round,
        seconds=round(sum(entry.seconds for entry in rounds), 1),
        usage=sum((entry.usage for entry in rounds), Usage()),
        stand_in=any(entry.report.stand_in or entry.synthesis.stand_in for entry in rounds),
        rounds=rounds,
        warnings=_warnings(config, rounds),
        versions=_versions(),
        config=config.model_dump(mode="json"),
        runner_up=_runner_up(config, loop),
        operation=compare_operation(config, rounds, best),
        learning=_learning(config, loop, rounds, best.report.gate),
        outputs=_outputs(best),
    )


def _runner_up(config: Config, loop: LoopResult) -> RunnerUp | None:
    """Compare the best round with the second best, to tell whether it may be best by chance."""
    others = tuple(result for result in loop.rounds if result.round != loop.best.round)
    if not others:
        return None
    second = LoopResult(others, None).best
    before, now = (_verdicts(config, result) for result in (second, loop.best))
    return RunnerUp(round=second.round, change=compare(before, now))


def _learning(
    config: Config, loop: LoopResult, rounds: Sequence[RoundSummary], gate: Gate
) -> LearningCurve:
    """Put the rounds in the order of their training rows; `gate` holds the threshold."""
    verdicts = [_verdicts(config, result) for result in loop.rounds]
    points = [
        LearningPoint(
            round=entry.round,
            rows=entry.training.train_rows,
            rate=rate(rows),
            strict=entry.report.strict[TUNED][gate.split].rate if entry.report.strict else None,
        )
        for entry, rows in zip(rounds, verdicts, strict=True)
    ]
    return learning_curve(
        points, verdicts, split=gate.split, threshold_percent=gate.threshold_percent
    )


def _outputs(best: RoundSummary) -> dict[str, tuple[ValueShare, ...]]:
    """Compare the output values of references, training rows and answers of the kept round."""
    if TUNED not in best.report.strict:
        return {}
    kind = best.report.strict[TUNED].kind
    rows = [row for row in _read_verdicts(best.artifacts.report) if row.model == TUNED]
    references = {row.id: row.output for row in rows}.values()
    trained = best.synthesis
    return value_shares(
        {
            "references": (len(references), count_values(references, kind)),
            "training": (trained.total_rows, trained.figures.outputs),
            "answers": (len(rows), count_values([row.response for row in rows], kind)),
        }
    )


def _read_verdicts(report_uri: str) -> list[VerdictRow]:
    uri = f"{report_uri}/{artifact_files.VERDICTS}"
    return read_rows(read_text(uri), uri, VerdictRow.from_json)


def _verdicts(config: Config, result: RoundResult) -> list[VerdictRow]:
    """Read the tuned model's verdicts as the gate decides them."""
    gate = config.evaluator.gate
    rows = [
        row
        for row in _read_verdicts(result.report_uri)
        if row.model == TUNED and gate.split in (OVERALL, row.split)
    ]
    return list(rows_of_gate(rows, config.evaluator))


def _warnings(config: Config, rounds: Sequence[RoundSummary]) -> tuple[str, ...]:
    """Return what is odd about the models that answered, and about what they counted."""
    today = datetime.datetime.now(datetime.UTC).date()
    services = tuple(config.services.values())
    warnings: list[str] = []
    embeddings = Usage()
    asked = (
        (config.service_llm, [entry.synthesis for entry in rounds]),
        (config.judge_llm, [entry.report for entry in rounds]),
    )
    for settings, records in asked:
        usage = sum((record.usage for record in records), Usage())
        embedded = sum((record.embedding_usage for record in records), Usage())
        embeddings += embedded
        warnings += service_warnings(settings, _without(usage, embedded), today, services)
    if config.embedder:
        warnings += service_warnings(config.embedder, embeddings, today)
    return tuple(dict.fromkeys(warnings))


def _without(usage: Usage, embedded: Usage) -> Usage:
    """Return the calls of a usage that asked for texts, where it counts embeddings as well."""
    names = set(usage.model_versions) - set(embedded.model_versions)
    return dataclasses.replace(
        usage,
        calls=usage.calls - embedded.calls,
        unknown_calls=usage.unknown_calls - embedded.unknown_calls,
        model_versions=tuple(sorted(names)),
    )


def _seconds(loop: LoopResult, runs: Mapping[int, PipelineRun]) -> dict[int, dict[str, float]]:
    """Return seconds of each round's nodes; work counts once, in the first round that needs it.

    What an interrupted run of the same loop has computed comes from the cache afterwards, and
    counts with the time that it took then.
    """
    counted: set[int] = set()
    seconds: dict[int, dict[str, float]] = {}
    for result in loop.rounds:
        run = runs.get(result.round)
        for node in run.nodes.values() if run else ():
            is_new = node.cached and node.origin not in counted
            counted.add(node.origin)
            spent = node.origin_seconds if is_new else node.seconds
            seconds.setdefault(result.round, {})[node.node_id] = spent
    return seconds


def _round(
    result: RoundResult,
    run: PipelineRun | None,
    seconds: Mapping[str, float],
    models: Mapping[str, int],
) -> RoundSummary:
    serving = f"{result.model_uri}/{artifact_files.SERVING_FOLDER}"
    training = TrainingRecord.read(f"{serving}/{artifact_files.TRAINING}")
    start = training.warm_start
    # Only a blessed model is pushed; without one the artifact holds no record.
    pushed = f"{result.pushed_uri}/{artifact_files.PUSHED}" if result.blessed else None
    return RoundSummary(
        round=result.round,
        run_id=result.run_id,
        seconds=round(sum(seconds.values()), 1),
        started_from=start
        and models.get(start.removesuffix(f"/{artifact_files.SERVING_FOLDER}"), start),
        synthesis=SynthesisRecord.read(f"{result.synthetic_uri}/{artifact_files.SYNTHESIS}"),
        training=training,
        report=CoverageReport.read(f"{result.report_uri}/{artifact_files.COVERAGE_REPORT}"),
        pushed=PushRecord.read(pushed) if pushed else None,
        components=tuple(
            ComponentRun(
                node=node.node_id, seconds=round(seconds[node.node_id], 2), cached=node.cached
            )
            for node in (run.nodes.values() if run else ())
        ),
        artifacts=RoundArtifacts(
            synthetic=result.synthetic_uri,
            model=result.model_uri,
            exports=result.exports_uri,
            report=result.report_uri,
            pushed=result.pushed_uri,
        ),
    )


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package.replace("-", "_")] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package.replace("-", "_")] = None
    return versions
