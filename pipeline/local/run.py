"""Rounds on this machine: LocalDagRunner with SQLite metadata."""

from typing import NamedTuple

import ml_metadata as mlmd
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from components.examples_io import read_examples
from components.synth_data_gen.edits import editable_lines
from core import artifact_files
from core.base_model import expected_of_random_weights
from core.reports.coverage import CoverageReport
from core.reports.synthesis import SynthesisRecord
from core.synthetic_records import SYNTHETIC_SPLITS, SyntheticRow
from core.terminal import wrapped
from pipeline.config import Config
from pipeline.edits import Edits
from pipeline.local.output_dir import OutputPaths
from pipeline.local.pauses import (
    is_approved,
    pause_for_approval,
    pause_for_review,
    reviewed_rows,
)
from pipeline.metadata import PipelineRun, latest_run
from pipeline.pipeline import Until, create_pipeline
from pipeline.progress import ProgressView
from pipeline.rounds import LoopResult, RoundResult, describe_stop, run_rounds, take_last_look
from pipeline.schema import SCHEMA_FILE
from pipeline.summary import make_summary
from reports.run_page.page import write_results
from reports.wording import headline_detail, report_headline


class RoundUris(NamedTuple):
    """What a round starts from; see `submit` of `run_rounds` and `look` of `take_last_look`."""

    history: str = ""
    report: str = ""
    warm_start: str = ""
    looks: int = 0


class LocalRounds:
    """Runs rounds in this process.

    A round that an earlier process has finished comes from TFX's cache in a few seconds, so an
    interrupted loop is resumed by running it from its first round.

    Attributes:
        paths: Where everything is written.
        runs: What the metadata store says about the rounds so far, by number.
    """

    def __init__(
        self, config: Config, paths: OutputPaths, view: ProgressView | None = None
    ) -> None:
        self._config = config
        self._view = view
        self.paths = paths
        self._connection = sqlite_metadata_connection_config(str(paths.metadata))
        self.runs: dict[int, PipelineRun] = {}

    def submit(
        self,
        round: int,
        history_uri: str,
        report_uri: str,
        warm_start_uri: str = "",
        looks: int = 0,
    ) -> RoundResult:
        """Run one round to its end: `submit` of `run_rounds`, `look` of `take_last_look`.

        Raises:
            PausedError: The run stops for a person, as the configuration asks for.
        """
        uris = RoundUris(history_uri, report_uri, warm_start_uri, looks)
        edits = None
        if self._config.rounds.pause_after == "synth":
            edits = self.edits(round, self.run(round, uris, until="synth"))
        if self._config.push.approve:
            self._require_approval(round, self.run(round, uris, until="export", edits=edits))
        run = self.run(round, uris, edits=edits)
        self.runs[round] = run
        return _result(run, round)

    def edits(self, round: int, run: PipelineRun) -> Edits:
        """Return the rows of a round as a person has left them; raise PausedError before that."""
        uri = run.output("SynthDataGen", "synthetic").uri
        folder = self.paths.review / f"round-{round}"
        if edits := reviewed_rows(folder, uri):
            return edits
        rows = {
            split: [SyntheticRow.from_features(row) for row in read_examples(uri, split)]
            for split in SYNTHETIC_SPLITS
        }
        raise pause_for_review(folder, uri, editable_lines(rows, round))

    def _require_approval(self, round: int, run: PipelineRun) -> None:
        """Raise PausedError where a model is blessed that no run has paused with yet."""
        model_uri = run.output("Trainer", "model").uri
        file = self.paths.approvals / f"round-{round}.json"
        if not _is_blessed(run) or is_approved(file, model_uri):
            return
        raise pause_for_approval(
            file,
            model_uri=model_uri,
            exports_uri=run.output("Exporter", "exports").uri,
            report_uri=run.output("LLMEvaluator", "report").uri,
        )

    def run(
        self, round: int, uris: RoundUris, *, until: Until = "push", edits: Edits | None = None
    ) -> PipelineRun:
        """Run the pipeline of a round, or a part of it; what is done comes from the cache."""
        pipeline = create_pipeline(
            self._config,
            pipeline_root=str(self.paths.artifacts),
            journal_uri=str(self.paths.journal),
            checkpoint_uri=str(self.paths.checkpoints),
            coverage_dir=self._config.coverage_dir,
            schema_file=SCHEMA_FILE,
            round=round,
            edits=edits,
            until=until,
            history_uri=uris.history,
            report_uri=uris.report,
            warm_start_uri=uris.warm_start,
            looks=uris.looks,
            metadata_connection_config=self._connection,
        )
        if self._view:
            names = [component.id for component in pipeline.components]
            self._view.round_started(round, self._config.rounds.max_rounds, names)
        LocalDagRunner().run(pipeline)
        return latest_run(mlmd.MetadataStore(self._connection), self._config.name)


def run_locally(config: Config, paths: OutputPaths, view: ProgressView) -> str:
    """Run rounds until the loop stops, and write the summary and the report after each.

    Args:
        config: The configuration.
        paths: Where everything is written.
        view: Shows the rounds.

    Returns:
        The text to print at the end.
    """
    rounds = LocalRounds(config, paths, view)

    def on_round(loop: LoopResult) -> None:
        last = loop.rounds[-1]
        view.round_finished(last.round, _round_text(last, config), _so_far(loop), _cost_usd(loop))
        write(loop)

    def write(loop: LoopResult) -> None:
        write_results(
            make_summary(config, loop, rounds.runs),
            summary_file=paths.summary,
            report_file=paths.report,
        )

    loop = run_rounds(rounds.submit, config.rounds, on_round=on_round)
    looked = take_last_look(loop, rounds.submit, config.rounds)
    if looked is not loop:
        write(looked)
    return closing_text(looked, paths, config)


def _round_text(result: RoundResult, config: Config) -> str:
    outcome = "reached" if result.blessed else "not reached"
    split = config.evaluator.gate.split
    return f"coverage rate {result.coverage_rate:.1f} % ({split}), threshold {outcome}"


def _so_far(loop: LoopResult) -> str:
    return f"best {loop.best.coverage_rate:.1f} % (round {loop.best.round})"


def _cost_usd(loop: LoopResult) -> float | None:
    costs = [result.cost_usd for result in loop.rounds]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def closing_text(loop: LoopResult, paths: OutputPaths, config: Config) -> str:
    """Say why a loop stopped, how good what it kept is, and where that is."""
    expected = expected_of_random_weights(config.training.preset)
    lines = [
        describe_stop(loop),
        *_test_line(loop.best.report_uri),
        *([expected] if expected else []),
        f"Report, for your browser: {paths.report}",
        f"Summary: {paths.summary}",
        f"Model: {loop.best.model_uri}",
    ]
    return "\n".join(lines)


def _test_line(report_uri: str) -> list[str]:
    """Say what page and card lead with: the rate on the test split, where it was judged."""
    report = CoverageReport.read(f"{report_uri}/{artifact_files.COVERAGE_REPORT}")
    if not report.last_look:
        return []
    return [wrapped(f"{report_headline(report)} {headline_detail(report)}")]


def _is_blessed(run: PipelineRun) -> bool:
    blessing = run.output("LLMEvaluator", "blessing")
    return bool(blessing.custom_properties["blessed"].int_value == 1)


def _result(run: PipelineRun, round: int) -> RoundResult:
    report = run.output("LLMEvaluator", "report")
    synthetic = run.output("SynthDataGen", "synthetic")
    findings = CoverageReport.read(f"{report.uri}/{artifact_files.COVERAGE_REPORT}")
    synthesis = SynthesisRecord.read(f"{synthetic.uri}/{artifact_files.SYNTHESIS}")
    usage = synthesis.usage + findings.usage
    return RoundResult(
        round=round,
        run_id=run.run_id,
        coverage_rate=report.custom_properties["coverage_rate"].double_value,
        blessed=_is_blessed(run),
        synthetic_uri=synthetic.uri,
        report_uri=report.uri,
        model_uri=run.output("Trainer", "model").uri,
        exports_uri=run.output("Exporter", "exports").uri,
        pushed_uri=run.output("HFPusher", "pushed_model").uri,
        cost_usd=usage.cost_usd,
        sealed_prompts=findings.sealed_prompts,
    )
