"""Text as the filters compare it: cut into hashed character n-grams."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from task.normalization import normalize

SHINGLE_CHARS = 5
_FNV_PRIME = np.uint64(0x100000001B3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Shingles(NamedTuple):
    """Hashed character n-grams of many texts.

    Attributes:
        hashes: uint64 array, the texts' n-grams one text after the other, with repetitions.
        starts: int64 array of length texts + 1; text i is `hashes[starts[i]:starts[i + 1]]`.
    """

    hashes: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int64]

    def of(self, row: int) -> npt.NDArray[np.uint64]:
        """Return the n-grams of one text, sorted and without repetitions."""
        return np.unique(self.hashes[self.starts[row] : self.starts[row + 1]])


def shingles(normalized: Sequence[str], chars: int = SHINGLE_CHARS) -> Shingles:
    """Hashes the character n-grams of normalized texts; short texts are padded with spaces."""
    padded = [text.ljust(chars) for text in normalized]
    lengths = np.array([len(text) for text in padded], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths - chars + 1))).astype(np.int64)
    if not padded:
        return Shingles(np.empty(0, np.uint64), starts)
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    points = points.astype(np.uint64)
    windows = len(points) - chars + 1
    hashes = np.zeros(windows, np.uint64)
    for offset in range(chars):
        hashes = hashes * _FNV_PRIME + points[offset : windows + offset]
    hashes ^= hashes >> np.uint64(31)
    hashes *= _GOLDEN
    hashes ^= hashes >> np.uint64(29)
    ends = np.cumsum(lengths)
    within = np.ones(len(points), dtype=bool)
    for offset in range(1, chars):
        within[ends - offset] = False
    return Shingles(hashes[within[:windows]], starts)


def jaccard(first: npt.NDArray[np.uint64], second: npt.NDArray[np.uint64]) -> float:
    """Jaccard similarity, 0 to 1, of two arrays without repetitions."""
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)


def similarity_matrix(first: Sequence[str], second: Sequence[str]) -> npt.NDArray[np.float64]:
    """Jaccard similarities of character trigrams: float64 array of shape `(first, second)`."""
    grams = shingles([normalize(text) for text in (*first, *second)], chars=3)
    _, columns = np.unique(grams.hashes, return_inverse=True)
    rows = np.repeat(np.arange(len(first) + len(second)), np.diff(grams.starts))
    present = np.zeros((len(first) + len(second), int(columns.max(initial=0)) + 1), np.float32)
    present[rows, columns] = 1
    common = (present[: len(first)] @ present[len(first) :].T).astype(np.float64)
    sizes = present.sum(axis=1)
    return common / (sizes[: len(first), None] + sizes[None, len(first) :] - common)
