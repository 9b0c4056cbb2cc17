"""What the service LLM has to return for each kind of request of this component."""

from typing import Literal, Self

import pydantic

from core.conversation import Conversation, Message


class AttributeSets(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The values that a plan draws from, one list per attribute.

    A wanted prompt gets one value of each list, so an empty list leaves that attribute open.
    """

    persona: list[str]
    difficulty: list[str]
    length: list[str]
    tone: list[str]
    format: list[str]
    language: list[str]
    edge_case: list[str]

    @classmethod
    def unconstrained(cls) -> Self:
        """Return sets that leave every attribute open."""
        return cls.model_validate({name: [] for name in cls.model_fields})


class NumberedMessage(pydantic.BaseModel):
    """A new prompt, with the number of its object in the plan."""

    number: int
    message: str


class ProposedPrompts(pydantic.BaseModel):
    """New prompts; one that was skipped moves no other to a wrong place in the plan."""

    messages: list[NumberedMessage]

    @property
    def by_number(self) -> dict[int, str]:
        """The prompts by their number; of two with one number the first counts."""
        return {m.number: m.message for m in reversed(self.messages)}


class ProposedTurn(pydantic.BaseModel):
    """One turn of a new conversation."""

    role: Literal["user", "assistant"]
    text: str


class ProposedConversation(pydantic.BaseModel):
    """A new conversation up to a message of the user, with its number in the plan."""

    number: int
    turns: list[ProposedTurn]

    def prompt(self) -> str:
        """Return it as a prompt; empty where its turns are no conversation."""
        try:
            messages = tuple(Message(role=t.role, text=t.text.strip()) for t in self.turns)
            return Conversation(messages=messages).prompt
        except ValueError:
            return ""


class ProposedConversations(pydantic.BaseModel):
    """New conversations; one that was skipped moves no other to a wrong place in the plan."""

    conversations: list[ProposedConversation]

    @property
    def by_number(self) -> dict[int, str]:
        """The conversations as prompts, by number; of two with one number the first counts."""
        return {found.number: found.prompt() for found in reversed(self.conversations)}


class Answer(pydantic.BaseModel):
    """The output for one message."""

    output: str


class LeakVerdict(pydantic.BaseModel):
    """Which of the shown coverage prompts a candidate restates, from 1; 0 for none."""

    reason: str
    same_as: int = pydantic.Field(ge=0)


class QualityScore(pydantic.BaseModel):
    """A second output for the prompt, and how good the first one is, 1 to 5."""

    # In this order: a judge that has solved the task compares, and one that has not nods.

    own_output: str
    difference: str
    reason: str
    score: int = pydantic.Field(ge=1, le=5)
