"""Which coverage rows are answered and judged: of very many a part that stays the same."""

from collections.abc import Sequence

from core.records import COVERAGE_SPLITS, CoverageRow
from task.splits import SplitRow, balanced_sample


def judged_rows(rows: Sequence[CoverageRow], max_prompts: int | None) -> list[CoverageRow]:
    """Pick the rows of each split that are answered and judged, in their order.

    The choice depends on ids and tags alone, so all models and rounds are compared on the same
    prompts.

    Args:
        rows: The coverage dataset.
        max_prompts: See `EvaluatorSettings.max_prompts`.
    """
    if max_prompts is None:
        return list(rows)
    kept: set[str] = set()
    for split in COVERAGE_SPLITS:
        members = [SplitRow(row.id, row.tags) for row in rows if row.split == split]
        kept |= balanced_sample(members, max_prompts)
    return [row for row in rows if row.id in kept]
