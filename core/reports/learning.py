"""The learning curve: rates by training rows, and the rows that the threshold would take."""

from core.reports.rates import Rate, SplitName
from core.reports.report import Part


class LearningPoint(Part):
    """One round.

    Attributes:
        round: The round.
        rows: Rows trained on.
        rate: The tuned model's rate as the gate counts it.
        strict: Its strict rate; None where outputs are free text.
    """

    round: int
    rows: int
    rate: Rate
    strict: Rate | None = None


class LearningCurve(Part):
    """The rounds of a loop by their training rows.

    Attributes:
        split: Whose rates.
        threshold_percent: The gate's threshold in percent of the prompts.
        points: The rounds, by rows.
        rows_to_threshold: Estimated training rows at which the rate reaches the threshold; None
            where it is reached, or cannot be estimated.
        low_rows: Lower end of the 95 % interval of that number; None without an estimate.
        high_rows: Upper end; None where there is none, since the curve may as well be flat.
        conclusion: What that says, for people.
    """

    split: SplitName
    threshold_percent: float
    points: tuple[LearningPoint, ...]
    rows_to_threshold: int | None = None
    low_rows: int | None = None
    high_rows: int | None = None
    conclusion: str
