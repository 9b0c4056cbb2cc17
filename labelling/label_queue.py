"""The queue of answers to label: who is asked what next, kept in the label sheet."""

import dataclasses
from pathlib import Path

from core.errors import UserError
from core.reports.coverage import TUNED, Agreement
from core.whole_file import replace_file
from judging.agreement import agreement
from judging.label_order import label_order, stratum_of
from judging.label_sheet import (
    RATERS,
    Decision,
    Sheet,
    SheetRow,
    read_sheet,
    write_sheet,
)
from judging.requests import JudgedResponse
from labelling.run import LabelledRun

SHEET_FILE = "labels.csv"
_MAX_RATER_CHARACTERS = 60


class LabelQueue:
    """Every answer to label, in order; each decision is on the disk before the next question."""

    def __init__(self, run: LabelledRun) -> None:
        """Resume the label sheet in the run's folder, or start one.

        Raises:
            UserError: The sheet there is damaged, or of other answers.
        """
        self.planned = run.count
        self.path = run.folder / SHEET_FILE
        if self.path.exists():
            self._sheet = _resumed(self.path, run)
        else:
            self._sheet = new_sheet(run)
            self._save()
        self._places = {_key(row.judged): place for place, row in enumerate(self._sheet.rows)}

    @property
    def sheet(self) -> Sheet:
        """The sheet as it is on the disk."""
        return self._sheet

    def next_key(self, rater: str) -> str | None:
        """Return the key of the first answer that this rater has not decided; None at the end."""
        return next(
            (_key(row.judged) for row in self._sheet.rows if rater not in row.decisions), None
        )

    def previous_key(self, rater: str, key: str | None) -> str | None:
        """Return the key of the last answer before this one that the rater has decided."""
        end = len(self._sheet.rows) if key is None else self._places[key]
        decided = [row for row in self._sheet.rows[:end] if rater in row.decisions]
        return _key(decided[-1].judged) if decided else None

    def row(self, key: str) -> SheetRow | None:
        """Return an answer by its key."""
        place = self._places.get(key)
        return None if place is None else self._sheet.rows[place]

    def decided(self, rater: str) -> int:
        """Count the answers that this rater has decided."""
        return sum(rater in row.decisions for row in self._sheet.rows)

    def decide(self, key: str, rater: str, decision: Decision) -> None:
        """Keep a rater's decision.

        Raises:
            UserError: The rater cannot be one of the sheet's.
        """
        self.check_rater(rater)
        row = self._sheet.rows[self._places[key]]
        self._sheet = self._sheet.with_decision(row.judged, rater, decision)
        self._save()

    def check_rater(self, rater: str) -> None:
        """Raise UserError where this name cannot be one of the sheet's two raters."""
        if not 0 < len(rater) <= _MAX_RATER_CHARACTERS or not rater.isprintable():
            raise UserError(
                f"A rater's name has 1 to {_MAX_RATER_CHARACTERS} printable characters; received "
                f"{rater!r}."
            )
        raters = self._sheet.raters
        if rater not in raters and len(raters) >= RATERS:
            raise UserError(
                f"A sheet has {RATERS} raters, and this one has {' and '.join(raters)}. Continue "
                f"as one of them; received {rater!r}."
            )

    def agreement(self) -> Agreement | None:
        """Compare the two raters on the answers on which both are sure; None with fewer raters."""
        raters = self._sheet.raters
        if len(raters) < RATERS:
            return None
        both = [
            tuple(row.decisions[rater].answer == "covered" for rater in raters)
            for row in self._sheet.rows
            if all(
                rater in row.decisions and row.decisions[rater].answer != "unsure"
                for rater in raters
            )
        ]
        first, second = ([pair[side] for pair in both] for side in (0, 1))
        return agreement(first, second)

    def contradictions(self) -> list[str]:
        """Return the keys of the answers on which two raters are sure and contradict each other."""
        return [
            _key(row.judged)
            for row in self._sheet.rows
            if {"covered", "not covered"} <= {d.answer for d in row.decisions.values()}
        ]

    def _save(self) -> None:
        replace_file(self.path, write_sheet(self._sheet))


def new_sheet(run: LabelledRun) -> Sheet:
    """Make the sheet of a run without any label; see `judging.label_order`."""
    rows = sorted(run.answers, key=lambda row: (row.id, row.sample))
    strict = run.report.strict.get(TUNED)
    kind = strict.kind if strict else None
    strata = {JudgedResponse.of(row): stratum_of(row, kind) for row in rows}
    order = label_order(strata, run.count)
    return Sheet(tuple(SheetRow(judged, strata[judged]) for judged in order))


def _resumed(path: Path, run: LabelledRun) -> Sheet:
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The labels {str(path)!r} could not be read: {error}.") from error
    sheet = read_sheet(text, str(path))
    answers = {judged: judged for judged in map(JudgedResponse.of, run.answers)}
    if {row.judged for row in sheet.rows} != answers.keys():
        raise UserError(
            f"{str(path)!r} contains labels for a different evaluation. Move it to start over; "
            "its labels can still be used as evaluator.labels_uri."
        )
    # With the other right answers, which the file lacks.
    return Sheet(tuple(dataclasses.replace(r, judged=answers[r.judged]) for r in sheet.rows))


def _key(judged: JudgedResponse) -> str:
    """Return what stands for an answer in the page; it says nothing about who gave it."""
    return judged.digest().hex()[:24]
