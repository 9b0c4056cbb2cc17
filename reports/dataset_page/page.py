"""Renders the page of a synthetic dataset: one HTML file that loads nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.reports.synthesis import SynthesisRecord
from core.synthetic_records import Dropped, SyntheticRow
from reports import theme

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(
    record: SynthesisRecord,
    samples: Sequence[SyntheticRow],
    dropped: Sequence[Dropped],
    coverage: Mapping[str, str],
) -> str:
    """Render the page.

    Args:
        record: The record of the round.
        samples: Some of the rows.
        dropped: Some of what the filters dropped in the round.
        coverage: Prompts of the coverage rows by id. They stay on this page: the record and the
            card are pushed, and holdout prompts must not be.
    """
    return theme.render_page(
        _TEMPLATES / "dataset.html.j2",
        record=record,
        samples=samples,
        dropped=dropped,
        coverage=coverage,
    )
