"""Judges the split `test`: once, after the loop, and for the kept round only."""

from collections.abc import Mapping, Sequence

from core.records import TEST_SPLIT, ResponseRow, VerdictRow
from core.reports.coverage import SERVICE, TUNED
from core.reports.last_look import LastLook
from core.reports.rates import RateEstimate
from core.reports.strict import StrictKind
from judging.calibration import JudgeErrors, corrected_rate
from judging.comparison import relative_rate
from judging.gate import hold_against
from judging.label_sheet import Sheet
from judging.rates import observed, rate
from judging.report import rows_of_gate
from judging.settings import EvaluatorSettings
from judging.sheet_rates import sheet_rate
from judging.strict import strict_part


def is_sealed(row: ResponseRow) -> bool:
    """Whether a response belongs to the split that no round looks at."""
    return row.split == TEST_SPLIT


def make_last_look(
    rows: Mapping[str, Sequence[VerdictRow]],
    settings: EvaluatorSettings,
    *,
    looks: int,
    kind: StrictKind | None,
    errors: JudgeErrors | None = None,
    sheet: Sheet | None = None,
) -> LastLook:
    """Say what the verdicts on the test split mean.

    Args:
        rows: Verdict rows of the test split by model; `tuned` is there, `service` may be.
        settings: The gate.
        looks: Rounds that were judged on the holdout before one of them was kept.
        kind: What the references are; None for free text, which has no strict rate.
        errors: The judge's errors on labelled responses; None without labels.
        sheet: The label sheet, where the labels are one.
    """
    by_gate = {
        model: rows_of_gate(rows[model], settings) for model in (TUNED, SERVICE) if model in rows
    }
    rates = {model: rate(found) for model, found in by_gate.items()}
    relative = relative_rate(by_gate[TUNED], by_gate[SERVICE]) if SERVICE in by_gate else None
    decision = hold_against(rates[TUNED], settings.gate, rates.get(SERVICE), relative)
    return LastLook(
        holdout_looks=looks,
        models=rates,
        relative=relative,
        strict={model: strict_part(rows[model], kind) for model in rates} if kind else {},
        corrected=_found(
            {model: corrected_rate(*observed(rows[model]), errors) for model in rates if errors}
        ),
        prediction_powered=_found(
            {model: sheet_rate(rows[model], sheet, kind) for model in rates if sheet}
        ),
        threshold_percent=decision.threshold_percent,
        reached=decision.passed,
    )


def _found(rates: Mapping[str, RateEstimate | None]) -> dict[str, RateEstimate]:
    return {model: value for model, value in rates.items() if value is not None}
