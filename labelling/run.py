"""What is labelled: the verdicts of one evaluation, and the folder that keeps the labels."""

import dataclasses
import os
from pathlib import Path

from core import artifact_files
from core.candidates import CandidateRow
from core.errors import UserError
from core.jsonl import read_rows
from core.records import TEST_SPLIT, VerdictRow
from core.reports.coverage import CoverageReport
from core.reports.rates import OVERALL
from core.storage import read_text
from task.privacy import PrivacySettings


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
        privacy: Whether the run redacts its coverage rows.
    """

    report: CoverageReport
    verdicts: tuple[VerdictRow, ...]
    folder: Path
    coverage_dir: Path
    model: str
    split: str
    count: int
    candidates: tuple[CandidateRow, ...] = ()
    privacy: PrivacySettings = dataclasses.field(default_factory=PrivacySettings)

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
                f"The evaluation has no answers from {self.model!r} on the {self.split!r} split. "
                f"It has answers from {models}; choose with --model and --split."
            )
        return rows


def read_run(
    report_uri: str,
    folder: Path,
    coverage_dir: Path,
    *,
    model: str,
    split: str,
    count: int,
    candidates_file: Path | None = None,
    privacy: PrivacySettings,
) -> LabelledRun:
    """Read a CoverageReport artifact.

    Raises:
        UserError: A file of it is missing or damaged, or the test split was not judged.
    """
    report = CoverageReport.read(os.path.join(report_uri, artifact_files.COVERAGE_REPORT))
    if split == TEST_SPLIT and report.last_look is None:
        raise UserError(
            f"The test split was not judged in round {report.round}: it is judged once, after "
            "the loop, with the kept round, where the dataset has one. Label that round, or choose "
            "another --split."
        )
    files = [artifact_files.VERDICTS, *([artifact_files.TEST_VERDICTS] * (split == TEST_SPLIT))]
    paths = [os.path.join(report_uri, name) for name in files]
    rows = [r for path in paths for r in read_rows(read_text(path), path, VerdictRow.from_json)]
    candidates: list[CandidateRow] = []
    if candidates_file and candidates_file.exists():
        text = candidates_file.read_text(encoding="utf-8")
        candidates = read_rows(text, str(candidates_file), CandidateRow.from_json)
    return LabelledRun(
        report, tuple(rows), folder, coverage_dir, model, split, count, tuple(candidates), privacy
    )
