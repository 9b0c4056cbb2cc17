"""Suspect references: the queue of coverage rows whose reference the judge disagrees with."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import pydantic

from core.errors import UserError
from core.records import VerdictRow
from core.whole_file import replace_file
from judging.references import reference_correctness
from labelling.coverage_diff import Replacement, coverage_diff, restored_reference
from labelling.files import check_edited, read_decisions
from labelling.run import LabelledRun

DECISIONS_FILE = "references.jsonl"
DIFF_FILE = "references.diff"

Choice = Literal["accept", "edit", "keep"]


class ReferenceDecision(pydantic.BaseModel, frozen=True, extra="forbid"):
    """What a person decided about a suspect reference.

    Attributes:
        id: The coverage row's id.
        choice: `accept` the proposal, `edit` the reference, or `keep` it.
        reference: The reference from now on; a new one as the coverage files hold it, with
            personal data that the run redacts.
        rater: Who decided.
    """

    id: str
    choice: Choice
    reference: str
    rater: str


class Suspect(NamedTuple):
    """A coverage row whose reference the judge disagrees with.

    Attributes:
        id: Its id.
        prompt: Its prompt.
        reference: Its right answer that the judge rates the worst, where there are several.
        proposal: The answer that the judge rates the most correct, of whichever model; None where
            every answer equals the reference.
    """

    id: str
    prompt: str
    reference: str
    proposal: str | None


class ReferenceQueue:
    """The suspect references; each decision is on the disk, with the diff, before the next one."""

    def __init__(self, run: LabelledRun) -> None:
        """Resume the decisions in the run's folder, or start.

        Raises:
            UserError: The decisions there are damaged.
        """
        self.suspects = find_suspects(run)
        self.diff_path = run.folder / DIFF_FILE
        self.coverage_dir = run.coverage_dir
        self._privacy = run.privacy
        self._path = run.folder / DECISIONS_FILE
        self._decisions = {
            decision.id: decision
            for decision in read_decisions(self._path, ReferenceDecision)
            if decision.id in {suspect.id for suspect in self.suspects}
        }

    @property
    def decisions(self) -> tuple[ReferenceDecision, ...]:
        """All decisions, in the order in which they were made."""
        return tuple(self._decisions.values())

    def find(self, id: str) -> Suspect | None:
        """Return a suspect by its id."""
        return next((suspect for suspect in self.suspects if suspect.id == id), None)

    def next(self) -> Suspect | None:
        """Return the first suspect without a decision; None at the end."""
        return next((s for s in self.suspects if s.id not in self._decisions), None)

    def decide(self, suspect: Suspect, choice: Choice, text: str, rater: str) -> None:
        """Keep a decision and rewrite the diff.

        Args:
            suspect: The row.
            choice: The decision.
            text: The edited reference; used for `edit` only.
            rater: Who decided.

        Raises:
            UserError: There is nothing to accept, the edited reference cannot be one, a placeholder
                of it stands for nothing, or the coverage dataset no longer holds the one to
                replace.
        """
        if choice == "accept" and suspect.proposal is None:
            raise UserError("There is no other answer to accept. Edit the reference, or keep it.")
        texts = {"accept": suspect.proposal or "", "edit": text, "keep": suspect.reference}
        reference = texts[choice]
        if choice == "edit":
            check_edited(reference, suspect.reference, "keep the present one")
        if reference != suspect.reference:
            # At once: when the diff was applied, the row's placeholders may have other numbers.
            replacement = Replacement(suspect.reference, reference)
            reference = restored_reference(
                self.coverage_dir, suspect.id, replacement, self._privacy
            )
        decision = ReferenceDecision(id=suspect.id, choice=choice, reference=reference, rater=rater)
        decisions = self._decisions | {suspect.id: decision}
        diff = self._diff(decisions)
        lines = (f"{entry.model_dump_json()}\n" for entry in decisions.values())
        replace_file(self._path, "".join(lines))
        replace_file(self.diff_path, diff)
        self._decisions = decisions

    def diff(self) -> str:
        """Return the diff of the coverage dataset that holds all edits."""
        return self._diff(self._decisions)

    def _diff(self, decisions: Mapping[str, ReferenceDecision]) -> str:
        changed = {
            suspect.id: Replacement(suspect.reference, decisions[suspect.id].reference)
            for suspect in self.suspects
            if suspect.id in decisions
        }
        return coverage_diff(self.coverage_dir, changed, self._privacy)


def find_suspects(run: LabelledRun) -> tuple[Suspect, ...]:
    """List the rows that the report calls suspect, with the best answer as a proposal."""
    by_id: dict[str, list[VerdictRow]] = {}
    for row in run.verdicts:
        by_id.setdefault(row.id, []).append(row)
    found = []
    for row_id in run.report.consistency.suspect_references:
        if rows := by_id.get(row_id):
            reference = _worst_reference(rows)
            found.append(Suspect(row_id, rows[0].prompt, reference, _proposal(rows)))
    return tuple(found)


def _worst_reference(rows: Sequence[VerdictRow]) -> str:
    """Return the right answer that the votes rate the least correct."""
    rated = reference_correctness(rows)
    return min(rated, key=lambda key: rated[key])[1] if rated else rows[0].output


def _proposal(rows: Iterable[VerdictRow]) -> str | None:
    """Return the answer that the votes rate the most correct, of those unlike any reference."""
    rated = [
        (statistics.median(vote.correctness for vote in row.votes), row.response)
        for row in rows
        if row.votes and row.response.strip() and row.response not in (row.output, *row.references)
    ]
    return max(rated)[1] if rated else None
