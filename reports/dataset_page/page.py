"""Renders the page of a synthetic dataset: one HTML file that loads nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.reports.synthesis import SynthesisRecord
from core.synthetic_records import Dropped, SyntheticRow
from reports import theme
from reports.dataset_page.map_chart import PromptMap, draw_map
from reports.dataset_page.values_chart import field_shares

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(
    record: SynthesisRecord,
    samples: Sequence[SyntheticRow],
    dropped: Sequence[Dropped],
    coverage: Mapping[str, str],
    prompt_map: PromptMap | None = None,
    *,
    run_page: str | None = None,
) -> str:
    """Render the page.

    Args:
        record: The record of the round.
        samples: Some of the rows.
        dropped: Some of what the filters dropped in the round.
        coverage: Prompts of the coverage rows by id. They stay on this page: the record and the
            card are pushed, and holdout prompts must not be.
        prompt_map: Where the prompts are, likewise; None where there are too few.
        run_page: Address of the report of the run; None where there is none.
    """
    return theme.render_page(
        _TEMPLATES / "dataset.html.j2",
        record=record,
        samples=samples,
        dropped=dropped,
        coverage=coverage,
        run_page=run_page,
        prompt_map=prompt_map,
        map_chart=draw_map(prompt_map.points) if prompt_map else "",
        shares=field_shares(record.figures, record.rows_by_round),
    )
