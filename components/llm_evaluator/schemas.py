"""What the service LLM has to return for each kind of request of this component."""

import pydantic


class Verdict(pydantic.BaseModel):
    """One vote on two answers; the reason stands first so that it is written before the scores.

    Attributes:
        reason: Why the scores are what they are, in a sentence or two.
        similarity: How far the two answers say the same, 1 to 5.
        precision_a: How correct, complete and obedient answer a is on its own, 1 to 5.
        precision_b: The same of answer b.
    """

    reason: str
    similarity: int = pydantic.Field(ge=1, le=5)
    precision_a: int = pydantic.Field(ge=1, le=5)
    precision_b: int = pydantic.Field(ge=1, le=5)


class Answer(pydantic.BaseModel):
    """The output for one message."""

    output: str
