"""What the service LLM returns for each kind of request."""

import pydantic


class Verdict(pydantic.BaseModel):
    """One vote on two answers."""

    # The docstring is sent along, so what the fields mean is said in the prompt alone. The reason
    # stands first so that it is written before the scores, which are 1 to 5.

    reason: str
    similarity: int = pydantic.Field(ge=1, le=5)
    correctness_a: int = pydantic.Field(ge=1, le=5)
    correctness_b: int = pydantic.Field(ge=1, le=5)


class NumberedVerdict(Verdict):
    """A vote on the answers of one row."""

    number: int


class Verdicts(pydantic.BaseModel):
    """Votes on several rows."""

    verdicts: list[NumberedVerdict]

    @property
    def by_number(self) -> dict[int, Verdict]:
        """The votes by their row; of two with one number the first counts."""
        return {verdict.number: verdict for verdict in reversed(self.verdicts)}


class Answer(pydantic.BaseModel):
    """The output for one message."""

    output: str
