"""The rates that people would find, from a label sheet and the judge's verdicts."""

from collections.abc import Mapping, Sequence

from core.records import VerdictRow
from core.reports.rates import OVERALL, SPLITS, BySplit, RateEstimate
from judging.label_order import stratum_of
from judging.label_sheet import Sheet
from judging.prediction_powered import SampledRow, prediction_powered_rate
from judging.requests import JudgedResponse
from judging.strict import strict_kind


def sheet_rates(
    rows: Mapping[str, Sequence[VerdictRow]], sheet: Sheet
) -> dict[str, BySplit[RateEstimate | None]]:
    """Estimate the rates of every model and split whose answers are those of the sheet.

    A sheet tells how its labels were drawn among its own answers only, so a rate on other answers,
    such as those of a later round, is none.

    Args:
        rows: Verdict rows by model.
        sheet: The label sheet.
    """
    found = {
        model: BySplit[RateEstimate | None](
            **{
                split: _rate([row for row in verdicts if split in (OVERALL, row.split)], sheet)
                for split in SPLITS
            }
        )
        for model, verdicts in rows.items()
    }
    return {
        model: rates
        for model, rates in found.items()
        if any(rates[split] is not None for split in SPLITS)
    }


def _rate(rows: Sequence[VerdictRow], sheet: Sheet) -> RateEstimate | None:
    sampled = {row.judged: row for row in sheet.rows}
    probabilities = sheet.probabilities()
    if {JudgedResponse.of(row) for row in rows} != sampled.keys() or 0 in probabilities.values():
        return None
    kind = strict_kind({row.id: row.output for row in rows}.values())
    return prediction_powered_rate(
        [
            SampledRow(
                id=row.id,
                groups=(stratum_of(row, kind), row.covered),
                probability=probabilities[sampled[JudgedResponse.of(row)].stratum],
                covered=sampled[JudgedResponse.of(row)].covered,
            )
            for row in rows
        ]
    )
