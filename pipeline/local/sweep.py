"""Trains several base models on the rows that a run has kept, and compares what becomes of them."""

import datetime
from collections.abc import Sequence
from pathlib import Path

import ml_metadata as mlmd
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline

from core import artifact_files
from core.jsonl import read_rows
from core.records import VerdictRow
from core.reports.coverage import TUNED, Change, CoverageReport
from core.reports.loop import LoopSummary
from core.reports.rates import OVERALL
from core.reports.sweep import SweepReport, SweptModel
from core.reports.training import TrainingRecord
from core.storage import read_text
from core.usage import Usage
from core.whole_file import replace_file
from judging.comparison import compare
from judging.report import rows_of_gate
from pipeline.config import Config
from pipeline.local.output_dir import OutputPaths
from pipeline.metadata import latest_run
from pipeline.pipeline import create_pipeline
from pipeline.progress import ProgressView
from pipeline.schema import SCHEMA_FILE
from reports.run_page.page import write_results

_WEIGHTS = "*.weights.h5"


def sweep_locally(
    configs: Sequence[Config], summary: LoopSummary, paths: OutputPaths, view: ProgressView
) -> SweepReport:
    """Train and evaluate each model, and write `sweep.json` and the run's report.

    What an interrupted sweep has finished comes from TFX's cache, and replies of the judge from the
    journal.

    Args:
        configs: What each model is trained with, see `config_of`.
        summary: The run whose kept round's rows they are trained on.
        paths: Of that run.
        view: Shows the components.
    """
    best = summary.best
    verdicts = _verdicts(best.artifacts.report, configs[0])
    store = mlmd.MetadataStore(sqlite_metadata_connection_config(str(paths.metadata)))
    found, reports = [], []
    for number, config in enumerate(configs, 1):
        pipeline = _pipeline(config, summary, paths)
        title = f"Base model {config.training.preset} ({number} of {len(configs)})"
        names = [node.id for node in pipeline.components]
        view.round_started(number, len(configs), names, title)
        LocalDagRunner().run(pipeline)
        run = latest_run(store, config.name)
        model, uri = run.output("Trainer", "model").uri, run.output("LLMEvaluator", "report").uri
        report = CoverageReport.read(f"{uri}/{artifact_files.COVERAGE_REPORT}")
        change = compare(verdicts, _verdicts(uri, config))
        found.append(
            _swept(
                config,
                model=model,
                report_uri=uri,
                report=report,
                training=_trained(model),
                change=change,
            )
        )
        reports.append(report)
    sweep = SweepReport(
        task=summary.task,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        round=best.round,
        synthetic=best.artifacts.synthetic,
        train_rows=best.training.train_rows,
        split=configs[0].evaluator.gate.split,
        kept=_swept(
            configs[0],
            model=best.artifacts.model,
            report_uri=best.artifacts.report,
            report=best.report,
            training=best.training,
            change=None,
        ),
        models=tuple(found),
        usage=sum((report.usage for report in reports), Usage()),
        stand_in=any(report.stand_in for report in reports),
    )
    replace_file(paths.root / artifact_files.SWEEP, sweep.to_json())
    write_results(summary, summary_file=paths.summary, report_file=paths.report)
    return sweep


def config_of(config: Config, preset: str) -> Config:
    """Return what a base model is trained and judged with.

    Nothing is exported of it, no baseline is judged again but the service LLM where the gate
    compares with it, and lengths follow the model's own tokenizer.
    """
    baselines = ("service",) if config.evaluator.gate.relative_to_service else ()
    training = {"preset": preset, "exports": (), "sequence_length": None}
    return config.model_copy(
        update={
            "name": f"{config.name}-sweep",
            "training": config.training.model_copy(update=training),
            "generation": config.generation.model_copy(update={"max_output_tokens": None}),
            "evaluator": config.evaluator.model_copy(update={"baselines": baselines}),
        }
    )


def _pipeline(config: Config, summary: LoopSummary, paths: OutputPaths) -> Pipeline:
    return create_pipeline(
        config,
        pipeline_root=str(paths.artifacts),
        journal_uri=str(paths.journal),
        checkpoint_uri=str(paths.checkpoints),
        coverage_dir=config.coverage_dir,
        schema_file=SCHEMA_FILE,
        round=summary.best_round,
        history_uri="",
        report_uri="",
        rows_uri=summary.best.artifacts.synthetic,
        until="evaluate",
        metadata_connection_config=sqlite_metadata_connection_config(str(paths.metadata)),
    )


def _trained(model: str) -> TrainingRecord:
    folder = Path(model) / artifact_files.SERVING_FOLDER
    return TrainingRecord.read(str(folder / artifact_files.TRAINING))


def _swept(
    config: Config,
    *,
    model: str,
    report_uri: str,
    report: CoverageReport,
    training: TrainingRecord,
    change: Change | None,
) -> SweptModel:
    split = config.evaluator.gate.split
    folder = Path(model) / artifact_files.SERVING_FOLDER / artifact_files.PRESET_FOLDER
    return SweptModel(
        preset=training.preset,
        parameters=training.parameters,
        size_bytes=sum(file.stat().st_size for file in folder.glob(_WEIGHTS)),
        dtype=training.dtype,
        rate=report.gate.rate,
        strict=report.strict[TUNED][split].rate if TUNED in report.strict else None,
        change=change,
        eval_loss=training.eval_loss,
        training_seconds=training.seconds,
        own=report.own_answers,
        model=model,
        report=report_uri,
    )


def _verdicts(report_uri: str, config: Config) -> list[VerdictRow]:
    """Read a tuned model's verdicts on the gate's split, as the gate decides them."""
    uri = f"{report_uri}/{artifact_files.VERDICTS}"
    split = config.evaluator.gate.split
    rows = [
        row
        for row in read_rows(read_text(uri), uri, VerdictRow.from_json)
        if row.model == TUNED and split in (OVERALL, row.split)
    ]
    return list(rows_of_gate(rows, config.evaluator))
