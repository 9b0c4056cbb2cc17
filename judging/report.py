"""Makes the findings of an evaluation from verdict rows; it reads and writes no file."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from core.records import VerdictRow
from core.reports.coverage import (
    JUDGE,
    SERVICE,
    TUNED,
    Agreement,
    BaselineComparison,
    Calibration,
    ChangeSince,
    Consistency,
    Findings,
    Judge,
    ScorerReport,
)
from core.reports.rates import (
    OVERALL,
    SPLITS,
    BySplit,
    RateEstimate,
    Rates,
    RelativeRate,
    SplitName,
)
from core.reports.strict import StrictKind
from judging import templates
from judging.advice import make_advice
from judging.agreement import agreement
from judging.calibration import JudgeErrors, corrected_rate
from judging.comparison import compare, relative_rate
from judging.failures import failure_clusters
from judging.gate import decide
from judging.label_sheet import Sheet
from judging.rates import observed, percent, rates
from judging.references import reference_correctness
from judging.scorers import SCORERS
from judging.settings import EvaluatorSettings
from judging.sheet_rates import sheet_rates
from judging.strict import strict_report
from judging.verdicts import aggregate

RowsByModel = Mapping[str, Sequence[VerdictRow]]


class Previous(NamedTuple):
    """The evaluation of an earlier round: its number, its judge, its rows of the tuned model."""

    round: int
    judge: Judge
    rows: Sequence[VerdictRow]


def describe_judge(provider: str, model: str, settings: EvaluatorSettings) -> Judge:
    """Describe everything that a verdict depends on besides the texts that are judged."""
    return Judge(
        provider=provider,
        model=model,
        votes=settings.votes,
        temperature=settings.temperature,
        similarity_threshold=settings.similarity_threshold,
        correctness_threshold=settings.correctness_threshold,
        prompt_version=templates.judge_version(settings),
        judge_exact_matches=settings.judge_exact_matches,
        rule=settings.gate.rule,
    )


def make_findings(
    rows: RowsByModel,
    settings: EvaluatorSettings,
    *,
    judge: Judge,
    kind: StrictKind | None,
    previous: Previous | None = None,
    calibration: tuple[JudgeErrors, Agreement] | None = None,
    sheet: Sheet | None = None,
) -> Findings:
    """Make the findings from verdicts, with the gate's decision.

    Args:
        rows: The verdict rows by model; `tuned` is there.
        settings: The gate and the scorers' thresholds.
        judge: The judge.
        kind: What the dataset's references are; None for free text.
        previous: The evaluation to compare with.
        calibration: What `calibrate` returned.
        sheet: The label sheet, where the labels are one.

    Raises:
        UserError: The gate's split holds no response.
    """
    strict = {model: strict_report(rows[model], kind) for model in rows} if kind else {}
    models, scorers = _rates(rows), _scorers(rows, settings, is_json=kind == "json")
    scorer = settings.gate.scorer
    decisive = models if scorer == JUDGE else scorers[scorer].models
    relative = _gate_ratio(rows, settings) if settings.gate.relative_to_service else None
    return Findings(
        models=models,
        judge=judge,
        scorers=scorers,
        consistency=_consistency(rows, settings),
        baselines={model: _baseline(rows, model) for model in rows if model != TUNED},
        change=_change(previous, rows[TUNED], judge) if previous else None,
        calibration=_calibration(rows, *calibration, sheet, kind) if calibration else None,
        gate=decide(decisive[TUNED], settings.gate, decisive.get(SERVICE), relative),
        strict=strict,
        failures=failure_clusters(rows[TUNED], kind) if kind else (),
        advice=make_advice(rows, strict, settings.gate),
    )


def rows_of_gate(rows: Sequence[VerdictRow], settings: EvaluatorSettings) -> Sequence[VerdictRow]:
    """Return the rows as the gate's scorer decides them."""
    scorer = settings.gate.scorer
    return (
        rows
        if scorer == JUDGE
        else rows_by_scorer(rows, scorer, settings.scorer_thresholds[scorer])
    )


def _gate_ratio(rows: RowsByModel, settings: EvaluatorSettings) -> RelativeRate:
    """Return the tuned model's rate in percent of the service LLM's, as the gate counts it."""
    own, other = (
        rows_of_gate(_of_split(rows[model], settings.gate.split), settings)
        for model in (TUNED, SERVICE)
    )
    return relative_rate(own, other)


def rows_by_scorer(rows: Iterable[VerdictRow], name: str, threshold: float) -> list[VerdictRow]:
    """Return the rows as if that scorer had been the judge; unscored where it does not apply."""
    scores = [(row, row.scores.get(name)) for row in rows]
    return [
        dataclasses.replace(
            row, covered=score is not None and score >= threshold, scored=score is not None
        )
        for row, score in scores
    ]


def _rates(rows: RowsByModel) -> dict[str, Rates]:
    return {model: rates(verdicts) for model, verdicts in rows.items()}


def _scorers(
    rows: RowsByModel, settings: EvaluatorSettings, *, is_json: bool
) -> dict[str, ScorerReport]:
    scored = {name for verdicts in rows.values() for row in verdicts for name in row.scores}
    return {
        name: _scorer(rows, name, threshold)
        for name, threshold in settings.scorer_thresholds.items()
        if (name in scored or not SCORERS[name].needs_embedder)
        and (SCORERS[name].fits_json or not is_json or settings.gate.scorer == name)
    }


def _scorer(rows: RowsByModel, name: str, threshold: float) -> ScorerReport:
    by_scorer = {m: rows_by_scorer(verdicts, name, threshold) for m, verdicts in rows.items()}
    pairs = [
        (judged.covered, scored.covered)
        for model, verdicts in rows.items()
        for judged, scored in zip(verdicts, by_scorer[model], strict=True)
        if judged.votes and judged.scored and scored.scored
    ]
    judge, scorer = ([pair[side] for pair in pairs] for side in (0, 1))
    return ScorerReport(
        threshold=threshold, models=_rates(by_scorer), agreement=agreement(judge, scorer)
    )


def _consistency(rows: RowsByModel, settings: EvaluatorSettings) -> Consistency:
    distinct = {
        (row.id, row.response): row for verdicts in rows.values() for row in verdicts if row.votes
    }
    both = flips = 0
    for row in distinct.values():
        by_position = [[vote for vote in row.votes if vote.position == p] for p in ("a", "b")]
        if all(by_position):
            both += 1
            first, second = (aggregate(votes, settings).covered for votes in by_position)
            flips += first != second
    suspect = {
        row_id
        for (row_id, _), median in reference_correctness(distinct.values()).items()
        if median < settings.correctness_threshold
    }
    unjudged = {
        (row.id, row.response)
        for verdicts in rows.values()
        for row in verdicts
        if row.covered and not row.votes
    }
    return Consistency(
        responses=both,
        order_flips=flips,
        suspect_references=tuple(sorted(suspect)),
        not_judged=len(unjudged),
    )


def _baseline(rows: RowsByModel, model: str) -> BySplit[BaselineComparison]:
    def compared(split: SplitName) -> BaselineComparison:
        before, now = (_of_split(rows[name], split) for name in (model, TUNED))
        relative = relative_rate(now, before) if model == SERVICE else None
        return BaselineComparison(change=compare(before, now), relative=relative)

    return BySplit[BaselineComparison](**{split: compared(split) for split in SPLITS})


def _change(previous: Previous, rows: Sequence[VerdictRow], judge: Judge) -> ChangeSince:
    return ChangeSince(
        previous_round=previous.round,
        same_judge=previous.judge == judge,
        **{s: compare(_of_split(previous.rows, s), _of_split(rows, s)) for s in SPLITS},
    )


def _calibration(
    rows: RowsByModel,
    errors: JudgeErrors,
    agreed: Agreement,
    sheet: Sheet | None,
    kind: StrictKind | None,
) -> Calibration:
    return Calibration(
        labels=errors.positives + errors.negatives,
        agreement=agreed,
        sensitivity_percent=None if errors.sensitivity is None else percent(errors.sensitivity),
        specificity_percent=None if errors.specificity is None else percent(errors.specificity),
        corrected={
            model: BySplit[RateEstimate | None](
                **{
                    split: corrected_rate(*observed(_of_split(verdicts, split)), errors)
                    for split in SPLITS
                }
            )
            for model, verdicts in rows.items()
        },
        prediction_powered=sheet_rates(rows, sheet, kind) if sheet else {},
        unsure=sum(row.unsure for row in sheet.rows) if sheet else 0,
    )


def _of_split(rows: Sequence[VerdictRow], split: SplitName) -> list[VerdictRow]:
    return [row for row in rows if split in (OVERALL, row.split)]
