"""Reads captured exchanges, and the pairs of answers among them."""

from collections.abc import Sequence
from pathlib import Path

from core.captured import CapturedExchange, CapturedModel
from core.conversation import JOINED, Conversation, Message
from core.errors import UserError
from judging.requests import JudgedResponse
from serving.cutover.tail import CaptureTail
from serving.gateway.checks import unfenced
from serving.gateway.faults import Fault
from serving.gateway.reasons import MODEL_FAILED, Reason
from serving.model.gguf import SERVING_DIR
from serving.preset import ServedPreset

UNKNOWN = "unknown"
_OK = "ok"
_FAULTS = frozenset(Fault)
_MISSED = (MODEL_FAILED, "unsure")


def capture_folder(preset: ServedPreset) -> Path:
    """Return the folder in which the gateway of a preset captures."""
    return preset.settings.capture.folder_in(preset.output_dir / SERVING_DIR)


def read_exchanges(preset: ServedPreset) -> list[CapturedExchange]:
    """Return a task's captured exchanges, the oldest first.

    Raises:
        UserError: There are none, or a file is damaged.
    """
    folder = capture_folder(preset)
    found = CaptureTail(folder, preset.task.name).new()
    if not found:
        raise UserError(
            f"There is no captured exchange of {preset.task.name} in {str(folder)!r}. Set "
            "serving.capture to true, start `understudy serve`, and let the application's "
            "requests through it."
        )
    return found


def is_pair(exchange: CapturedExchange) -> bool:
    """Whether the service answered, and the model answered the same later.

    Where the service answered because the model was unsure or failed, the answers decided that
    there is a pair, and it would say nothing of the others.
    """
    service, model = exchange.service, exchange.model
    is_healthy = exchange.served_by == "service" and exchange.reason == _OK
    return is_healthy and model is not None and service is not None and bool(service.text)


def is_missed(exchange: CapturedExchange, model: CapturedModel | None) -> bool:
    """Whether the service answered because a model, which gave this answer, failed or was unsure.

    None is any model.
    """
    own = exchange.model is None or model is None or exchange.model.identity == model.identity
    return is_healthy(exchange) and exchange.reason in _MISSED and own


def is_healthy(exchange: CapturedExchange) -> bool:
    """Whether the service answered, and well; `why_unhealthy` says why not."""
    return not why_unhealthy(exchange)


def why_unhealthy(exchange: CapturedExchange) -> str:
    """Return why nothing can be learned from the service's answer; empty where it is healthy."""
    service, reason = exchange.service, exchange.reason
    if exchange.served_by != "service":
        by = "the tuned model" if exchange.served_by == "model" else "nobody"
        return f"{by} answered ({reason})"
    # Where the model failed, too, a faulty answer was better than none.
    if Reason.of(reason).end in _FAULTS:
        return f"the service's answer was faulty ({reason})"
    if service is None or service.text is None:
        status = f" (HTTP {service.status})" if service else ""
        return f"the service's answer was refused, cut off or no text{status}"
    return ""


def prompt_of(exchange: CapturedExchange) -> str:
    """Return what was asked as the prompt of a coverage row: one text, or the turns as JSON."""
    turns = [Message(role=m.role, text=m.text) for m in exchange.messages if m.text.strip()]
    try:
        return Conversation(messages=tuple(turns)).prompt
    except ValueError:  # no turns that a chat template would take
        return user_text_of(exchange)


def user_text_of(exchange: CapturedExchange) -> str:
    """Return the texts of the user, which are compared with those of coverage prompts."""
    return JOINED.join(message.text for message in exchange.messages if message.role == "user")


def judged_pair(exchange: CapturedExchange) -> JudgedResponse:
    """Return a pair as it is scored: the service's answer is the reference.

    A code fence around an answer, as service LLMs like to write, makes no difference.
    """
    assert exchange.service is not None
    assert exchange.model is not None
    reference = unfenced(exchange.service.text or "")
    return JudgedResponse(prompt_of(exchange), reference, unfenced(exchange.model.text))


def version_of(exchange: CapturedExchange) -> str:
    """Return the model that the service answered with, in its words, or `UNKNOWN`."""
    return (exchange.service and exchange.service.model_version) or UNKNOWN


def newest_version(exchanges: Sequence[CapturedExchange]) -> str:
    """Return the model that the service answers with now, or `UNKNOWN`."""
    named = (version_of(exchange) for exchange in reversed(exchanges))
    return next((version for version in named if version != UNKNOWN), UNKNOWN)


def of_version(exchanges: Sequence[CapturedExchange], version: str) -> list[CapturedExchange]:
    """Return the exchanges that the service answered with a model.

    One that does not say its model counts from the first that names this one on.

    Args:
        exchanges: With an answer of the service, the oldest first.
        version: See `newest_version`; every exchange is of `UNKNOWN`.
    """
    if version == UNKNOWN:
        return list(exchanges)
    found: list[CapturedExchange] = []
    for exchange in exchanges:
        own = version_of(exchange)
        if own == version or (found and own == UNKNOWN):
            found.append(exchange)
    return found
