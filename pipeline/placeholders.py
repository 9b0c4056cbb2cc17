"""What a new preset and its rows hold until a person has written something of their own."""

from collections.abc import Sequence

from core.errors import UserError
from core.records import CoverageRow
from pipeline.config import Config

TO_REPLACE = "REPLACE THIS:"


def raise_if_to_replace(config: Config, rows: Sequence[CoverageRow]) -> None:
    """Refuse placeholders of the scaffold that were not replaced; requests about them cost money.

    Raises:
        UserError: It names each.
    """
    left = [row.id for row in rows if TO_REPLACE in row.prompt + row.output]
    places = [f"row {row_id!r} of {config.coverage_dir}" for row_id in left]
    if TO_REPLACE in config.task.instruction:
        places.append("task.instruction in the preset")
    if places:
        count = "1 placeholder has" if len(places) == 1 else f"{len(places)} placeholders have"
        raise UserError(
            f"{count} not been replaced ({TO_REPLACE!r}): {', '.join(places)}. Replace each with "
            "your own text."
        )
