"""Synthetic rows, where they come from, and the candidates that filters dropped."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Final, Literal, Self

import pydantic
from pydantic.dataclasses import dataclass

from core.records import Row

TRAIN_SPLIT = "train"
EVAL_SPLIT = "eval"
SYNTHETIC_SPLITS = (TRAIN_SPLIT, EVAL_SPLIT)

GENERATED: Final = "generated"
LOGGED: Final = "logged"
PERSON: Final = "person"
Source = Literal["generated", "logged", "person"]


class RowGenerator(pydantic.BaseModel, frozen=True):
    """The service LLM that wrote a row, its versions, and that of the code around it."""

    provider: str
    model: str
    code_version: str
    prompt_model_version: str = ""
    output_model_version: str = ""


class NearestCoverage(pydantic.BaseModel, frozen=True):
    """The coverage row that a prompt is most similar to, and how similar, 0 to 1."""

    id: str
    similarity: float


class Provenance(pydantic.BaseModel, frozen=True):
    """Where a training row comes from.

    Attributes:
        source: `generated` by the service LLM for this purpose, `logged` when users asked it, or
            written by a `person`.
        edited_by_person: Whether a person has changed it since.
        logged_id: The id of the logged exchange; None for other rows.
        seed_ids: The seeds that the prompt's author was shown.
        like_seed: The one whose kind of request it was to share; of a logged row the most similar.
        attributes: The attributes that it was to show.
        scores: What filters measured, such as `agreement` and `quality`.
        round: The round that added the row.
        generator: What wrote it; None for rows that were not generated.
        prompt_versions: Of the prompt texts.
        nearest_coverage: None where there was nothing to compare with.
    """

    source: Source = GENERATED
    edited_by_person: bool = False
    logged_id: str | None = None
    seed_ids: tuple[str, ...] = ()
    like_seed: str = ""
    attributes: Mapping[str, str] = {}
    scores: Mapping[str, float] = {}
    round: int
    generator: RowGenerator | None = None
    prompt_versions: Mapping[str, str] = {}
    nearest_coverage: NearestCoverage | None = None

    def to_json(self) -> str:
        """Return the text of the feature `provenance`; equal ones are equal texts."""
        return json.dumps(self.model_dump(exclude_none=True), ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True)
class SyntheticRow(Row):
    """One row of the synthetic Examples, with their features as attributes.

    Attributes:
        id: Stable name, made from the round and the normalized prompt.
        prompt: The prompt.
        output: What the service LLM answered; the target of the training.
        provenance: JSON of a `Provenance`.
        round: The round that added it, from 1.
    """

    id: str
    prompt: str
    output: str
    provenance: str
    round: int

    @property
    def origin(self) -> Provenance:
        """Where the row comes from."""
        return Provenance.model_validate_json(self.provenance)

    def features(self) -> dict[str, str | int]:
        """Return the row as `examples_io.write_examples` takes it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_features(cls, features: Mapping[str, object]) -> Self:
        """Take the row from what `examples_io.read_examples` returned."""
        names = (field.name for field in dataclasses.fields(cls))
        row: Self = cls._adapter().validate_python({name: features[name] for name in names})
        return row


@dataclass(frozen=True)
class Dropped(Row):
    """A candidate for a synthetic row that a filter dropped.

    Attributes:
        reason: The filter's word for it, as the synthesis record counts it.
        detail: What exactly was wrong.
        prompt: The prompt; empty when none was received.
        output: The output, or the reply that could not be read; empty when it was dropped before
            it was answered.
        nearest_id: Id of the coverage row that it repeats; empty where it repeats none.
        nearest_text: Text of the synthetic row that it repeats; empty where it repeats none.
        count: How many candidates this stands for; more than one only where none was received.
        scores: The numbers that filters gave it, such as `agreement` and `quality`.
        source: `generated`, or `logged` for a logged exchange.
    """

    reason: str
    detail: str
    prompt: str = ""
    output: str = ""
    nearest_id: str = ""
    nearest_text: str = ""
    count: int = 1
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    source: Source = GENERATED
