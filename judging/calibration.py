"""Corrects the judge's coverage rate for the errors that human labels show."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from core.reports.coverage import Agreement
from core.reports.rates import RateEstimate
from judging.agreement import agreement
from judging.labels import Label
from judging.rates import Z_95, percent
from judging.requests import JudgedResponse
from judging.verdicts import Judgement


@dataclasses.dataclass(frozen=True)
class JudgeErrors:
    """How the judge decides where people have decided.

    Attributes:
        positives: Responses that people count as covering.
        found: Of these, the ones the judge counts too.
        negatives: Responses that people count as not covering.
        rejected: Of these, the ones the judge rejects too.
    """

    positives: int
    found: int
    negatives: int
    rejected: int

    @property
    def sensitivity(self) -> float | None:
        """Share of the covering responses that the judge finds; None without any."""
        return self.found / self.positives if self.positives else None

    @property
    def specificity(self) -> float | None:
        """Share of the others that the judge rejects; None without any."""
        return self.rejected / self.negatives if self.negatives else None


def corrected_rate(share: float, size: float, errors: JudgeErrors) -> RateEstimate | None:
    """Estimate the coverage rate that people would find from the one that the judge finds.

    It assumes that the judge errs on these responses as often as it did on the labelled ones; these
    may have another coverage rate.

    Args:
        share: The judge's coverage rate, 0 to 1.
        size: How many independent responses it rests on.
        errors: The judge's errors on labelled responses.

    Returns:
        The rate with its 95 % interval; None where no label of one kind exists or the judge is no
        better than chance, so that nothing can be corrected.

    Reference:
        W. J. Rogan and B. Gladen, Estimating prevalence from the results of a screening test,
        American Journal of Epidemiology 107 (1978), 71-76; the interval is that of Z. Lang and
        J. Reiczigel, Confidence limits for prevalence of disease adjusted for estimated sensitivity
        and specificity, Preventive Veterinary Medicine 113 (2014), 13-22.
    """
    sensitivity, specificity = errors.sensitivity, errors.specificity
    if sensitivity is None or specificity is None or sensitivity + specificity <= 1:
        return None
    estimate = (share + specificity - 1) / (sensitivity + specificity - 1)
    positives, negatives = errors.positives + 2, errors.negatives + 2
    found, rejected = (errors.found + 1) / positives, (errors.rejected + 1) / negatives
    slope = found + rejected - 1
    if slope < 1e-9:  # next to no labels of one kind: two added ones outweigh them
        return None
    z2 = Z_95 * Z_95
    adjusted = (size * share + z2 / 2) / (size + z2)
    center = (adjusted + rejected - 1) / slope
    of_found = found * (1 - found) / positives
    of_rejected = rejected * (1 - rejected) / negatives
    center_shift = 2 * z2 * (center * of_found - (1 - center) * of_rejected)
    variance = (
        adjusted * (1 - adjusted) / (size + z2)
        + center**2 * of_found
        + (1 - center) ** 2 * of_rejected
    )
    spread = Z_95 * math.sqrt(variance) / slope
    return RateEstimate(
        rate_percent=percent(_share(estimate)),
        low_percent=percent(_share(center + center_shift - spread)),
        high_percent=percent(_share(center + center_shift + spread)),
    )


def calibrate(
    labels: Sequence[Label], judgements: Mapping[JudgedResponse, Judgement]
) -> tuple[JudgeErrors, Agreement]:
    """Compare the judge with people.

    Args:
        labels: Human labels.
        judgements: The judge's verdicts on at least the labelled responses. Those that could not be
            scored count as not covered, as they do in the rates.

    Returns:
        The judge's errors, and the agreement of people (first) and the judge (second).
    """
    human = [label.covered for label in labels]
    judge = [judgements[label.judged].covered for label in labels]
    pairs = list(zip(human, judge, strict=True))
    # An exact match that counts as covered without a vote is no decision of the judge's.
    decided = [
        pair
        for label, pair in zip(labels, pairs, strict=True)
        if judgements[label.judged].votes or not judgements[label.judged].covered
    ]
    errors = JudgeErrors(
        positives=human.count(True),
        found=pairs.count((True, True)),
        negatives=human.count(False),
        rejected=pairs.count((False, False)),
    )
    return errors, agreement([pair[0] for pair in decided], [pair[1] for pair in decided])


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
