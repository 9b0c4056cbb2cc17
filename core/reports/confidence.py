"""How sure the tuned model was of its answers to the holdout, and how often it was right."""

from collections.abc import Mapping

from core.reports.rates import RateEstimate
from core.reports.report import Part, Report


class KeptShare(Part):
    """The answers above a threshold.

    Attributes:
        threshold: Mean log-probability per token of the least sure answer that is kept.
        kept: Answers that are kept.
        kept_percent: Their share of all, 0 to 100.
        right: How often they are right, with Wilson's 95 % interval.
    """

    threshold: float
    kept: int
    kept_percent: float
    right: RateEstimate


class ConfidenceRow(Part):
    """An answer to a coverage prompt.

    Attributes:
        confidence: Mean log-probability of its tokens.
        right: Whether it is right.
        seconds: Until it was complete.
    """

    confidence: float
    right: bool
    seconds: float


class ConfidenceReport(Report):
    """What was measured through the server that answers.

    Attributes:
        task: Name of the task.
        model_version: The model, as the gateway calls it.
        slots: Requests that its server answered at a time.
        scorer: What decided whether an answer is right.
        wanted_percent: Answers above the threshold are to be right at this rate.
        chosen: The threshold; None where no threshold can be shown to have that rate.
        reason: Why it was chosen, or why none was.
        curve: From the surest answers to all of them.
        rows: By the coverage row's id.
    """

    task: str
    model_version: str
    slots: int
    scorer: str
    wanted_percent: float
    chosen: KeptShare | None
    reason: str
    curve: tuple[KeptShare, ...]
    rows: Mapping[str, ConfidenceRow]
