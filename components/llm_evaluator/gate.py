"""Decides whether a model is blessed, with reasons; the rates come from `rates`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from components.errors import UserError
from components.llm_evaluator.settings import GateSettings


@dataclasses.dataclass(frozen=True)
class GateDecision:
    """What the gate says.

    Attributes:
        passed: Whether the model is blessed.
        rate_percent: The point estimate of the gate's coverage rate.
        value_percent: What was compared with the threshold.
        reasons: Sentences for the reader, the deciding one first.
    """

    passed: bool
    rate_percent: float
    value_percent: float
    reasons: tuple[str, ...]


def decide(rates: Mapping[str, Any], settings: GateSettings) -> GateDecision:
    """Compares the gate's rate with its threshold.

    Args:
        rates: Rates of the tuned model under the gate's scorer, by `overall`, `seed`, `holdout`.
        settings: The gate.

    Raises:
        UserError: The gate's split holds no response.
    """
    rate = rates[settings.split]
    if rate["total"] == 0:
        raise UserError(
            f"The gate looks at the split {settings.split!r}, which holds no response. "
            "Add coverage rows to it, or set gate.split to another one."
        )
    value = rate["rate_percent" if settings.statistic == "point" else "low_percent"]
    # Not the rounded percentage: 79.996 % must not pass a gate of 80 %.
    exact = 100 * rate["covered"] / rate["total"] if settings.statistic == "point" else value
    passed = exact >= settings.threshold_percent
    reasons = [_comparison(rate, value, settings, passed=passed)]
    if rate["unscored"]:
        reasons.append(
            f"{rate['unscored']} of {rate['total']} could not be scored and count as not covered."
        )
    return GateDecision(passed, rate["rate_percent"], value, tuple(reasons))


def _comparison(
    rate: Mapping[str, Any], value: float, settings: GateSettings, *, passed: bool
) -> str:
    what = "coverage rate" if settings.statistic == "point" else "lower bound of the coverage rate"
    by = "" if settings.scorer == "judge" else f" by {settings.scorer}"
    verb = "reaches" if passed else "is below"
    return (
        f"The {what} on {settings.split}{by} {verb} {settings.threshold_percent:g} %: "
        f"{value:g} % ({rate['covered']} of {rate['total']} covered, "
        f"95 % interval {rate['low_percent']:g} to {rate['high_percent']:g} %)."
    )
