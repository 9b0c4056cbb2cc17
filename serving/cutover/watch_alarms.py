"""What is wrong with the service or the tuned model, by the looks of `understudy watch`."""

from collections.abc import Sequence

from core.reports.watch import WatchLook, WatchRate, same_model, same_service
from judging.control_chart import drift

SWAPPED, SERVICE_DRIFT, MODEL_DRIFT = "service_swapped", "service_drift", "model_drift"
ALARMS = (SWAPPED, SERVICE_DRIFT, MODEL_DRIFT)


def find_alarms(looks: Sequence[WatchLook]) -> dict[str, str]:
    """Return what is wrong at the newest look, by the alarm's name.

    Rates before the service was swapped, or the model exchanged, say nothing about those after.
    """
    newest = looks[-1]
    alarms: dict[str, str] = {}
    # A look without an answer that says its model names no other one.
    named = [look for look in looks if look.service_versions]
    if named[-1:] == [newest] and newest.service_versions != named[-2:][0].service_versions:
        old, new = (", ".join(look.service_versions) for look in named[-2:])
        alarms[SWAPPED] = (
            f"the service answers with {new}, and answered with {old} before. Run understudy "
            "verdict again once there are new pairs: those with the old version will not count"
        )
    if text := drift(service_counts(looks)):
        alarms[SERVICE_DRIFT] = f"the service has drifted: {text}{_unscored(newest.service)}"
    if text := drift(model_counts(looks)):
        alarms[MODEL_DRIFT] = f"the tuned model has drifted: {text}{_unscored(newest.model)}"
    return alarms


def _unscored(rate: WatchRate) -> str:
    """Say how many answers the judge or the scorer said nothing of; empty where there are none."""
    if not rate.unscored:
        return ""
    return f"; {rate.unscored} answers could not be scored and count as not covered"


def service_counts(looks: Sequence[WatchLook]) -> list[tuple[int, int]]:
    """Return covered and all prompts of each look at the service that answers now."""
    return [(look.service.covered, look.service.total) for look in same_service(looks)]


def model_counts(looks: Sequence[WatchLook]) -> list[tuple[int, int]]:
    """Return covered and all prompts of each look at the tuned model that answers now."""
    return [(look.model.covered, look.model.total) for look in same_model(looks)]
