"""Rounds on this machine: LocalDagRunner with SQLite metadata."""

import json
from pathlib import Path

import ml_metadata as mlmd
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from pipeline.config import Config
from pipeline.metadata import PipelineRun, latest_run
from pipeline.output_dir import OutputPaths
from pipeline.pipeline import SCHEMA_FILE, create_pipeline
from pipeline.progress import ProgressView
from pipeline.report import write_results
from pipeline.rounds import LoopResult, RoundResult, StopReason, run_rounds
from pipeline.summary import make_summary


class LocalRounds:
    """Runs rounds in this process.

    A round that an earlier process has finished comes from TFX's cache in a few seconds, so an
    interrupted loop is taken up again by running it from its first round.

    Attributes:
        runs: What the metadata store says about the rounds so far, by number.
    """

    def __init__(self, config: Config, paths: OutputPaths) -> None:
        self._config = config
        self._paths = paths
        self._connection = sqlite_metadata_connection_config(str(paths.metadata))
        self.runs: dict[int, PipelineRun] = {}

    def submit(
        self, round: int, history_uri: str, report_uri: str, warm_start_uri: str = ""
    ) -> RoundResult:
        """Run one round to its end; the `submit` of `run_rounds`."""
        pipeline = create_pipeline(
            self._config,
            pipeline_root=str(self._paths.artifacts),
            journal_uri=str(self._paths.journal),
            checkpoint_uri=str(self._paths.checkpoints),
            coverage_dir=self._config.coverage_dir,
            schema_file=SCHEMA_FILE,
            round=round,
            history_uri=history_uri,
            report_uri=report_uri,
            warm_start_uri=warm_start_uri,
            metadata_connection_config=self._connection,
        )
        LocalDagRunner().run(pipeline)
        run = latest_run(mlmd.MetadataStore(self._connection), self._config.name)
        self.runs[round] = run
        return _result(run, round)


def run_locally(config: Config, paths: OutputPaths, view: ProgressView) -> str:
    """Run rounds until the loop stops, and write the summary and the report after each.

    Args:
        config: The configuration.
        paths: Where everything is written.
        view: Is told about rounds.

    Returns:
        What to tell the user at the end.
    """
    rounds = LocalRounds(config, paths)

    def submit(round: int, history_uri: str, report_uri: str, warm_start_uri: str) -> RoundResult:
        view.round_started(round, config.rounds.max_rounds)
        return rounds.submit(round, history_uri, report_uri, warm_start_uri)

    def on_round(loop: LoopResult) -> None:
        last = loop.rounds[-1]
        view.round_finished(last.round, _round_text(last, config))
        write_results(
            make_summary(config, loop, rounds.runs),
            summary_file=paths.summary,
            report_file=paths.report,
        )

    loop = run_rounds(submit, config.rounds, on_round=on_round)
    return _closing_text(loop, paths)


def _round_text(result: RoundResult, config: Config) -> str:
    gate = config.evaluator.gate
    outcome = "reached: the model is blessed" if result.blessed else "not reached"
    return (
        f"coverage rate {result.coverage_rate:.1f} % ({gate.split}); "
        f"the threshold of {gate.threshold_percent:g} % is {outcome}"
    )


_REASONS = {
    StopReason.THRESHOLD_MET: "the threshold is reached",
    StopReason.NO_PROGRESS: "the last rounds brought no progress",
    StopReason.BUDGET_SPENT: "the budget is spent",
    StopReason.MAX_ROUNDS: "that were all rounds that are allowed",
}


def _closing_text(loop: LoopResult, paths: OutputPaths) -> str:
    best = loop.best
    reason = _REASONS[loop.stop_reason] if loop.stop_reason else "the loop goes on"
    lines = [
        f"Stopped after round {len(loop.rounds)}: {reason}.",
        f"Best: round {best.round}, coverage rate {best.coverage_rate:.1f} %.",
        f"Report: {paths.report}",
        f"Summary: {paths.summary}",
        f"Model: {best.model_uri}",
    ]
    return "\n".join(lines)


def _result(run: PipelineRun, round: int) -> RoundResult:
    report = run.output("LLMEvaluator", "report")
    synthetic = run.output("SynthDataGen", "synthetic")
    blessing = run.output("LLMEvaluator", "blessing")
    costs = [
        json.loads((Path(uri) / name).read_text(encoding="utf-8"))["usage"]["cost_usd"]
        for uri, name in (
            (synthetic.uri, "synthesis.json"),
            (report.uri, "coverage_report.json"),
        )
    ]
    return RoundResult(
        round=round,
        run_id=run.run_id,
        coverage_rate=report.custom_properties["coverage_rate"].double_value,
        blessed=blessing.custom_properties["blessed"].int_value == 1,
        synthetic_uri=synthetic.uri,
        report_uri=report.uri,
        model_uri=run.output("Trainer", "model").uri,
        pushed_uri=run.output("HFPusher", "pushed_model").uri,
        cost_usd=None if None in costs else sum(costs),
    )
