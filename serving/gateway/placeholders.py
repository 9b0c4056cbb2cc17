"""Placeholders for a model that was trained on them, and back for the caller."""

from collections.abc import Mapping

from serving.gateway.protocols.base import ModelAnswer
from serving.gateway.task import Message
from task.privacy import PrivacySettings, redact, restore_answer


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
    text = restore_answer(answer.text, originals)
    # A placeholder may be cut between two pieces.
    return answer if text == answer.text else answer._replace(text=text, pieces=(text,))
