"""Which prompts may become seed rows of a coverage dataset, besides those that it has."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from core.conversation import user_text
from core.records import SEED_SPLIT, CoverageRow
from task.similarity import similarity_matrix
from task.splits import normalized

_NEAR = 0.7  # Jaccard similarity of character trigrams from which a prompt repeats another


class Prompted(Protocol):
    """Something with a prompt and an id."""

    @property
    def id(self) -> str:
        """Unique."""

    @property
    def prompt(self) -> str:
        """As in a coverage row."""


_T = TypeVar("_T", bound=Prompted)


class KnownPrompts:
    """The prompts of a coverage dataset.

    Args:
        rows: All of them, those of the test split included.
    """

    def __init__(self, rows: Sequence[CoverageRow]) -> None:
        self._ids = {normalized(row.prompt): row.id for row in rows}
        self._held_out = [user_text(row.prompt) for row in rows if row.split != SEED_SPLIT]

    def new_seeds(self, found: Sequence[_T]) -> list[_T]:
        """Return what may become a seed row.

        Left out is what has the prompt of another row, which would make the dataset unreadable
        where that row is held out, and what nearly repeats a held-out prompt, which would then
        measure nothing.

        Args:
            found: A row that was made of one of them has its id.
        """
        new = [each for each in found if self._ids.get(normalized(each.prompt)) in (None, each.id)]
        if not new or not self._held_out:
            return new
        texts = [user_text(each.prompt) for each in new]
        nearest = similarity_matrix(texts, self._held_out).max(axis=1)
        return [each for each, like in zip(new, nearest, strict=True) if like < _NEAR]
