"""Renders the page of a loop and writes it with the summary."""

import json
from collections.abc import Sequence
from pathlib import Path

from core import artifact_files
from core.base_model import expected_of_random_weights
from core.jsonl import read_rows
from core.records import VerdictRow
from core.reports.confidence import ConfidenceReport
from core.reports.loop import LoopSummary, RoundSummary
from core.reports.sweep import SweepReport
from core.storage import read_text
from reports import wording
from reports.evaluation_page.page import SCRIPT, evaluation_values
from reports.evaluation_page.page import TEMPLATES as EVALUATION_TEMPLATES
from reports.run_page.confidence_chart import draw_confidence
from reports.run_page.coverage_chart import draw_coverage
from reports.run_page.files import replace_file, round_files
from reports.run_page.learning_chart import draw_learning
from reports.run_page.loss_chart import draw_losses
from reports.theme import LATER, render_page

_TEMPLATES = Path(__file__).parent / "templates"
_MAX_ROUNDS_SHOWN = 10  # of more, the longest tables are made when they are opened


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
    measured = summary_file.parent / artifact_files.CONFIDENCE
    swept = summary_file.parent / artifact_files.SWEEP
    page = render_run(
        summary,
        _verdicts(summary.best),
        ConfidenceReport.read(str(measured)) if measured.is_file() else None,
        SweepReport.read(str(swept)) if swept.is_file() else None,
        folder=report_file.parent,
    )
    replace_file(summary_file, summary.to_json())
    replace_file(report_file, page)


def render_run(
    summary: LoopSummary,
    verdicts: Sequence[VerdictRow],
    confidence: ConfidenceReport | None = None,
    sweep: SweepReport | None = None,
    *,
    folder: Path = Path(),
) -> str:
    """Render the page.

    Args:
        summary: The loop.
        verdicts: All models' verdict rows of the best round.
        confidence: What `understudy confidence` measured; None where it was not run.
        sweep: What `understudy sweep` found; left out where the run now keeps other rows.
        folder: The page's; its links to files of the run are relative to it.
    """
    rounds, report = summary.rounds, summary.best.report
    runs = {(entry.round, run.node): run for entry in rounds for run in entry.components}
    return render_page(
        _TEMPLATES / "report.html.j2",
        EVALUATION_TEMPLATES,
        scripts=[LATER, SCRIPT],
        summary=summary,
        caveat=wording.caveat(report.gate),
        notice=wording.STAND_IN_NOTICE if summary.stand_in else None,
        expected=expected_of_random_weights(summary.best.training.preset),
        stop_sentence=wording.stop_sentence(summary.stop_reason),
        chart=draw_coverage(rounds, report),
        learning_chart=draw_learning(summary.learning),
        losses=draw_losses({entry.round: entry.training for entry in rounds}),
        has_logged=any(entry.synthesis.logged for entry in rounds),
        confidence=confidence,
        sweep=sweep if sweep and sweep.synthetic == summary.best.artifacts.synthetic else None,
        sweep_caveat=wording.SWEEP_CAVEAT,
        confidence_chart=draw_confidence(confidence),
        drop_reasons=sorted({reason for entry in rounds for reason in entry.synthesis.dropped}),
        nodes=list(dict.fromkeys(node for _, node in runs)),
        runs=runs,
        files=[(entry.round, round_files(entry, folder)) for entry in rounds],
        best_files=round_files(summary.best, folder),
        log=artifact_files.LOG if (folder / artifact_files.LOG).is_file() else None,
        is_long=len(rounds) > _MAX_ROUNDS_SHOWN,
        config=json.dumps(summary.config, indent=2, ensure_ascii=False),
        **evaluation_values(report, verdicts),
    )


def _verdicts(entry: RoundSummary) -> list[VerdictRow]:
    """Read the verdicts of a round, and those on the test split where it was judged."""
    names = [artifact_files.VERDICTS]
    if entry.report.last_look:
        names.append(artifact_files.TEST_VERDICTS)
    uris = [f"{entry.artifacts.report}/{name}" for name in names]
    return [row for uri in uris for row in read_rows(read_text(uri), uri, VerdictRow.from_json)]
