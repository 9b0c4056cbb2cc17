"""The coverage report: how many prompts each model covers, and what the gate says of it."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from core.reports.failures import FailureCluster
from core.reports.last_look import LastLook
from core.reports.operation import OwnAnswers, ServiceAnswers
from core.reports.rates import BySplit, Rate, RateEstimate, Rates, RelativeRate, SplitName
from core.reports.report import Part, Report
from core.reports.strict import StrictReport
from core.usage import Usage

TUNED = "tuned"
BASE = "base"
FEW_SHOT = "few_shot"
SERVICE = "service"

JUDGE = "judge"  # the gate's scorer where no other one decides


class Agreement(Part):
    """Two raters on the same rows: how many both, neither or only one counted as covered.

    Attributes:
        agree_percent: Equal decisions in percent of the rows; None without rows.
        kappa: Cohen's kappa, -1 to 1, with its 95 % interval; None without rows or where both
            raters always say the same one thing, so that agreement by chance is certain.
    """

    rows: int
    both: int
    neither: int
    only_first: int
    only_second: int
    agree_percent: float | None = None
    kappa: float | None = None
    kappa_low: float | None = None
    kappa_high: float | None = None


class Change(Part):
    """What changed from one set of verdicts to another.

    Attributes:
        prompts: Prompts that both sets hold.
        gained: Prompts covered more often than before; `gained_ids` are theirs, sorted.
        lost: Prompts covered less often than before; `lost_ids` likewise.
        difference_points: Rate now minus rate before on these prompts, in percentage points.
        p_value: Probability of a change this lopsided if nothing but chance were at work.
        significant: Whether that is below 5 %.
    """

    prompts: int
    gained: int
    lost: int
    difference_points: float
    p_value: float
    significant: bool
    gained_ids: tuple[str, ...]
    lost_ids: tuple[str, ...]


class ChangeSince(BySplit[Change]):
    """The tuned model compared with that of an earlier round.

    Attributes:
        previous_round: That round.
        same_judge: Whether its judge was the same; if not, part of the change may be the judge's.
    """

    previous_round: int
    same_judge: bool


class BaselineComparison(Part):
    """The tuned model compared with a baseline; `relative` only where that is the service LLM."""

    change: Change
    relative: RelativeRate | None = None


class Judge(Part):
    """Everything that a verdict depends on besides the texts that were judged."""

    provider: str
    model: str
    votes: int
    temperature: float
    similarity_threshold: float
    correctness_threshold: float
    prompt_version: str
    judge_exact_matches: bool
    rule: str = "similar_and_correct"


class ScorerReport(Part):
    """A scorer besides the judge.

    Attributes:
        threshold: Score from which it counts a prompt as covered.
        models: Every model's rates as this scorer sees them.
        agreement: The judge (first) and this scorer (second), on all models' responses.
    """

    threshold: float
    models: Mapping[str, Rates]
    agreement: Agreement


class Consistency(Part):
    """What the votes say about the judge and the coverage dataset.

    Attributes:
        responses: Different responses with votes in both orders.
        order_flips: Those that the two orders decide differently.
        suspect_references: Ids of coverage rows whose reference the judge rates below the
            correctness threshold.
        not_judged: Different responses that equal the reference and count as covered unjudged.
    """

    responses: int
    order_flips: int
    suspect_references: tuple[str, ...]
    not_judged: int = 0


class Calibration(Part):
    """The judge compared with people.

    Attributes:
        labels: Responses that people labelled.
        unsure: Responses that they were asked about and left open.
        agreement: People (first) and the judge (second).
        sensitivity_percent: Share of the responses people accept that the judge accepts, too.
        specificity_percent: Share of those people reject that the judge rejects, too.
        corrected: Every model's rates corrected for the judge's errors; None where the labels do
            not allow it.
        prediction_powered: The rates that people would find, of the models and splits of which all
            answers are in the label sheet; empty without one.
    """

    labels: int
    agreement: Agreement
    sensitivity_percent: float | None
    specificity_percent: float | None
    corrected: Mapping[str, BySplit[RateEstimate | None]]
    prediction_powered: Mapping[str, BySplit[RateEstimate | None]] = {}
    unsure: int = 0


class Gate(Part):
    """The decision whether the tuned model is blessed, with the settings it followed.

    Attributes:
        split: Whose coverage rate counts.
        statistic: `point` compares the rate itself, `lower` the lower bound of its interval.
        threshold_percent: The rate to reach, in percent of the prompts.
        relative_threshold_percent: The share of the service LLM's own rate that this is; None for
            an absolute threshold.
        relative: The rate in percent of the service LLM's; None for an absolute threshold.
        rule: What the judge's verdict has to say, as in `GateSettings`.
        scorer: What decided that a prompt is covered: the judge, or another scorer.
        rate: The tuned model's rate on the split by that scorer.
        value_percent: What was compared with the threshold.
        passed: Whether the model is blessed.
        reasons: Sentences for the reader, the deciding one first.
    """

    split: SplitName
    statistic: Literal["point", "lower"]
    threshold_percent: float
    scorer: str
    rule: str = "similar_and_correct"
    relative_threshold_percent: float | None = None
    relative: RelativeRate | None = None
    rate: Rate
    value_percent: float
    passed: bool
    reasons: tuple[str, ...]


class Findings(Part):
    """What an evaluation found.

    Attributes:
        models: Every model's rates as the judge sees them, the tuned model's first.
        judge: The judge.
        scorers: The other scorers, by name.
        consistency: Signs of trouble with the judge or the references.
        baselines: The tuned model compared with each other model.
        change: The tuned model compared with that of the round before; None without one.
        calibration: The judge compared with people; None without labels.
        gate: The decision.
        strict: Every model's answers compared with the references, by model; empty where these are
            free text.
        failures: Clusters of the tuned model's failures on all prompts, the largest first.
        advice: Sentences on what to do where the rate is low; empty where nothing shows why.
    """

    models: Mapping[str, Rates]
    judge: Judge
    scorers: Mapping[str, ScorerReport]
    consistency: Consistency
    baselines: Mapping[str, BySplit[BaselineComparison]]
    change: ChangeSince | None
    calibration: Calibration | None
    gate: Gate
    strict: Mapping[str, StrictReport] = {}
    failures: tuple[FailureCluster, ...] = ()
    advice: tuple[str, ...] = ()


class CoverageReport(Findings, Report):
    """What an evaluation found and what it cost: the content of `coverage_report.json`.

    Attributes:
        task: Name of the task.
        round: The round that trained the model, from 1.
        usage: What was asked of the service LLM and the embedding model.
        embedding_usage: Of this, the embedding model's part.
        embedding_model: The embedding model; None without one.
        stand_in: Whether a stand-in judged, so that the rates say nothing about the model.
        sealed_prompts: Prompts of the split `test` that this evaluation has not judged.
        last_look: The test split; None where it is sealed, or there is none.
        service_answers: What the service LLM's own answers took; None where it gave none.
        own_answers: What the tuned model's took; None where that was not measured.
    """

    first_version: ClassVar[Mapping[str, str] | None] = {
        "precision_threshold": "correctness_threshold",
        "doubtful_outputs": "suspect_references",
    }

    task: str
    round: int
    usage: Usage
    embedding_usage: Usage = Usage()
    embedding_model: str | None = None
    stand_in: bool
    sealed_prompts: int = 0
    last_look: LastLook | None = None
    service_answers: ServiceAnswers | None = None
    own_answers: OwnAnswers | None = None
