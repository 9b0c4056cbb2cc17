"""What an importer is: a shape of rows, how it is recognised, and how a row is read."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

import pydantic

from core.conversation import Conversation
from task.importers.values import parsed_list

Fields = Mapping[str, object]
_CUT_OFF = re.compile(r"""\s*\[\s*["']""")  # a list of texts that cannot be read begins so


class SkippedError(ValueError):
    """A row that is no answer of the service LLM, and is rightly left out; the reason."""


class Pair(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One imported row: a conversation and the answer it had.

    Attributes:
        conversation: The prompt.
        output: The answer.
        id: The row's id, or None.
        split: `seed` or `holdout` where the row says so.
        session: What groups rows of one user's visit; such rows are never split.
        tags: Free labels.
        references: Other right answers.
    """

    conversation: Conversation
    output: str
    id: str | None = None
    split: str | None = None
    session: str | None = None
    tags: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    @pydantic.field_validator("output")
    @classmethod
    def _is_not_blank(cls, output: str) -> str:
        if not output.strip():
            raise ValueError("the answer is empty")
        return output


@dataclasses.dataclass(frozen=True)
class Shape:
    """One entry of the registry of importers.

    Attributes:
        name: Its name in `init --shape NAME`.
        title: Its name for people.
        source: Address of the documentation it was written from.
        matches: Whether a row looks like this shape.
        read: The pair of a row; raises ValueError with the reason where there is none, and
            `SkippedError` for a row that is no exchange.
        columns: Top-level fields that `read` uses.
        metadata: Top-level fields that hold key-value pairs of the user's own.
        read_of_file: Makes `read` for the rows of one file, where it depends on all of them.
    """

    name: str
    title: str
    source: str
    matches: Callable[[Fields], bool]
    read: Callable[[Fields], Pair]
    columns: frozenset[str]
    metadata: frozenset[str] = frozenset()
    read_of_file: Callable[[Sequence[Fields]], Callable[[Fields], Pair]] | None = None

    def reading(self, rows: Sequence[Fields]) -> Callable[[Fields], Pair]:
        """Return how a row of a file is read.

        Args:
            rows: All rows of the file that have this shape.
        """
        return self.read_of_file(rows) if self.read_of_file else self.read


def has(*names: str) -> Callable[[Fields], bool]:
    """Make a rule: the row has all these fields."""
    return lambda fields: all(name in fields for name in names)


def optional_text(fields: Fields, *names: str) -> str | None:
    """Read the first of the fields that is a number or a text that is not blank."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def tags_of(value: object) -> tuple[str, ...]:
    """Read tags: a list of texts, the text of one, or texts with semicolons or commas between.

    Raises:
        ValueError: It is neither.
    """
    if value is None:
        return ()
    try:
        value = parsed_list(value)
    except ValueError:
        if _CUT_OFF.match(str(value)):
            raise  # else they are tags in brackets
    if isinstance(value, str):
        value = value.replace(",", ";").split(";")
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise ValueError(f"tags must be a list of texts, found {repr(value)[:60]}")
    return tuple(dict.fromkeys(tag.strip() for tag in value if tag.strip()))
