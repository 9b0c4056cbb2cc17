"""What is labelled: the verdicts of one evaluation, and the folder that keeps the labels."""

import dataclasses
import os
from pathlib import Path

from core import artifact_files
from core.candidates import CandidateRow
from core.errors import UserError
from core.jsonl import read_rows
from core.records import VerdictRow
from core.reports.coverage import CoverageReport
from core.reports.rates import OVERALL, SplitName
from core.storage import read_text


@dataclasses.dataclass(frozen=True)
class LabelledRun:
    """One evaluation, and what its labelling needs.

    Attributes:
        report: The coverage report.
        verdicts: Every model's verdict rows.
        folder: Where labels, decisions on references and the diff are kept.
        coverage_dir: The coverage dataset, for the diff of suspect references.
        model: Whose answers are labelled.
        split: Which prompts.
        count: How many labels are planned.
        candidates: Real requests that may become coverage rows.
    """

    report: CoverageReport
    verdicts: tuple[VerdictRow, ...]
    folder: Path
    coverage_dir: Path
    model: str
    split: SplitName
    count: int
    candidates: tuple[CandidateRow, ...] = ()

    @property
    def answers(self) -> list[VerdictRow]:
        """The answers whose rate the labels correct."""
        rows = [
            row
            for row in self.verdicts
            if row.model == self.model and self.split in (OVERALL, row.split)
        ]
        if not rows:
            models = ", ".join(dict.fromkeys(row.model for row in self.verdicts))
            raise UserError(
                f"The evaluation holds no answer of {self.model!r} on {self.split!r}. It holds "
                f"answers of {models}; choose with --model and --split."
            )
        return rows


def read_run(
    report_uri: str,
    folder: Path,
    coverage_dir: Path,
    *,
    model: str,
    split: SplitName,
    count: int,
    candidates_file: Path | None = None,
) -> LabelledRun:
    """Read a CoverageReport artifact.

    Raises:
        UserError: A file of it is missing or damaged.
    """
    report = CoverageReport.read(os.path.join(report_uri, artifact_files.COVERAGE_REPORT))
    verdicts_path = os.path.join(report_uri, artifact_files.VERDICTS)
    rows = read_rows(read_text(verdicts_path), verdicts_path, VerdictRow.from_json)
    candidates: list[CandidateRow] = []
    if candidates_file and candidates_file.exists():
        text = candidates_file.read_text(encoding="utf-8")
        candidates = read_rows(text, str(candidates_file), CandidateRow.from_json)
    return LabelledRun(
        report, tuple(rows), folder, coverage_dir, model, split, count, tuple(candidates)
    )
