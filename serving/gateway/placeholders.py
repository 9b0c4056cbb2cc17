"""Placeholders for a model that was trained on them, and back for the caller."""

import json
from collections.abc import Mapping

from serving.gateway.protocols.base import ModelAnswer
from serving.gateway.task import Message
from task.privacy import PrivacySettings, redact, restore


def hidden(
    messages: tuple[Message, ...], privacy: PrivacySettings
) -> tuple[tuple[Message, ...], Mapping[str, str]]:
    """Return messages as the model was trained on them, and what their placeholders stand for."""
    if not privacy.redact:
        return messages, {}
    found = redact([message.text for message in messages], privacy)
    texts = zip(messages, found.texts, strict=True)
    return tuple(Message(role, text) for (role, _), text in texts), found.originals


def restored(answer: ModelAnswer, originals: Mapping[str, str]) -> ModelAnswer:
    """Return an answer with what its placeholders stand for; JSON stays JSON."""
    if not originals:
        return answer
    if _is_json(answer.text):
        escaped = {name: json.dumps(text, ensure_ascii=False) for name, text in originals.items()}
        originals = {name: text[1:-1] for name, text in escaped.items()}
    text = restore(answer.text, originals)
    # A placeholder may be cut between two pieces.
    return answer if text == answer.text else answer._replace(text=text, pieces=(text,))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
