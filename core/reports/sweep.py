"""Base models compared on the same training rows: how good, how large and how fast each becomes."""

from core.reports.coverage import Change
from core.reports.operation import OwnAnswers
from core.reports.rates import Rate, SplitName
from core.reports.report import Part, Report
from core.usage import Usage


class SweptModel(Part):
    """A base model after its training.

    Attributes:
        preset: The base model.
        parameters: Weights of the model; None for a training of an earlier version.
        size_bytes: Of the weights as they were written, in `dtype`.
        dtype: Precision of the base weights.
        rate: By the gate's scorer, on the gate's split.
        strict: Share of the answers there that equal their reference; None for free text.
        change: From the kept model's answers to this one's, on the same prompts; None for itself.
        eval_loss: In nats per response token; None without eval rows. Tokens differ between
            families, so losses are compared within one.
        training_seconds: The whole training took.
        own: How fast it answers; None where that was not measured.
        model: URI of the Model.
        report: URI of the CoverageReport.
    """

    preset: str
    parameters: int | None
    size_bytes: int
    dtype: str
    rate: Rate
    strict: Rate | None
    change: Change | None
    eval_loss: float | None
    training_seconds: float
    own: OwnAnswers | None
    model: str
    report: str


class SweepReport(Report):
    """Several base models trained on the rows that a run has kept: the content of `sweep.json`.

    Attributes:
        task: Name of the task.
        created: ISO 8601, UTC.
        round: The kept round.
        synthetic: URI of its rows.
        train_rows: Rows that the kept model was trained on.
        split: Whose prompts are compared.
        kept: The run's own model.
        models: The others, in the order in which they were named.
        usage: What the verdicts took.
        stand_in: Whether a stand-in judged.
    """

    task: str
    created: str
    round: int
    synthetic: str
    train_rows: int
    split: SplitName
    kept: SweptModel
    models: tuple[SweptModel, ...]
    usage: Usage
    stand_in: bool
