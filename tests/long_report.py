"""The report of a run as long as one gets: 20 rounds, and 2,000 prompts with all answers."""

import dataclasses
from pathlib import Path

from core import artifact_files
from core.records import VerdictRow
from core.reports.loop import StopReason
from pipeline.config import load_config
from pipeline.summary import make_summary
from reports.run_page.page import write_results
from tests.evaluation import coverage_rows, verdicts_of
from tests.reports.run_page.conftest import Artifacts

ROUNDS, PROMPTS = 20, 2000
_JUDGED = 60  # prompts of each round but for the table of the best one


def write_long_report(folder: Path) -> Path:
    """Write what 20 rounds leave behind, the better the later, and return the report's file.

    The rounds judge 60 prompts, and the best one's rows are repeated: what costs a browser time is
    how many there are.
    """
    artifacts, rows = Artifacts(folder / "artifacts"), coverage_rows(_JUDGED)
    shares = {"base": 0.05, "few_shot": 0.2, "service": 0.98}
    for number in range(1, ROUNDS + 1):
        tuned = {"tuned": 0.4 + 0.5 * number / ROUNDS}
        artifacts.add_round(verdicts_of(rows, tuned | shares, seed=number))
    loop = artifacts.loop(StopReason.MAX_ROUNDS)
    summary = make_summary(load_config("offline", environ={}), loop, artifacts.runs)
    _repeat(Path(summary.best.artifacts.report) / artifact_files.VERDICTS, -(-PROMPTS // _JUDGED))
    files = {"summary_file": folder / "summary.json", "report_file": folder / "report.html"}
    write_results(summary, **files)
    return files["report_file"]


def _repeat(verdicts: Path, copies: int) -> None:
    rows = [VerdictRow.from_json(line) for line in verdicts.read_text("utf-8").splitlines()]
    lines = [
        dataclasses.replace(row, id=f"{row.id}-{copy}").to_json()
        for copy in range(copies)
        for row in rows
    ]
    verdicts.write_text("\n".join(lines) + "\n", encoding="utf-8")
