"""From an exchange to its captured line, without personal data and keys."""

import datetime
import hashlib
from collections.abc import Sequence

from core.captured import (
    CapturedExchange,
    CapturedMessage,
    CapturedModel,
    CapturedService,
    CapturedUsage,
)
from serving.gateway.exchange import Content, Exchange, ServiceAnswer, TunedAnswer
from task.privacy import PrivacySettings, redact, without_keys

_SESSION_BYTES = 8


def captured(exchange: Exchange, content: Content, salt: bytes) -> CapturedExchange:
    """Return an exchange as it is written; it takes a millisecond with redaction.

    Args:
        exchange: The exchange.
        content: Its content.
        salt: Of the hash that stands for a session.
    """
    service, model = content.service, content.model
    messages = [*content.messages]
    texts = [
        content.system,
        *(message.text for message in messages),
        (service.text or "") if service else "",
        model.answer.text if model else "",
    ]
    system, *turns, service_text, model_text = _redacted(texts, content.task.privacy)
    start = [CapturedMessage("system", system)] if system else []
    time = datetime.datetime.fromtimestamp(exchange.time, datetime.UTC)
    return CapturedExchange(
        schema_version=1,
        id=exchange.id,
        time=time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        task=exchange.task,
        protocol=exchange.protocol,
        stream=exchange.is_stream,
        session=_stand_in(content.session, salt),
        messages=(
            *start,
            *(CapturedMessage(m.role, text) for m, text in zip(messages, turns, strict=True)),
        ),
        service=_service(service, service_text) if service else None,
        model=_model(model, model_text) if model else None,
        served_by=exchange.served_by,
        reason=exchange.reason,
    )


def _redacted(texts: Sequence[str], privacy: PrivacySettings) -> Sequence[str]:
    if privacy.redact:
        return redact(texts, privacy).texts
    return [without_keys(text) for text in texts]


def _stand_in(session: str, salt: bytes) -> str | None:
    """Return what groups the exchanges of a session without naming it.

    Without the salt, a mail address or a phone number would be found by hashing guesses.
    """
    if not session:
        return None
    return hashlib.blake2b(session.encode(), digest_size=_SESSION_BYTES, key=salt).hexdigest()


def _service(answer: ServiceAnswer, text: str) -> CapturedService:
    counts = (answer.prompt_tokens, answer.output_tokens)
    first = answer.first_byte_seconds
    return CapturedService(
        text=None if answer.text is None else text,
        status=answer.status,
        milliseconds=_milliseconds(answer.seconds),
        first_byte_milliseconds=None if first is None else _milliseconds(first),
        usage=None if counts == (None, None) else CapturedUsage(*counts),
        model_version=answer.model_version or None,
    )


def _model(tuned: TunedAnswer, text: str) -> CapturedModel:
    return CapturedModel(
        text=text,
        milliseconds=_milliseconds(tuned.seconds),
        confidence=tuned.answer.confidence,
        round=tuned.round,
        model_version=tuned.model_version,
    )


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
