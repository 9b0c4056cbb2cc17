"""The registry of importers: one entry per shape, from the most particular to the plainest."""

from collections.abc import Mapping, Sequence

from core.errors import UserError
from task.importers.chats import GEMINI_TUNING, OPENAI_MESSAGES, SHAREGPT
from task.importers.logs import CAPTURE, HELICONE, LITELLM, OPENAI_STORED
from task.importers.naming import named_pair
from task.importers.openinference import OPENINFERENCE
from task.importers.pairs import (
    ALPACA,
    DOLLY,
    OPENAI_PREFERENCE,
    OWN,
    PREFERENCE,
    PROMPT_COMPLETION,
    SYNONYMS,
)
from task.importers.shape import Fields, Shape
from task.importers.traces import LANGFUSE, LANGSMITH, OTEL

_SAMPLE = 200  # rows that are looked at to find the shape
_LISTED = 12  # columns named in an error

SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        CAPTURE,
        OTEL,
        OPENINFERENCE,
        OPENAI_STORED,
        LITELLM,
        HELICONE,
        LANGFUSE,
        LANGSMITH,
        SHAREGPT,
        GEMINI_TUNING,
        OPENAI_PREFERENCE,
        PREFERENCE,
        OPENAI_MESSAGES,
        ALPACA,
        DOLLY,
        PROMPT_COMPLETION,
        OWN,
        *SYNONYMS,
    )
}


def shape_named(name: str) -> Shape:
    """Look an importer up.

    Raises:
        UserError: There is none of that name.
    """
    if name not in SHAPES:
        raise UserError(f"There is no shape {name!r}. Choose one of {', '.join(SHAPES)}.")
    return SHAPES[name]


def detect(rows: Sequence[Fields]) -> Shape:
    """Find the shape that most of the first rows have; of equals the more particular one.

    Raises:
        UserError: No shape fits any row.
    """
    sample = rows[:_SAMPLE]
    counts = {name: sum(map(shape.matches, sample)) for name, shape in SHAPES.items()}
    best = max(counts, key=lambda name: counts[name], default="")
    if not best or not counts[best]:
        if named := named_pair(sample):
            return named
        columns = list(dict.fromkeys(key for row in sample for key in row))
        more = ", …" if len(columns) > _LISTED else ""
        raise UserError(
            f"The shape of the rows is not recognized; their columns are "
            f"{', '.join(map(repr, columns[:_LISTED]))}{more}. Name the columns of the prompt and "
            "of the answer: --prompt-field NAME --output-field NAME."
        )
    return SHAPES[best]
