"""The rows of the coverage dataset, of responses and of verdicts, each one line of a JSONL file.

A row is validated where it is made. `to_json` and `from_json` are the only way it is written to a
JSONL file.
"""

import functools
from collections.abc import Mapping
from typing import Any, Literal, Self

import pydantic
from pydantic.dataclasses import dataclass

from core.text import rename_keys

SEED_SPLIT = "seed"
HOLDOUT_SPLIT = "holdout"
TEST_SPLIT = "test"
LOOP_SPLITS = (SEED_SPLIT, HOLDOUT_SPLIT)  # what every round looks at
COVERAGE_SPLITS = (*LOOP_SPLITS, TEST_SPLIT)
LOGGED_SPLIT = "logged"  # exchanges next to the coverage dataset that become training rows

Finish = Literal["stop", "length"]
Position = Literal["a", "b"]


class Row:
    """What rows have in common."""

    def to_json(self) -> str:
        """Return this row as one line of JSON, without a line break."""
        return self._adapter().dump_json(self).decode()

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read what `to_json` wrote; raise ValueError for anything else."""
        row: Self = cls._adapter().validate_json(line, strict=True)
        return row

    @classmethod
    @functools.cache
    def _adapter(cls) -> pydantic.TypeAdapter[Any]:
        return pydantic.TypeAdapter(cls)


@dataclass(frozen=True)
class CoverageRow(Row):
    """One pair of the coverage dataset.

    Attributes:
        id: Unique within the dataset.
        prompt: What a user sends to the service LLM.
        output: The reference: what the service LLM answers when it does well.
        split: `seed` rows are shown to the generator, `holdout` rows never are, `test` rows are
            judged once, after the loop; `logged` rows are no part of the dataset, but for training.
        tags: Free labels; coverage is reported for each.
        references: Other right answers; a response is compared with the closest one.
    """

    id: str
    prompt: str
    output: str
    split: str
    tags: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResponseRow(Row):
    """One model's response to one coverage prompt.

    Attributes:
        id: The coverage row's id, as the next four fields.
        prompt: What a user sends.
        output: The reference.
        split: `seed`, `holdout` or `test`.
        tags: Free labels.
        response: What the model answered.
        finish: `stop` when the model ended its turn, `length` when it was cut off.
        sample: Index of the response among several for one prompt, from 0.
        references: Other right answers.
    """

    id: str
    prompt: str
    output: str
    split: str
    tags: tuple[str, ...]
    response: str
    finish: Finish
    sample: int = 0
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vote:
    """One readable verdict of the judge, seen from the judged response.

    Attributes:
        similarity: To the reference, 1 to 5.
        correctness: Of the response on its own, 1 to 5.
        reference_correctness: Of the reference on its own, 1 to 5; a low value points at a faulty
            coverage row.
        reason: The judge's words.
        position: Where the response was shown; the reference was at the other place.
    """

    similarity: int
    correctness: int
    reference_correctness: int
    reason: str
    position: Position


@dataclass(frozen=True)
class VerdictRow(Row):
    """A model's response to a coverage prompt, and its verdict.

    Attributes:
        model: `tuned`, `base`, `few_shot` or `service`.
        id: As in `ResponseRow`, as the next seven fields.
        split: Likewise.
        tags: Likewise.
        prompt: Likewise.
        output: Likewise.
        response: Likewise.
        finish: Likewise.
        sample: Likewise.
        covered: Whether similarity and correctness both reach their thresholds.
        scored: Whether enough votes could be read. A response without is not covered.
        similarity: Median of the votes, None when not scored.
        correctness: Median of the votes, None when not scored.
        reason: Of the first vote that agrees with the outcome, or why there is no score.
        votes: The readable votes, in the order of the requests.
        scores: Score of each scorer besides the judge; None where it does not apply to the row.
        references: Other right answers; `output` is the one that is closest to the response.
    """

    model: str
    id: str
    split: str
    tags: tuple[str, ...]
    prompt: str
    output: str
    response: str
    finish: Finish
    sample: int
    covered: bool
    scored: bool
    similarity: float | None
    correctness: float | None
    reason: str
    votes: tuple[Vote, ...]
    scores: Mapping[str, float | None]
    references: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, line: str) -> Self:
        """See `Row`; lines of the first version, with other names, are read too."""
        is_first = '"correctness":' not in line
        return super().from_json(rename_keys(line, _FIRST_VERSION) if is_first else line)


_FIRST_VERSION = {
    "precision": "correctness",
    "output_precision": "reference_correctness",
    "candidate_position": "position",
}
