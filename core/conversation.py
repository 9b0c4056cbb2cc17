"""Conversations: what a prompt is, from the imported row to the chat template.

A prompt travels as one text. That of a single message is the message; that of several turns is
their list of messages as JSON, in the one spelling that `Conversation.prompt` writes, without the
system message: a tuned model knows its task without it.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, Literal, Self

import pydantic

Role = Literal["system", "user", "assistant"]
JOINED = "\n\n"  # between messages of one role that follow each other, and after a system text
JOINED_PARTS = "\n"  # between the text parts of one message, the assistant's excepted

# Readable by Python's `re` and by RE2, which reads it inside TensorFlow graphs.
_TEXT = r'"(?:[^"\\\x00-\x1f]|\\["\\nrtbf]|\\u00[01][0-9a-f])*"'
TURN_STARTS = {
    role: f'{{"role": "{role}", "content": "' for role in ("user", "assistant")
}  # how a turn begins in a prompt, up to its text
TURN_END = '"}'
_USER, _ASSISTANT = (
    re.escape(start[:-1]) + _TEXT + re.escape("}") for start in TURN_STARTS.values()
)
SEVERAL_TURNS = rf"\[{_USER}(?:, {_ASSISTANT}, {_USER})*\]"
"""Pattern of the whole prompt of a conversation."""
_SEVERAL_TURNS = re.compile(SEVERAL_TURNS)


class Message(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One message of a conversation.

    Attributes:
        role: Who wrote it.
        text: What it says; not blank.
    """

    role: Role
    text: str

    @pydantic.field_validator("text")
    @classmethod
    def _is_not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("a message has no text")
        return text


class Conversation(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A prompt: an optional system message, then turns of user and assistant, the last the user's.

    Attributes:
        messages: At least one; user and assistant take turns, as chat templates require.

    Example:
        >>> Conversation.from_text("Where is my parcel?").text
        'Where is my parcel?'
    """

    messages: tuple[Message, ...]

    @pydantic.field_validator("messages")
    @classmethod
    def _takes_turns(cls, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        roles = [message.role for message in messages]
        turns = roles[1:] if roles[:1] == ["system"] else roles
        if len(turns) % 2 != 1 or turns != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
            raise ValueError(
                "expected an optional system message, then user and assistant in turn, ending "
                f"with user; found {', '.join(roles) or 'no message'}"
            )
        return messages

    @classmethod
    def from_text(cls, text: str, system: str | None = None) -> Self:
        """Make the shortest conversation: one user message, and a system message if given."""
        start = [Message(role="system", text=system)] if system else []
        return cls(messages=(*start, Message(role="user", text=text)))

    @property
    def system(self) -> str | None:
        """The system message's text, or None."""
        return self.messages[0].text if self.messages[0].role == "system" else None

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages without the system message."""
        return self.messages[1:] if self.messages[0].role == "system" else self.messages

    @property
    def text(self) -> str:
        """The user's texts, joined by blank lines: what similarity compares."""
        return JOINED.join(message.text for message in self.messages if message.role == "user")

    @property
    def prompt(self) -> str:
        """The turns as one text; see this module."""
        turns = self.turns
        if len(turns) == 1 and not has_turns(turns[0].text):
            return turns[0].text
        return json.dumps(
            [{"role": turn.role, "content": turn.text} for turn in turns], ensure_ascii=False
        )

    def without_system(self) -> Self:
        """Return the same turns without the system message."""
        return type(self)(messages=self.turns)

    def with_system_in_first_turn(self) -> Self:
        """Return the turns with the system text before the first one, as chat templates put it."""
        if self.system is None:
            return self
        first, *others = self.turns
        text = f"{self.system}{JOINED}{first.text}"
        return type(self)(messages=(Message(role="user", text=text), *others))


def joined_parts(texts: Iterable[str], role: str) -> str:
    """Join the text parts of one message.

    Args:
        texts: The parts.
        role: Whose they are. The assistant's are pieces of one answer, as services' clients read
            them; those of others are texts of their own, and each gets a line; see decision 29.
    """
    return ("" if role == "assistant" else JOINED_PARTS).join(texts)


def has_turns(prompt: str) -> bool:
    """Return whether a prompt is the JSON of a conversation, not the text of a single message."""
    return prompt.startswith("[{") and _SEVERAL_TURNS.fullmatch(prompt) is not None


def chat_messages(prompt: str) -> list[dict[str, str]]:
    """Return a prompt's turns as messages of a chat API: `role` and `content`."""
    if has_turns(prompt):
        messages: list[dict[str, str]] = json.loads(prompt)
        return messages
    return [{"role": "user", "content": prompt}]


def user_turns(prompt: str) -> int:
    """Return how many of a prompt's turns are the user's."""
    return sum(message["role"] == "user" for message in chat_messages(prompt))


def user_text(prompt: str) -> str:
    """Return the user's texts, joined by blank lines: what similarity compares."""
    return JOINED.join(m["content"] for m in chat_messages(prompt) if m["role"] == "user")


def transcript(prompt: str) -> str:
    """Return a prompt for people: a single message as it is, turns each under who speaks."""
    messages = chat_messages(prompt)
    if len(messages) == 1:
        return messages[0]["content"]
    return JOINED.join(f"{m['role'].capitalize()}: {m['content']}" for m in messages)


def json_value(prompt: str) -> Any:
    """Return what stands for a prompt in JSON: a text, or the list of messages."""
    return chat_messages(prompt) if has_turns(prompt) else prompt
