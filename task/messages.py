"""Splits messages into a conversation and its answer."""

from collections.abc import Iterable
from typing import NamedTuple

from core.conversation import JOINED, Conversation, Message


class Exchange(NamedTuple):
    """A conversation and the assistant's answer to it."""

    conversation: Conversation
    answer: str


def exchange(messages: Iterable[Message]) -> Exchange:
    """Split messages into the conversation and the last answer.

    Neighbouring messages of one role are joined: clients send a question in several messages, and
    chat templates require turns.

    Raises:
        ValueError: The messages do not end with an assistant message, or are no conversation.
    """
    merged: list[Message] = []
    for message in messages:
        if merged and merged[-1].role == message.role:
            text = f"{merged[-1].text}{JOINED}{message.text}"
            merged[-1] = Message(role=message.role, text=text)
        else:
            merged.append(message)
    if not merged or merged[-1].role != "assistant":
        last = merged[-1].role if merged else "no message"
        raise ValueError(f"there is no answer: the last message is of {last}, not of assistant")
    return Exchange(Conversation(messages=tuple(merged[:-1])), merged[-1].text)
