"""The label sheet: a CSV of human labels that also knows how its rows were drawn, and by whom.

It holds every response of the rate to correct, labelled or not. Its columns are those of
`labels`, which reads it too, and more: the stratum and the probability of each row, and up to two
raters with their answers and reasons.
"""

import csv
import dataclasses
import io
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from core.errors import UserError
from judging import labels
from judging.label_order import Stratum, inclusion_probabilities
from judging.requests import JudgedResponse

Answer = Literal["covered", "not covered", "unsure"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
_STRATA: Mapping[str, Stratum] = {name: name for name in get_args(Stratum)}
RATERS = 2

_YES, _NO = "yes", "no"
_RATER_COLUMNS = ("rater", "label", "reason")
_COLUMNS = (
    *labels.COLUMNS,
    "stratum",
    "probability",
    *(f"{name}_{number}" for number in range(1, RATERS + 1) for name in _RATER_COLUMNS),
)


class Decision(NamedTuple):
    """What one rater said of a response, and why; the reason may be empty."""

    answer: Answer
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class SheetRow:
    """A response to label.

    Attributes:
        judged: The response.
        stratum: The stratum from which it was drawn.
        decisions: By rater.
    """

    judged: JudgedResponse
    stratum: Stratum
    decisions: Mapping[str, Decision] = dataclasses.field(default_factory=dict)

    @property
    def covered(self) -> bool | None:
        """What the raters say; None where none is sure, or two contradict each other."""
        sure = {d.answer for d in self.decisions.values() if d.answer != "unsure"}
        return sure == {"covered"} if len(sure) == 1 else None

    @property
    def unsure(self) -> bool:
        """Whether people left it open: nobody asked is sure, or two contradict each other."""
        return bool(self.decisions) and self.covered is None


@dataclasses.dataclass(frozen=True)
class Sheet:
    """All responses in the order in which people are asked about them."""

    rows: tuple[SheetRow, ...]

    @property
    def raters(self) -> tuple[str, ...]:
        """Who has labelled, in the order of their first answer in the sheet."""
        return tuple(dict.fromkeys(rater for row in self.rows for rater in row.decisions))

    def probabilities(self) -> Mapping[Stratum, float]:
        """Return the share of each stratum about which people were asked."""
        strata = {row.judged: row.stratum for row in self.rows}
        asked = [row.judged for row in self.rows if row.decisions]
        return inclusion_probabilities(strata, asked)

    def with_decision(self, judged: JudgedResponse, rater: str, decision: Decision) -> "Sheet":
        """Return a sheet with one more answer, or with another answer in an earlier one's place."""
        return Sheet(
            tuple(
                dataclasses.replace(row, decisions={**row.decisions, rater: decision})
                if row.judged == judged
                else row
                for row in self.rows
            )
        )


def write_sheet(sheet: Sheet) -> str:
    """Write the sheet as CSV; `labels.read_labels` reads it too."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, _COLUMNS, restval="")
    writer.writeheader()
    probabilities = sheet.probabilities()
    for row in sheet.rows:
        judged = row.judged
        cells = {
            "prompt": judged.prompt,
            "output": judged.output,
            "response": judged.response,
            "human_covered": "" if row.covered is None else (_YES if row.covered else _NO),
            "stratum": row.stratum,
            "probability": f"{probabilities[row.stratum]:.6g}",
        }
        for number, rater in enumerate(sheet.raters, start=1):
            if rater in row.decisions:
                decision = row.decisions[rater]
                values = (rater, decision.answer, decision.reason)
                cells |= {
                    f"{name}_{number}": value
                    for name, value in zip(_RATER_COLUMNS, values, strict=True)
                }
        writer.writerow({name: labels.quoted(cell) for name, cell in cells.items()})
    return stream.getvalue()


def is_sheet(text: str) -> bool:
    """Whether a CSV is a label sheet rather than a plain file of labels."""
    return {"stratum", "probability"} <= set(next(csv.reader(io.StringIO(text, newline="")), []))


def read_sheet(text: str, source: str) -> Sheet:
    """Read what `write_sheet` wrote.

    Args:
        text: The CSV.
        source: Where the text comes from, for messages.

    Raises:
        UserError: It is no label sheet, or a cell was changed to what it cannot be.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise UserError(
                f"{source} lacks the column {', '.join(missing)}. Make it with `understudy label`."
            )
        rows = tuple(_row(cells, f"{source}, line {reader.line_num}") for cells in reader)
    except csv.Error as error:
        raise UserError(f"{source}, line {reader.line_num}: not a CSV file: {error}.") from error
    return Sheet(rows)


def _row(cells: Mapping[str, str | None], place: str) -> SheetRow:
    values = {name: labels.unquoted(cells[name] or "") for name in _COLUMNS}
    stratum = _STRATA.get(values["stratum"])
    if stratum is None:
        raise UserError(
            f"{place}: the stratum is {values['stratum']!r}; expected one of {', '.join(_STRATA)}."
        )
    decisions = {}
    for number in range(1, RATERS + 1):
        rater, answer, reason = (values[f"{name}_{number}"] for name in _RATER_COLUMNS)
        if not rater and not answer:
            continue
        if answer not in ANSWERS:
            raise UserError(
                f"{place}: label_{number} is {answer!r}; expected one of {', '.join(ANSWERS)}."
            )
        decisions[rater] = Decision(answer, reason)
    prompt, output, response = (values[name] for name in labels.COLUMNS[:3])
    judged = JudgedResponse(prompt, output, response)
    return SheetRow(judged, stratum, decisions)
