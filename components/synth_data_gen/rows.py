"""A synthetic row on its way through the filters, and how it is finished and split."""

import dataclasses
import hashlib
from collections.abc import Mapping

from core.synthetic_records import (
    EVAL_SPLIT,
    LOGGED,
    TRAIN_SPLIT,
    NearestCoverage,
    Provenance,
    RowGenerator,
    SyntheticRow,
)
from task.normalization import normalize


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
        logged_id: Id of the logged exchange; empty for what was generated.
        tags: Of the logged exchange.
    """

    position: tuple[int, int, int]
    prompt: str
    seed_ids: tuple[str, ...] = ()
    like_seed: str = ""
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    output: str = ""
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    nearest: tuple[str, float] | None = None
    prompt_model_version: str = ""
    output_model_version: str = ""
    logged_id: str = ""
    tags: tuple[str, ...] = ()


def row_of(
    candidate: Candidate,
    *,
    round: int,
    generator: RowGenerator,
    prompt_versions: Mapping[str, str],
) -> SyntheticRow:
    """Make the finished row of a candidate.

    Args:
        candidate: An answered candidate that passed every filter.
        round: The round, from 1.
        generator: What wrote the rows of the round; the row's own model versions are added.
        prompt_versions: Of the prompt texts.
    """
    provenance = Provenance(
        seed_ids=candidate.seed_ids,
        like_seed=candidate.like_seed,
        attributes=candidate.attributes,
        scores=candidate.scores,
        round=round,
        generator=generator.model_copy(
            update={
                "prompt_model_version": candidate.prompt_model_version,
                "output_model_version": candidate.output_model_version,
            }
        ),
        prompt_versions=prompt_versions,
        nearest_coverage=_near(candidate),
    )
    return _row(f"syn-{round:03d}", candidate, provenance)


def logged_row_of(candidate: Candidate, *, round: int) -> SyntheticRow:
    """Make the training row of a logged exchange that passed every filter."""
    provenance = Provenance(
        source=LOGGED,
        logged_id=candidate.logged_id,
        like_seed=candidate.like_seed,
        scores=candidate.scores,
        round=round,
        nearest_coverage=_near(candidate),
    )
    return _row("log", candidate, provenance)


def prompt_digest(prompt: str) -> str:
    """Return 16 hexadecimal digits, equal for prompts that are equal after normalization."""
    return hashlib.sha256(normalize(prompt).encode()).hexdigest()[:16]


def _near(candidate: Candidate) -> NearestCoverage | None:
    near = candidate.nearest
    # Three digits: more would differ between processors.
    return near and NearestCoverage(id=near[0], similarity=float(f"{near[1]:.3f}"))


def _row(prefix: str, candidate: Candidate, provenance: Provenance) -> SyntheticRow:
    return SyntheticRow(
        id=f"{prefix}-{prompt_digest(candidate.prompt)}",
        prompt=candidate.prompt,
        output=candidate.output,
        provenance=provenance.to_json(),
        round=provenance.round,
    )


def split_rows(
    history: Mapping[str, list[SyntheticRow]], new: list[SyntheticRow], eval_fraction: float
) -> dict[str, list[SyntheticRow]]:
    """Add new rows to the splits, by a hash of their ids, so that no row ever changes its split.

    Where a split would stay empty, the new row that is nearest to it by hash moves there.

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
