"""Candidates for coverage rows, from real requests: a person accepts, edits or rejects each."""

from typing import Literal

import pydantic

from core.candidates import CandidateRow
from core.errors import UserError
from core.records import SEED_SPLIT, CoverageRow
from core.whole_file import replace_file
from labelling.files import check_edited, read_decisions
from labelling.run import LabelledRun
from task.coverage.known import KnownPrompts
from task.coverage.reader import read_coverage

DECISIONS_FILE = "candidates.jsonl"
ROWS_FILE = "from_traffic.jsonl"
_TAG = "from traffic"

CandidateChoice = Literal["accept", "edit", "reject"]


class CandidateDecision(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What a person decided about a candidate.

    Attributes:
        candidate: The candidate.
        choice: `accept` the service's answer as the reference, `edit` it, or `reject` the request.
        reference: The reference of the coverage row; empty where it was rejected.
        rater: Who decided.
    """

    candidate: CandidateRow
    choice: CandidateChoice
    reference: str
    rater: str


class CandidateQueue:
    """The candidates; each decision is on the disk before the next one.

    Accepted ones are seed rows of the coverage dataset at once: the model was seen to fail on them,
    so that they are to be learned and not to measure.
    """

    def __init__(self, run: LabelledRun) -> None:
        """Resume the decisions in the run's folder, or start.

        Raises:
            UserError: The decisions there are damaged, or the coverage dataset cannot be read.
        """
        self.rows_path = run.coverage_dir / ROWS_FILE
        self._path = run.folder / DECISIONS_FILE
        self._decisions = {
            each.candidate.id: each for each in read_decisions(self._path, CandidateDecision)
        }
        self.candidates = tuple(_new(run)) if run.candidates else ()

    @property
    def decided(self) -> int:
        """How many of the candidates are decided."""
        return sum(row.id in self._decisions for row in self.candidates)

    @property
    def accepted(self) -> int:
        """How many requests have become coverage rows."""
        return len(self._rows())

    def find(self, id: str) -> CandidateRow | None:
        """Return a candidate by its id."""
        return next((row for row in self.candidates if row.id == id), None)

    def next(self) -> CandidateRow | None:
        """Return the first candidate without a decision; None at the end."""
        return next((row for row in self.candidates if row.id not in self._decisions), None)

    def decide(
        self, candidate: CandidateRow, choice: CandidateChoice, text: str, rater: str
    ) -> None:
        """Keep a decision, and write the accepted rows into the coverage dataset.

        Args:
            candidate: The candidate.
            choice: The decision.
            text: The edited reference; used for `edit` only.
            rater: Who decided.

        Raises:
            UserError: The edited reference cannot be one, or the coverage dataset could not be read
                with the row; nothing is decided then.
        """
        reference = {"accept": candidate.output, "edit": text, "reject": ""}[choice]
        if choice == "edit":
            check_edited(reference, candidate.output, "reject the request")
        before = dict(self._decisions)
        self._decisions[candidate.id] = CandidateDecision(
            candidate=candidate, choice=choice, reference=reference, rater=rater
        )
        try:
            self._write_rows()
        except UserError:
            self._decisions = before
            raise
        lines = (f"{each.model_dump_json()}\n" for each in self._decisions.values())
        replace_file(self._path, "".join(lines))

    def _write_rows(self) -> None:
        """Write the accepted rows; those before stay where the dataset could not be read with them.

        Raises:
            UserError: It could not be read.
        """
        rows, path = self._rows(), self.rows_path
        before = path.read_text(encoding="utf-8") if path.exists() else None
        if not rows and before is None:
            return
        text = "".join(f"{row.to_json()}\n" for row in rows)
        if text == before:
            return
        replace_file(path, text)
        try:
            read_coverage(str(path.parent))
        except UserError:
            if before is None:
                path.unlink()
            else:
                replace_file(path, before)
            raise

    def _rows(self) -> list[CoverageRow]:
        return [
            CoverageRow(
                each.candidate.id,
                each.candidate.prompt,
                each.reference,
                SEED_SPLIT,
                (*each.candidate.tags, _TAG),
            )
            for each in self._decisions.values()
            if each.choice != "reject"
        ]


def _new(run: LabelledRun) -> list[CandidateRow]:
    """Return the candidates that may be seed rows of the dataset as it is now."""
    known = KnownPrompts(read_coverage(str(run.coverage_dir)))
    return known.new_seeds([row for row in run.candidates if row.prompt.strip()])
