"""Finds prompts that say again what a coverage prompt says, as far as their letters show it.

Similarity is that of character 4-grams inside words, weighted by how rare they are among the
coverage prompts, so a shared product name counts little and a shared circumstance much. It is the
larger of the cosine and of the share of the coverage prompt that the other one contains, so it sees
through case, punctuation, typing errors, moved, left out and a few exchanged words, and text put
before or after. A paraphrase that shares no words is left to an embedding model.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from components.records import CoverageRow
from components.synth_data_gen.text import normalize

_GRAM_CHARS = 4
_LEAST_WORDS = 5  # shorter coverage prompts are contained in longer ones by chance


class Near(NamedTuple):
    """The coverage row that a prompt is nearest to.

    Attributes:
        id: The coverage row's id.
        similarity: 0 to 1; 1 when equal after normalization or contained as a whole.
    """

    id: str
    similarity: float


class CoverageIndex:
    """Coverage prompts, ready to be compared with.

    Args:
        rows: Seeds and holdout rows.
    """

    def __init__(self, rows: Sequence[CoverageRow]) -> None:
        self._rows = rows
        texts = [normalize(row.prompt) for row in rows]
        self._numbers = {text: number for number, text in enumerate(texts)}
        self._words = [len(text.split()) for text in texts]
        grams = [_grams(text) for text in texts]
        frequency = Counter(gram for row in grams for gram in row)
        self._rarity = {g: math.log(1 + len(rows) / n) for g, n in frequency.items()}
        self._default = math.log(1 + len(rows))
        self._postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self._norms = []
        for number, row in enumerate(grams):
            for gram in row:
                self._postings[gram].append((number, self._rarity[gram]))
            self._norms.append(sum(self._rarity[gram] for gram in row))

    def nearest(self, prompt: str) -> Near | None:
        """The nearest coverage row, or None when nothing is shared with any."""
        text = normalize(prompt)
        if text in self._numbers:
            return Near(self._rows[self._numbers[text]].id, 1.0)
        shared: defaultdict[int, float] = defaultdict(float)
        own = 0.0
        for gram in _grams(text):
            own += self._rarity.get(gram, self._default)
            for number, weight in self._postings.get(gram, ()):
                shared[number] += weight
        if not shared:
            return None
        similarity = {n: self._similarity(n, common, own) for n, common in shared.items()}
        best = max(similarity, key=lambda n: (similarity[n], -n))
        return Near(self._rows[best].id, similarity[best])

    def _similarity(self, number: int, common: float, own: float) -> float:
        """Cosine of the two prompts, or the share of the coverage prompt found in the other."""
        norm = self._norms[number]
        cosine = common / math.sqrt(norm * own)
        contained = common / norm if self._words[number] >= _LEAST_WORDS else 0.0
        return max(cosine, contained)


def _grams(normalized: str) -> list[str]:
    """Different n-grams, always in the same order: sums of their weights differ with it."""
    grams: dict[str, None] = {}
    for word in normalized.split():
        padded = f" {word} "
        grams |= dict.fromkeys(
            padded[start : start + _GRAM_CHARS]
            for start in range(max(1, len(padded) - _GRAM_CHARS + 1))
        )
    return list(grams)
