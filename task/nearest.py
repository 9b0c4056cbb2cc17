"""Finds the texts that are most like others: by embeddings, or by TF-IDF of character n-grams.

TF-IDF needs no model, no list of words and nothing but NumPy. Weights by rarity and the cosine keep
a long text, which shares some n-grams with everything, from being the nearest to most.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from task.normalization import normalize
from task.similarity import Shingles, shingles

_GRAM_CHARS = 4
_BLOCK_ROWS = 1000  # similarities computed at once, to bound memory

Floats = npt.NDArray[np.float32]
Embed = Callable[[list[str]], npt.ArrayLike]


class Nearest:
    """Texts among which the nearest ones are looked for.

    Args:
        texts: The texts, at least one.
        embed: Turns texts into vectors, which are then compared; None for TF-IDF.
    """

    def __init__(self, texts: Sequence[str], embed: Embed | None = None) -> None:
        self._texts = list(texts)
        self._embed = embed

    def of(self, texts: Sequence[str], count: int) -> list[list[int]]:
        """Return the numbers of the nearest texts to each of other texts, the nearest first.

        Args:
            texts: Those to find neighbors of.
            count: Neighbors of each; fewer where there are fewer texts.
        """
        found: list[list[int]] = []
        for start in range(0, len(texts), _BLOCK_ROWS):
            part = list(texts[start : start + _BLOCK_ROWS])
            if self._embed is None:
                similar = self._index.similarities(part)
            else:
                similar = self._embedded(part) @ self._vectors.T
            found += np.argsort(-similar, axis=1, kind="stable")[:, :count].tolist()
        return found

    @functools.cached_property
    def _index(self) -> "_TfidfIndex":
        return _TfidfIndex(self._texts)

    @functools.cached_property
    def _vectors(self) -> Floats:
        return self._embedded(self._texts)

    def _embedded(self, texts: list[str]) -> Floats:
        assert self._embed is not None
        different = list(dict.fromkeys(texts))
        vectors = np.asarray(self._embed(different), dtype=np.float32)
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        place = {text: number for number, text in enumerate(different)}
        return vectors[[place[text] for text in texts]]


class _TfidfIndex:
    """An inverted index: for each n-gram the texts that have it, and its weight in each."""

    def __init__(self, texts: list[str]) -> None:
        self._size = len(texts)
        grams = _grams(texts)
        self._known, columns = np.unique(grams.hashes, return_inverse=True)
        rows = np.repeat(np.arange(len(texts)), np.diff(grams.starts))
        pairs, counts = np.unique(columns * len(texts) + rows, return_counts=True)
        columns, self._rows = np.divmod(pairs, len(texts))
        frequency = np.bincount(columns, minlength=len(self._known))
        self._rarity = np.log((1 + len(texts)) / (1 + frequency)) + 1
        weights = (1 + np.log(counts)) * self._rarity[columns]
        norms = np.sqrt(np.bincount(self._rows, weights=weights**2, minlength=len(texts)))
        self._weights = weights / np.maximum(norms[self._rows], 1e-12)
        self._starts = np.searchsorted(columns, np.arange(len(self._known) + 1))

    def similarities(self, texts: list[str]) -> Floats:
        """Cosines, up to a factor of each row: float32 array of shape `(texts, texts of index)`."""
        grams = _grams(texts)
        similar = np.zeros((len(texts), self._size), np.float32)
        for number in range(len(texts)):
            own, counts = np.unique(
                grams.hashes[grams.starts[number] : grams.starts[number + 1]], return_counts=True
            )
            columns = np.searchsorted(self._known, own)
            columns = np.minimum(columns, len(self._known) - 1)
            present = self._known[columns] == own
            columns, counts = columns[present], counts[present]
            if not len(columns):
                continue
            lengths = self._starts[columns + 1] - self._starts[columns]
            places = np.concatenate(
                [np.arange(self._starts[c], self._starts[c + 1]) for c in columns]
            )
            weights = np.repeat((1 + np.log(counts)) * self._rarity[columns], lengths)
            similar[number] = np.bincount(
                self._rows[places], weights=weights * self._weights[places], minlength=self._size
            )
        return similar


def _grams(texts: list[str]) -> Shingles:
    return shingles([f" {normalize(text)} " for text in texts], chars=_GRAM_CHARS)
