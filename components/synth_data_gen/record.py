"""Makes the synthesis record of a round."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from components.asking import Used
from components.synth_data_gen.figures import make_figures
from components.synth_data_gen.one_round import RoundOutputs
from components.synth_data_gen.quality import QUALITY
from core.records import CoverageRow
from core.reports.synthesis import DataGenerator, EditedRows, LoggedRows, SynthesisRecord
from core.synthetic_records import EVAL_SPLIT, TRAIN_SPLIT, Dropped, RowGenerator, SyntheticRow


def make_record(
    outcome: RoundOutputs,
    splits: Mapping[str, Sequence[SyntheticRow]],
    *,
    coverage: Sequence[CoverageRow],
    task: str,
    round: int,
    generator: RowGenerator,
    prompt_versions: Mapping[str, str],
    used: Used,
) -> SynthesisRecord:
    """Record what a round did.

    Args:
        outcome: The round.
        splits: The rows of all rounds so far.
        coverage: Seeds and holdout rows.
        task: Name of the task.
        round: The round, from 1.
        generator: What wrote the rows.
        prompt_versions: Of the prompt texts.
        used: What the round used of the service LLM and of the embedding model.
    """
    generation, logged = outcome.generation, outcome.logged
    figures = make_figures(_rows(splits), dropped=outcome.dropped, coverage=coverage)
    return SynthesisRecord(
        task=task,
        round=round,
        requested=generation.requested,
        generated=generation.generated,
        kept=len(generation.kept),
        surplus=generation.surplus,
        dropped=generation.dropped_counts(),
        **_counts(splits),
        logged=LoggedRows(
            read=logged.read,
            kept=len(logged.kept),
            dropped=dict(sorted(Counter(entry.reason for entry in logged.dropped).items())),
            scored=any(QUALITY in row.scores for row in logged.kept) if logged.kept else None,
        )
        if logged.read
        else None,
        seed_weights={seed_id: float(f"{w:.3f}") for seed_id, w in outcome.weights.items()},
        generator=DataGenerator(
            provider=generator.provider, model=generator.model, prompt_versions=prompt_versions
        ),
        figures=figures,
        **used._asdict(),
    )


def edited_record(
    before: SynthesisRecord,
    edits: EditedRows,
    splits: Mapping[str, Sequence[SyntheticRow]],
    *,
    dropped: Sequence[Dropped],
    coverage: Sequence[CoverageRow],
) -> SynthesisRecord:
    """Return the record of a round after a person has edited its rows.

    Args:
        before: The record before.
        edits: What the person did.
        splits: The rows of all rounds now.
        dropped: What the filters dropped in the round.
        coverage: Seeds and holdout rows.
    """
    figures = make_figures(_rows(splits), dropped=dropped, coverage=coverage)
    return before.model_copy(update={**_counts(splits), "edits": edits, "figures": figures})


def _rows(splits: Mapping[str, Sequence[SyntheticRow]]) -> list[SyntheticRow]:
    return [*splits[TRAIN_SPLIT], *splits[EVAL_SPLIT]]


def _counts(splits: Mapping[str, Sequence[SyntheticRow]]) -> dict[str, Any]:
    rows = _rows(splits)
    origins = [row.origin for row in rows]
    return {
        "total_rows": len(rows),
        "train_rows": len(splits[TRAIN_SPLIT]),
        "eval_rows": len(splits[EVAL_SPLIT]),
        "rows_by_round": dict(sorted(Counter(row.round for row in rows).items())),
        "rows_by_source": dict(sorted(Counter(origin.source for origin in origins).items())),
        "edited_rows": sum(origin.edited_by_person for origin in origins),
    }
