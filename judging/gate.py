"""Decides whether a model is blessed, with reasons; the rates come from `rates`."""

from typing import NamedTuple

from core.errors import UserError
from core.reports.coverage import JUDGE, Gate
from core.reports.rates import Rate, Rates, RelativeRate
from judging.rates import percent
from judging.settings import GateSettings


class Decision(NamedTuple):
    """A rate held against the threshold.

    Attributes:
        threshold_percent: The rate to reach, in percent of the prompts.
        value_percent: What was compared with it.
        passed: Whether it is reached.
    """

    threshold_percent: float
    value_percent: float
    passed: bool


def decide(
    rates: Rates,
    settings: GateSettings,
    service: Rates | None = None,
    relative: RelativeRate | None = None,
) -> Gate:
    """Compare the gate's rate with its threshold.

    Args:
        rates: Rates of the tuned model by the gate's scorer.
        settings: The gate.
        service: Rates of the service LLM by the same scorer; needed for a relative threshold.
        relative: The tuned model's rate in percent of the service LLM's on the gate's split,
            likewise.

    Raises:
        UserError: The gate's split holds no response.
    """
    rate = rates[settings.split]
    if rate.total == 0:
        raise UserError(
            f"The gate looks at the split {settings.split!r}, which has no responses. "
            "Add coverage rows to it, or set gate.split to another one."
        )
    of_service = None if service is None else service[settings.split]
    decision = hold_against(rate, settings, of_service, relative)
    if settings.relative_to_service:
        assert service is not None
        assert relative is not None
        reason = _relative_comparison(
            rate, service[settings.split], relative, settings, passed=decision.passed
        )
    else:
        reason = _comparison(rate, decision.value_percent, settings, passed=decision.passed)
    return Gate(
        split=settings.split,
        statistic=settings.statistic,
        scorer=settings.scorer,
        rule=settings.rule,
        relative_threshold_percent=(
            settings.threshold_percent if settings.relative_to_service else None
        ),
        relative=relative if settings.relative_to_service else None,
        rate=rate,
        reasons=(reason, *_unscored(rate)),
        **decision._asdict(),
    )


def hold_against(
    rate: Rate,
    settings: GateSettings,
    service: Rate | None = None,
    relative: RelativeRate | None = None,
) -> Decision:
    """Compare a rate with the gate's threshold; see `decide`.

    Raises:
        ValueError: The threshold is relative, and the service LLM's rate is not given.
    """
    is_point = settings.statistic == "point"
    if not settings.relative_to_service:
        value = rate.rate_percent if is_point else rate.low_percent
        # Not the rounded percentage: 79.996 % must not pass a gate of 80 %.
        exact = _exact(rate) if is_point else value
        return Decision(settings.threshold_percent, value, exact >= settings.threshold_percent)
    if service is None or relative is None:
        raise ValueError("A relative gate needs the service LLM's rate.")
    own = _exact(service)
    threshold = percent(settings.threshold_percent * own / 10_000)
    if relative.percent is None or relative.low_percent is None:
        return Decision(threshold, rate.rate_percent, passed=False)
    if is_point:
        passed = _exact(rate) >= settings.threshold_percent * own / 100
        return Decision(threshold, rate.rate_percent, passed)
    value = percent(relative.low_percent * own / 10_000)
    return Decision(threshold, value, relative.low_percent >= settings.threshold_percent)


def _exact(rate: Rate) -> float:
    return 100 * rate.covered / rate.total


def _unscored(rate: Rate) -> tuple[str, ...]:
    if not rate.unscored:
        return ()
    return (f"{rate.unscored} of {rate.total} could not be scored and count as not covered.",)


def _by(settings: GateSettings) -> str:
    return "" if settings.scorer == JUDGE else f" by {settings.scorer}"


def _comparison(rate: Rate, value: float, settings: GateSettings, *, passed: bool) -> str:
    what = "coverage rate" if settings.statistic == "point" else "lower bound of the coverage rate"
    verb = "reaches" if passed else "is below"
    told = _rounded(value, settings.threshold_percent, passed=passed)
    return (
        f"The {what} on {settings.split}{_by(settings)} {verb} {settings.threshold_percent:g} %: "
        f"{told} % ({rate.covered} of {rate.total} covered, "
        f"95 % interval {rate.low_percent:.1f} to {rate.high_percent:.1f} %)."
    )


def _relative_comparison(
    rate: Rate, service: Rate, relative: RelativeRate, settings: GateSettings, *, passed: bool
) -> str:
    if relative.percent is None or relative.low_percent is None:
        return (
            f"The service LLM covers none of its {service.total} {settings.split} prompts"
            f"{_by(settings)}, so no rate can be compared with its own. Look at its answers."
        )
    what = "coverage rate" if settings.statistic == "point" else "lower bound of the coverage rate"
    verb = "reaches" if passed else "is below"
    compared = relative.percent if settings.statistic == "point" else relative.low_percent
    told = _rounded(compared, settings.threshold_percent, passed=passed)
    return (
        f"The {what} on {settings.split}{_by(settings)} {verb} {settings.threshold_percent:g} % of "
        f"the service LLM's own: it is {told} % of it (95 % interval "
        f"{relative.low_percent:.1f} to {relative.high_percent:.1f} %), with {rate.covered} of "
        f"{rate.total} covered against the service LLM's {service.covered} of {service.total}."
    )


def _rounded(value: float, threshold: float, *, passed: bool) -> str:
    """Round to one decimal, or to two where one would read like the opposite of the decision."""
    digits = 1 if (round(value, 1) >= threshold) == passed else 2
    return f"{value:.{digits}f}"
