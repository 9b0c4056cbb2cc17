"""Whether a model is served as it was asked for: shutdown days, and which model answered."""

import datetime
import re
from collections.abc import Iterable

from core.usage import Usage
from service_llm.cost import listed_price
from service_llm.settings import ServiceLLMSettings

_MOVING = re.compile(r"(^|[-/])latest$")  # names that the provider moves to newer models


def shutdown_warning(settings: ServiceLLMSettings, day: datetime.date) -> str | None:
    """Warn of a model that is shut down, or will be; None where no day is known.

    Args:
        settings: The service LLM.
        day: Today.
    """
    listed = listed_price(settings.model, day)
    if listed is None:
        return None
    ends = listed.vertex_shutdown if settings.vertex_project else listed.shutdown
    if ends is None or settings.base_url:
        return None
    where = "Vertex AI" if settings.vertex_project else "its provider"
    tense = "was shut down" if ends <= day else "will be shut down"
    advice = f" Change to {listed.successor}." if listed.successor else ""
    rerouted = (
        f" Requests for it may be answered by {listed.successor}, at that model's price."
        if listed.successor and not settings.vertex_project
        else ""
    )
    return f"{settings.model} {tense} by {where} on {ends.isoformat()}.{rerouted}{advice}"


def other_model(asked: str, answered: str, day: datetime.date) -> bool:
    """Whether a reply is of another model than the one asked for, as far as names tell.

    A dated version of a model is that model. Where the price lists have neither name, as of local
    servers, nothing is known.

    Args:
        asked: The model's name in the settings.
        answered: What the reply names.
        day: Today.
    """
    asked, answered = (name.rsplit("/", 1)[-1] for name in (asked, answered))
    is_known = listed_price(asked, day) or listed_price(answered, day)
    if not answered or not is_known or _MOVING.search(asked):
        return False
    return not same_model(asked, answered, day)


def same_model(asked: str, answered: str, day: datetime.date) -> bool:
    """Whether a reply is of the model asked for, by its name; see `other_model`."""
    asked, answered = (name.rsplit("/", 1)[-1] for name in (asked, answered))
    listed = listed_price(asked, day)
    return _is_dated(asked, answered) or (listed is not None and listed.holds(answered, day))


def _is_dated(asked: str, answered: str) -> bool:
    """Whether a name is another with a date or number behind it."""
    return re.fullmatch(re.escape(asked) + r"([-@:]?\d[\d-]*)?", answered) is not None


def service_warnings(
    settings: ServiceLLMSettings,
    usage: Usage,
    day: datetime.date,
    others: Iterable[ServiceLLMSettings] = (),
) -> list[str]:
    """Warn of what a service's replies show, and of what is known of its model.

    Args:
        settings: The service LLM.
        usage: What a run used of it.
        day: Today.
        others: Services whose replies `usage` may count as well.
    """
    warnings = []
    if (shutdown := shutdown_warning(settings, day)) is not None:
        warnings.append(shutdown)
    models = {other.model for other in others}
    versions = [
        version
        for version in usage.model_versions
        if same_model(settings.model, version, day)
        or not any(same_model(model, version, day) for model in models)
    ]
    strange = [version for version in versions if other_model(settings.model, version, day)]
    if strange:
        warnings.append(
            f"{settings.model} was asked for, and {' and '.join(strange)} answered: verdicts and "
            "prices are of another model than the configured one."
        )
    elif len(versions) > 1:
        warnings.append(
            f"{settings.model} answered as {' and as '.join(versions)} within this run: its "
            "answers may have changed."
        )
    if usage.unknown_calls:
        warnings.append(
            f"{settings.model} did not say how many tokens {usage.unknown_calls} of "
            f"{usage.calls} calls took: they count as none, and their cost is estimated from "
            "their texts."
        )
    return warnings
