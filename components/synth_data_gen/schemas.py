"""What the service LLM has to return for each kind of request of this component."""

import pydantic


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


class ProposedPrompts(pydantic.BaseModel):
    """New prompts, in the order of the plan."""

    prompts: list[str]


class Answer(pydantic.BaseModel):
    """The output for one message."""

    output: str


class QualityScore(pydantic.BaseModel):
    """How good a pair is for training: 1 is useless, 5 is flawless."""

    reason: str
    score: int = pydantic.Field(ge=1, le=5)
