"""A synthetic row on its way through the filters, and as it is written."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from components.synth_data_gen.text import normalize

TRAIN_SPLIT = "train"
EVAL_SPLIT = "eval"
SPLITS = (TRAIN_SPLIT, EVAL_SPLIT)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A prompt that the service LLM wrote, and what is known of it so far.

    Attributes:
        position: (batch, request, place in its reply): the order in which candidates are judged.
        prompt: The prompt's text.
        seed_ids: The seeds that its author was shown.
        like_seed: The seed whose kind of request it was to share.
        attributes: The attributes that it was to show.
        output: The service LLM's answer; empty until it is answered.
        scores: Numbers that filters leave behind, such as `agreement` and `quality`.
        nearest: Id of the nearest coverage row, and the similarity, 0 to 1.
        prompt_model_version: The model that wrote the prompt, as the provider names it.
        output_model_version: The model that wrote the output.
    """

    position: tuple[int, int, int]
    prompt: str
    seed_ids: tuple[str, ...]
    like_seed: str
    attributes: Mapping[str, str]
    output: str = ""
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    nearest: tuple[str, float] | None = None
    prompt_model_version: str = ""
    output_model_version: str = ""


@dataclasses.dataclass(frozen=True)
class Dropped:
    """A candidate that a filter took.

    Attributes:
        reason: The filter's word for it, as counted in `synthesis.json`.
        detail: What exactly was wrong.
        prompt: The prompt; empty when none came back.
        output: The output, or the reply that could not be read; empty when it was dropped before
            it was answered.
        near: Id of the coverage row, or text of the row, that it repeats.
        count: How many candidates this stands for; more than one only where none came back.
        scores: The numbers that filters gave it, such as `agreement` and `quality`.
    """

    reason: str
    detail: str
    prompt: str = ""
    output: str = ""
    near: str = ""
    count: int = 1
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        """One line of `quarantine.jsonl`."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)


@dataclasses.dataclass(frozen=True)
class SyntheticRow:
    """One row of the synthetic Examples, with their features as attributes.

    Attributes:
        id: Stable name, made from the round and the normalized prompt.
        prompt: The prompt.
        output: The desired output.
        provenance: JSON object that tells where the row comes from.
        round: The round that added it, from 1.
    """

    id: str
    prompt: str
    output: str
    provenance: str
    round: int

    def features(self) -> dict[str, str | int]:
        """The row as `examples_io.write_examples` takes it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_features(cls, features: Mapping[str, Any]) -> "SyntheticRow":
        """The row that `examples_io.read_examples` returned."""
        return cls(**{field.name: features[field.name] for field in dataclasses.fields(cls)})


def row_of(candidate: Candidate, *, round: int, provenance: Mapping[str, Any]) -> SyntheticRow:
    """The finished row of a candidate.

    Args:
        candidate: An answered candidate that every filter let pass.
        round: The round, from 1.
        provenance: What all rows of the round share: generator and prompt versions.
    """
    own: dict[str, Any] = {
        "seed_ids": list(candidate.seed_ids),
        "like_seed": candidate.like_seed,
        "attributes": dict(candidate.attributes),
        "scores": dict(candidate.scores),
        "round": round,
        **provenance,
        "generator": {
            **provenance["generator"],
            "prompt_model_version": candidate.prompt_model_version,
            "output_model_version": candidate.output_model_version,
        },
    }
    if candidate.nearest is not None:
        own["nearest_coverage"] = {
            "id": candidate.nearest[0],
            "similarity": round_similarity(candidate.nearest[1]),
        }
    digest = hashlib.sha256(normalize(candidate.prompt).encode()).hexdigest()
    return SyntheticRow(
        id=f"syn-{round:03d}-{digest[:16]}",
        prompt=candidate.prompt,
        output=candidate.output,
        provenance=json.dumps(own, ensure_ascii=False, sort_keys=True),
        round=round,
    )


def round_similarity(value: float) -> float:
    """Three digits: more would differ between processors."""
    return float(f"{value:.3f}")


def split_rows(
    history: Mapping[str, list[SyntheticRow]], new: list[SyntheticRow], eval_fraction: float
) -> dict[str, list[SyntheticRow]]:
    """Adds new rows to the splits, by a hash of their ids, so that no row ever changes its split.

    Where a split would stay empty, the new row that was nearest to it by hash moves there.

    Args:
        history: Earlier rows by split.
        new: The round's rows.
        eval_fraction: Share of new rows for `eval`, 0 to 1.

    Returns:
        Earlier rows first, then new ones, by split.
    """
    ranked = sorted(new, key=lambda row: _rank(row.id))
    boundary = sum(_rank(row.id) < eval_fraction for row in ranked)
    if not history.get(EVAL_SPLIT):
        boundary = max(boundary, 1)
    if not history.get(TRAIN_SPLIT):
        boundary = min(boundary, len(ranked) - 1)
    chosen = {row.id for row in ranked[:boundary]}
    return {
        TRAIN_SPLIT: [*history.get(TRAIN_SPLIT, []), *(r for r in new if r.id not in chosen)],
        EVAL_SPLIT: [*history.get(EVAL_SPLIT, []), *(r for r in new if r.id in chosen)],
    }


def _rank(row_id: str) -> float:
    return int.from_bytes(hashlib.sha256(f"split/{row_id}".encode()).digest()[:8]) / 2**64
