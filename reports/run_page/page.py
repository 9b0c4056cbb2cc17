"""Renders the page of a loop and writes it with the summary."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from core import artifact_files
from core.jsonl import read_rows
from core.records import VerdictRow
from core.reports.confidence import ConfidenceReport
from core.reports.loop import LoopSummary
from core.storage import read_text
from reports import wording
from reports.evaluation_page.page import SCRIPT, evaluation_values
from reports.evaluation_page.page import TEMPLATES as EVALUATION_TEMPLATES
from reports.run_page import confidence_chart, loss_chart
from reports.run_page.coverage_chart import draw_coverage
from reports.run_page.learning_chart import draw_learning
from reports.theme import render_page

_TEMPLATES = Path(__file__).parent / "templates"


def write_results(summary: LoopSummary, *, summary_file: Path, report_file: Path) -> None:
    """Write both files; a reader sees the old or the new content, never a half.

    Args:
        summary: The loop. The page shows the verdicts of its best round.
        summary_file: Gets the summary as JSON.
        report_file: Gets a page that needs no other file and no network.

    Raises:
        OSError: A file cannot be written, or the verdicts cannot be read.
        UserError: The verdicts are damaged.
    """
    uri = f"{summary.best.artifacts.report}/{artifact_files.VERDICTS}"
    measured = summary_file.parent / artifact_files.CONFIDENCE
    page = render_run(
        summary,
        read_rows(read_text(uri), uri, VerdictRow.from_json),
        ConfidenceReport.read(str(measured)) if measured.is_file() else None,
    )
    _replace(summary_file, summary.to_json())
    _replace(report_file, page)


def write_started(report_file: Path, *, name: str, task: str, log: Path) -> None:
    """Write the page of a run without a finished round, unless an earlier run has left its report.

    Args:
        report_file: The report's file.
        name: The pipeline.
        task: The task.
        log: The run's log, to be named.
    """
    if not report_file.exists():
        template = _TEMPLATES / "started.html.j2"
        _replace(report_file, render_page(template, name=name, task=task, log=str(log)))


def render_run(
    summary: LoopSummary,
    verdicts: Sequence[VerdictRow],
    confidence: ConfidenceReport | None = None,
) -> str:
    """Render the page.

    Args:
        summary: The loop.
        verdicts: All models' verdict rows of the best round.
        confidence: What `understudy confidence` measured; None where it was not run.
    """
    rounds, report = summary.rounds, summary.best.report
    runs = {(entry.round, run.node): run for entry in rounds for run in entry.components}
    return render_page(
        _TEMPLATES / "report.html.j2",
        EVALUATION_TEMPLATES,
        script=SCRIPT,
        summary=summary,
        headline=wording.headline(report.gate, report.round),
        caveat=wording.caveat(report.gate),
        notice=wording.STAND_IN_NOTICE if summary.stand_in else None,
        stop_sentence=wording.stop_sentence(summary.stop_reason),
        chart=draw_coverage(rounds, report),
        learning_chart=draw_learning(summary.learning),
        losses=loss_chart.make_loss_charts({entry.round: entry.training for entry in rounds}),
        loss_geometry=loss_chart,
        has_logged=any(entry.synthesis.logged for entry in rounds),
        confidence=confidence,
        confidence_chart=confidence_chart.make_confidence_chart(confidence),
        confidence_geometry=confidence_chart,
        drop_reasons=sorted({reason for entry in rounds for reason in entry.synthesis.dropped}),
        nodes=list(dict.fromkeys(node for _, node in runs)),
        runs=runs,
        config=json.dumps(summary.config, indent=2, ensure_ascii=False),
        **evaluation_values(report, verdicts),
    )


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.chmod(file.name, 0o644)  # a temporary file is its owner's alone
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
