"""The rows that travel between components, as plain Python.

A row is a frozen dataclass; `to_json`/`from_json` are the only way it is written to a JSONL file.
"""

import dataclasses
import functools
import json
from typing import Any, Literal, Self, cast

import pydantic

SEED_SPLIT = "seed"
HOLDOUT_SPLIT = "holdout"
COVERAGE_SPLITS = (SEED_SPLIT, HOLDOUT_SPLIT)


@dataclasses.dataclass(frozen=True)
class Row:
    """What rows have in common."""

    def to_json(self) -> str:
        """This row as one line of JSON, without a line break."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The row that `to_json` wrote; ValueError for anything else."""
        row: Self = _adapter(cast("Any", cls)).validate_json(line, strict=True)
        return row


@functools.cache
def _adapter(row: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(row)


@dataclasses.dataclass(frozen=True)
class CoverageRow(Row):
    """One pair of the coverage dataset.

    Attributes:
        id: Unique within the dataset.
        prompt: What a user sends to the service LLM.
        output: What the service LLM answers when it does well.
        split: `seed` rows are shown to the generator, `holdout` rows never are.
        tags: Free labels; coverage is reported for each.
    """

    id: str
    prompt: str
    output: str
    split: str
    tags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ResponseRow(Row):
    """One model's response to one coverage prompt.

    Attributes:
        id: The coverage row's id.
        prompt: The coverage row's prompt.
        output: The desired output.
        split: The coverage row's split.
        tags: The coverage row's tags.
        response: What the model answered.
        finish: `stop` when the model ended its turn, `length` when it was cut off.
        sample: Index of the response among several for one prompt, from 0.
    """

    id: str
    prompt: str
    output: str
    split: str
    tags: tuple[str, ...]
    response: str
    finish: Literal["stop", "length"]
    sample: int = 0
