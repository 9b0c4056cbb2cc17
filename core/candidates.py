"""Real requests that may become coverage rows, each one line of a JSONL file."""

from typing import Literal

from pydantic.dataclasses import dataclass

from core.records import Row


@dataclass(frozen=True)
class CandidateRow(Row):
    """A captured request that may become a coverage row if a person accepts it.

    Attributes:
        id: Unique; that of the coverage row if it is accepted.
        prompt: What was asked.
        output: What the service answered.
        tags: Of the coverage prompt that it is most like.
        why: `not covered` where the tuned model did not cover it, failed at it or was unsure of it,
            `unlike` where it is like no coverage prompt.
    """

    id: str
    prompt: str
    output: str
    tags: tuple[str, ...]
    why: Literal["not covered", "unlike"]
