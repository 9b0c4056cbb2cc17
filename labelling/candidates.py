"""Candidates for coverage rows, from real requests: a person accepts, edits or rejects each."""

from typing import Literal

import pydantic

from core.candidates import CandidateRow
from core.errors import UserError
from core.records import SEED_SPLIT, CoverageRow
from core.whole_file import replace_file
from judging.strict import read_fields
from labelling.files import read_decisions
from labelling.run import LabelledRun

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
            UserError: The decisions there are damaged.
        """
        self.rows_path = run.coverage_dir / ROWS_FILE
        self._path = run.folder / DECISIONS_FILE
        self._decisions = {
            each.candidate.id: each for each in read_decisions(self._path, CandidateDecision)
        }
        known = {row.prompt for row in run.verdicts}
        self.candidates = tuple(row for row in run.candidates if row.prompt not in known)

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
            UserError: The edited reference cannot be one.
        """
        reference = {"accept": candidate.output, "edit": text, "reject": ""}[choice]
        if choice == "edit":
            _check(candidate, reference)
        self._decisions[candidate.id] = CandidateDecision(
            candidate=candidate, choice=choice, reference=reference, rater=rater
        )
        lines = (f"{each.model_dump_json()}\n" for each in self._decisions.values())
        replace_file(self._path, "".join(lines))
        rows = self._rows()
        if rows or self.rows_path.exists():
            replace_file(self.rows_path, "".join(f"{row.to_json()}\n" for row in rows))

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


def _check(candidate: CandidateRow, text: str) -> None:
    if not text.strip():
        raise UserError("The reference is empty. Write one, or reject the request.")
    if read_fields(candidate.output) is not None and read_fields(text) is None:
        raise UserError(
            f"The service's answer is a JSON object, and the edited one is not: {text[:80]!r}. "
            "Correct it, or reject the request."
        )
