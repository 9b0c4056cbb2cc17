"""The strict rate: answers equal to their references, field by field or label by label."""

from collections.abc import Mapping
from typing import Literal

from core.reports.rates import BySplit, Rate
from core.reports.report import Part

StrictKind = Literal["json", "labels"]


class ConfusionCell(Part):
    """How often one reference value got one answered value.

    Attributes:
        reference: The value in the reference, as JSON; a bare label where outputs are labels.
        answered: The value in the answer, likewise, or `ABSENT` or `UNREADABLE`.
        rate: Share of the answers with this reference value that have this answered value;
            `covered` is the count of the cell.
    """

    reference: str
    answered: str
    rate: Rate

    @property
    def is_right(self) -> bool:
        """Whether the answered value is the reference's."""
        return self.reference == self.answered


class FieldAccuracy(Part):
    """One field of JSON outputs, or the label.

    Attributes:
        accuracy: Share of the answers whose value equals the reference's; `covered` counts them.
        majority_percent: What always answering the most frequent reference value would reach.
        confusion: The most frequent first; empty where values hardly repeat, as in free text.
    """

    accuracy: Rate
    majority_percent: float
    confusion: tuple[ConfusionCell, ...]


class LabelScore(Part):
    """One label as a class of its own.

    Attributes:
        references: Answers whose reference is the label.
        answers: Answers that are the label.
        correct: Answers that are the label and should be.
        precision_percent: Of the answers that are the label; None without any.
        recall_percent: Of the references that are the label; None without any.
        f1_percent: Harmonic mean of the two, 0 to 100.
        low_percent: Lower end of the 95 % interval of F1.
        high_percent: Upper end of it.
    """

    references: int
    answers: int
    correct: int
    precision_percent: float | None
    recall_percent: float | None
    f1_percent: float
    low_percent: float
    high_percent: float


class JudgeDifference(Part):
    """The judge compared with the strict scorer on the same answers.

    Attributes:
        points: The judge's rate minus the strict rate, in percentage points.
        warn: Whether the two rates differ by so much that a reader must be told.
        only_judge: Ids of rows with an answer that the judge alone accepts, sorted.
        only_strict: Ids of rows with an answer that the strict scorer alone accepts, sorted.
    """

    points: float
    warn: bool
    only_judge: tuple[str, ...]
    only_strict: tuple[str, ...]


class StrictPart(Part):
    """The strict findings on one part of the answers.

    Attributes:
        rate: Share of the answers that equal their reference.
        fields: Of JSON outputs, by the field's path such as `customer.city`; in the order of the
            first reference. For labels the one entry `LABEL`.
        labels: Of outputs that are labels, by label; empty for JSON.
        judge: The judge compared with the strict scorer.
    """

    rate: Rate
    fields: Mapping[str, FieldAccuracy]
    labels: Mapping[str, LabelScore]
    judge: JudgeDifference


class StrictReport(BySplit[StrictPart]):
    """One model's strict findings; there are none where outputs are free text.

    Attributes:
        kind: What the references are: JSON objects, or labels of a closed set.
    """

    kind: StrictKind
