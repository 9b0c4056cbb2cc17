"""Corrects the judge's coverage rate for the errors that human labels show."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from components.llm_evaluator.agreement import agreement
from components.llm_evaluator.labels import Label
from components.llm_evaluator.rates import Z_95, percent
from components.llm_evaluator.requests import Candidate
from components.llm_evaluator.verdicts import Judgement


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


@dataclasses.dataclass(frozen=True)
class CorrectedRate:
    """A coverage rate freed of the judge's bias, each value from 0 to 100."""

    rate_percent: float
    low_percent: float
    high_percent: float


def corrected_rate(share: float, size: float, errors: JudgeErrors) -> CorrectedRate | None:
    """What people would call the coverage rate, estimated from the judge's.

    It holds as far as the judge errs on these responses as it did on the labelled ones; it does not
    ask that the labelled ones have the same coverage rate.

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
    return CorrectedRate(
        rate_percent=percent(_share(estimate)),
        low_percent=percent(_share(center + center_shift - spread)),
        high_percent=percent(_share(center + center_shift + spread)),
    )


def calibrate(
    labels: Sequence[Label], judgements: Mapping[Candidate, Judgement]
) -> tuple[JudgeErrors, dict[str, Any]]:
    """Compares the judge with people.

    Args:
        labels: Human labels.
        judgements: The judge's verdicts on at least the labelled responses. Those that could not be
            scored count as not covered, as they do in the rates.

    Returns:
        The judge's errors, and what the report says of them.
    """
    human = [label.covered for label in labels]
    judge = [judgements[label.candidate].covered for label in labels]
    pairs = list(zip(human, judge, strict=True))
    errors = JudgeErrors(
        positives=human.count(True),
        found=pairs.count((True, True)),
        negatives=human.count(False),
        rejected=pairs.count((False, False)),
    )
    report = {
        "labels": len(labels),
        "agreement": dataclasses.asdict(agreement(human, judge)),
        "sensitivity_percent": _percent(errors.sensitivity),
        "specificity_percent": _percent(errors.specificity),
    }
    return errors, report


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def _percent(share: float | None) -> float | None:
    return None if share is None else percent(share)
