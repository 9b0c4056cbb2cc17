"""Which coverage prompt a request is like, and whether it is like any."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.conversation import user_text
from core.records import CoverageRow
from task.similarity import similarity_matrix

_CHUNK = 256  # texts compared at a time
_QUANTILE = 0.05


class Nearest(NamedTuple):
    """The coverage row that a text is most like.

    Attributes:
        row: The row; None where the dataset is empty.
        similarity: Jaccard similarity of character trigrams, 0 to 1.
        is_near: Whether the text is as like it as coverage prompts are to each other.
    """

    row: CoverageRow | None
    similarity: float
    is_near: bool


class CoverageMap:
    """Finds the coverage prompt that a text is most like.

    A text is near the dataset if it is at least as similar to its nearest coverage prompt as 95 %
    of the coverage prompts are to theirs.

    Args:
        rows: The coverage dataset.
    """

    def __init__(self, rows: Sequence[CoverageRow]) -> None:
        self._rows = list(rows)
        self._prompts = [user_text(row.prompt) for row in rows]
        self.min_similarity = self._least()

    def nearest(self, texts: Sequence[str]) -> list[Nearest]:
        """Return the nearest row of each text."""
        if not self._rows:
            return [Nearest(None, 0.0, False)] * len(texts)
        found: list[Nearest] = []
        for start in range(0, len(texts), _CHUNK):
            matrix = similarity_matrix(texts[start : start + _CHUNK], self._prompts)
            for line in matrix:
                at = int(line.argmax())
                similarity = float(line[at])
                is_near = 0 < similarity >= self.min_similarity
                found.append(Nearest(self._rows[at], similarity, is_near))
        return found

    def _least(self) -> float:
        if len(self._rows) < 2:
            return 0.0
        own: npt.NDArray[np.float64] = similarity_matrix(self._prompts, self._prompts)
        np.fill_diagonal(own, 0.0)
        return float(np.quantile(own.max(axis=1), _QUANTILE))
