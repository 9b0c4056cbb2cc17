"""The rates that people would find, from a label sheet and the judge's verdicts."""

from collections.abc import Mapping, Sequence

from core.records import VerdictRow
from core.reports.rates import OVERALL, SPLITS, BySplit, RateEstimate
from core.reports.strict import StrictKind
from judging.label_order import stratum_of
from judging.label_sheet import Sheet
from judging.prediction_powered import SampledRow, prediction_powered_rate
from judging.requests import JudgedResponse


def sheet_rates(
    rows: Mapping[str, Sequence[VerdictRow]], sheet: Sheet, kind: StrictKind | None
) -> dict[str, BySplit[RateEstimate | None]]:
    """Estimate the rates of every model and split whose answers are those of the sheet.

    A sheet tells how its labels were drawn among its own answers only, so a rate on other answers,
    such as those of a later round, is none.

    Args:
        rows: Verdict rows by model.
        sheet: The label sheet.
        kind: What the dataset's references are; None for free text.
    """
    found = {
        model: BySplit[RateEstimate | None](
            **{
                split: sheet_rate(
                    [row for row in verdicts if split in (OVERALL, row.split)], sheet, kind
                )
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


def sheet_rate(
    rows: Sequence[VerdictRow], sheet: Sheet, kind: StrictKind | None
) -> RateEstimate | None:
    """Estimate the rate of some answers; None where the sheet is of others, or holds too little.

    People were asked about a random sample, and leave the hard ones open more often, so what they
    leave open is not left out: each such answer counts as half covered, and the interval reaches
    from the one where none of them is covered to the one where all are.

    Args:
        rows: The verdict rows.
        sheet: The label sheet.
        kind: What the dataset's references are; None for free text.
    """
    found = {row.judged: row for row in sheet.rows}
    probabilities = sheet.probabilities()
    if {JudgedResponse.of(row) for row in rows} != found.keys() or 0 in probabilities.values():
        return None

    def estimate(*, unsure: bool) -> RateEstimate | None:
        return prediction_powered_rate(
            [
                SampledRow(
                    id=row.id,
                    groups=(stratum_of(row, kind), row.covered),
                    probability=probabilities[asked.stratum],
                    covered=unsure if asked.unsure else asked.covered,
                )
                for row in rows
                for asked in (found[JudgedResponse.of(row)],)
            ]
        )

    least, most = estimate(unsure=False), estimate(unsure=True)
    if least is None or most is None:
        return None
    return RateEstimate(
        rate_percent=round((least.rate_percent + most.rate_percent) / 2, 2),
        low_percent=least.low_percent,
        high_percent=most.high_percent,
    )
