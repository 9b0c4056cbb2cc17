"""A task that the gateway can take over, and the tuned model that answers it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import pydantic
from pydantic import Field

from core.conversation import chat_messages
from serving.settings import PLACEHOLDER, MatchMode
from task.privacy import PrivacySettings


class Message(NamedTuple):
    """One turn of a conversation.

    Attributes:
        role: Who speaks.
        text: What is said.
    """

    role: Literal["user", "assistant"]
    text: str


def turns_of(prompt: str) -> tuple[Message, ...]:
    """Return the turns of a coverage prompt; see `core.conversation`."""
    return tuple(
        Message("user" if message["role"] == "user" else "assistant", message["content"])
        for message in chat_messages(prompt)
    )


TokenCounter = Callable[[Sequence[Message]], int]
"""Tokens of the prompt that the model's chat template makes of messages, its control tokens
included, by the model's own tokenizer."""

Contract = Callable[[str], str | None]
"""What is wrong with an answer by the task's form; None where nothing is."""


class ServedTask(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """A task and its tuned model, ready to answer."""

    name: str = Field(min_length=1)
    """The task's name, for example `support_triage`; the `task` label of metrics."""

    instruction: str = ""
    """The task's instruction; the first accepted system text."""

    accepted_instructions: tuple[str, ...] = ()
    """Further accepted system texts."""

    match: MatchMode = "system"
    """See `ServingSettings.match`, as the following two."""

    template: str | None = None
    """Likewise."""

    model_alias: str | None = None
    """Likewise."""

    output_schema: Mapping[str, Any] | None = None
    """JSON Schema of an answer where `task.output_schema` is given, else None."""

    contract: Contract | None = None
    """Checks an answer against the inferred form, where at least 25 seeds stand behind it; None
    checks nothing."""

    privacy: PrivacySettings = PrivacySettings()
    """What is done about personal data in the task's texts."""

    model: str
    """Name of the tuned model, for people."""

    round: int = Field(ge=0)
    """The round that made it."""

    hash: str
    """Short content hash of its weights."""

    base_url: str = Field(pattern=r"^https?://")
    """URL of the OpenAI-compatible server with its `/v1`."""

    api_model: str
    """The model's name at that server."""

    api_key: pydantic.SecretStr = pydantic.SecretStr("")
    """That server's key; empty for none."""

    context_length: int = Field(ge=1)
    """Tokens of a prompt and its answer that the server takes."""

    max_output_tokens: int = Field(ge=1)
    """Tokens of an answer, where the request asks for none or for more."""

    count_tokens: TokenCounter
    """Counts the tokens of a prompt."""

    turn_markers: tuple[str, ...] = ()
    """Texts that the chat template turns into control tokens; typed by a user they stay text."""

    learned_turns: int = Field(1, ge=1)
    """User turns that the model has learned to answer at most; 1 for single prompts."""

    slots: int = Field(4, ge=1)
    """Requests that the server answers at a time."""

    samples: tuple[str, ...] = ()
    """A few coverage prompts, for warming up and for verifying another round's model."""

    measures_confidence: bool = False
    """Whether answers come with their confidence."""

    min_confidence: float | None = None
    """Mean log-probability from which an answer is sure; None where no threshold is known, and no
    answer is sure."""

    def is_sure(self, confidence: float | None) -> bool:
        """Whether an answer of this confidence is sure."""
        if confidence is None or self.min_confidence is None:
            return False
        return confidence >= self.min_confidence

    @property
    def around(self) -> tuple[str, str]:
        """What an application writes before and after a message, with `match: template`."""
        before, _, after = (self.template or PLACEHOLDER).partition(PLACEHOLDER)
        return before, after

    @property
    def model_version(self) -> str:
        """What answers: `support_triage/round-3@1f2e3d4c`."""
        return f"{self.name}/round-{self.round}@{self.hash}"
