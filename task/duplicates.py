"""Finds exact and near duplicates among texts; which row to drop is decided by their order.

Near duplicates are found by MinHash signatures in LSH bands (Broder 1997; Indyk and Motwani 1998)
and confirmed by the exact Jaccard similarity, or another one, so LSH can miss a pair but never
invent one.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from task.normalization import normalize
from task.similarity import Shingles, jaccard, shingles

Similarity = Callable[[str, str], float]

_MIN_JACCARD = 0.4  # of texts that another similarity may call near duplicates
_MISS_RATE = 0.0025  # of a pair exactly at the threshold; more similar pairs are missed less often
_MAX_HASHES = 320  # signature length; 100,000 rows then take 130 MB
_CHUNK_ROWS = 1000  # keeps a chunk's n-grams in the processor's cache
_SEED = 20_240_229
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Duplicate(NamedTuple):
    """Why a text repeats an earlier one.

    Attributes:
        of: Index of the earlier text.
        kind: `duplicate` when equal after normalization, else `near_duplicate` or
            `semantic_duplicate`.
        similarity: Jaccard or cosine similarity, 0 to 1.
    """

    of: int
    kind: Literal["duplicate", "near_duplicate", "semantic_duplicate"]
    similarity: float


def find_duplicates(
    texts: Sequence[str],
    threshold: float,
    *,
    fixed: int = 0,
    similarity: Similarity | None = None,
) -> list[Duplicate | None]:
    """Look for a kept, earlier duplicate of each text.

    Args:
        texts: The texts; of duplicates the first is kept.
        threshold: Similarity from which texts are near duplicates.
        fixed: The first `fixed` texts are kept whatever they are.
        similarity: Compares two texts, 0 to 1; those whose n-grams have a Jaccard similarity of 0.4
            are looked at. None for that Jaccard similarity itself, of character 5-grams.

    Returns:
        For each text None when it is kept, else the earlier kept text that it repeats.
    """
    found: list[Duplicate | None] = [None] * len(texts)
    normalized = [normalize(text) for text in texts]
    first: dict[str, int] = {}
    for row, text in enumerate(normalized):
        earlier = first.setdefault(text, row)
        if earlier != row and row >= fixed:
            found[row] = Duplicate(earlier, "duplicate", 1.0)
    distinct = [row for row, duplicate in enumerate(found) if duplicate is None]
    grams = shingles([normalized[row] for row in distinct])

    def nearest(row: int, others: Sequence[int]) -> tuple[int, float] | None:
        if similarity is None:
            return _nearest(grams, row, others)
        own = texts[distinct[row]]
        found = [(similarity(own, texts[distinct[other]]), -other) for other in others]
        best, negative = max(found, default=(0.0, 0))
        return (-negative, best) if found else None

    near_duplicates = _near_duplicates(
        grams,
        threshold if similarity is None else _MIN_JACCARD,
        fixed,
        threshold,
        nearest,
    )
    for position, near in near_duplicates.items():
        earlier, value = near
        found[distinct[position]] = Duplicate(distinct[earlier], "near_duplicate", value)
    return [_resolved(found, duplicate) for duplicate in found]


def find_semantic_duplicates(
    vectors: npt.NDArray[np.float32], threshold: float, *, fixed: int = 0
) -> list[Duplicate | None]:
    """Return the same by meaning: cosine similarity of embeddings.

    Args:
        vectors: float array of shape `(texts, dimensions)`.
        threshold: Cosine similarity from which two texts mean the same.
        fixed: The first `fixed` texts are kept whatever they are.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    found: list[Duplicate | None] = [None] * len(units)
    kept = list(range(min(fixed, len(units))))
    kept_units = np.empty_like(units)
    kept_units[: len(kept)] = units[: len(kept)]
    for row in range(fixed, len(units)):
        similar = kept_units[: len(kept)] @ units[row]
        best = int(np.argmax(similar)) if kept else -1
        if kept and similar[best] >= threshold:
            found[row] = Duplicate(kept[best], "semantic_duplicate", float(similar[best]))
        else:
            kept_units[len(kept)] = units[row]
            kept.append(row)
    return found


def bands_for(threshold: float) -> tuple[int, int]:
    """LSH bands and rows per band for a threshold.

    The longest rows, hence the fewest needless comparisons, for which a pair at the threshold is
    missed with a probability of at most 0.25 %.
    """
    best = (_MAX_HASHES, 1)
    for rows in range(1, 33):
        hit = min(threshold**rows, 1 - 1e-9)
        bands = math.ceil(math.log(_MISS_RATE) / math.log1p(-hit))
        if bands * rows <= _MAX_HASHES:
            best = (max(bands, 4), rows)
    return best


def signatures(grams: Shingles, hashes: int) -> npt.NDArray[np.uint32]:
    """MinHash signatures: uint32 array of shape `(texts, hashes)`."""
    rng = np.random.default_rng(_SEED)
    factors = rng.integers(0, 2**32, hashes, dtype=np.uint32) | np.uint32(1)
    terms = rng.integers(0, 2**32, hashes, dtype=np.uint32)
    values = (grams.hashes >> np.uint64(32)).astype(np.uint32)
    rows = len(grams.starts) - 1
    result = np.empty((rows, hashes), np.uint32)
    for start in range(0, rows, _CHUNK_ROWS):
        end = min(rows, start + _CHUNK_ROWS)
        chunk = values[grams.starts[start] : grams.starts[end]]
        offsets = grams.starts[start:end] - grams.starts[start]
        mixed = np.empty_like(chunk)
        for number in range(hashes):
            np.multiply(chunk, factors[number], out=mixed)
            np.add(mixed, terms[number], out=mixed)
            result[start:end, number] = np.minimum.reduceat(mixed, offsets)
    return result


def _near_duplicates(
    grams: Shingles,
    min_jaccard: float,
    fixed: int,
    threshold: float,
    nearest: Callable[[int, Sequence[int]], tuple[int, float] | None],
) -> dict[int, tuple[int, float]]:
    bands, band_rows = bands_for(min_jaccard)
    signed = signatures(grams, bands * band_rows)
    shared = _shared_buckets(signed, bands, band_rows)
    # Four standard errors of the estimate below the threshold: cheap, and loses next to nothing.
    slack = 4 * math.sqrt(min_jaccard * (1 - min_jaccard) / signed.shape[1])
    min_equal = (min_jaccard - slack) * signed.shape[1]
    members: defaultdict[int, list[int]] = defaultdict(list)
    found: dict[int, tuple[int, float]] = {}
    for row in sorted(shared):
        candidates = sorted({other for bucket in shared[row] for other in members[bucket]})
        if candidates and row >= fixed:
            equal = np.count_nonzero(signed[candidates] == signed[row], axis=1)
            likely = [candidates[i] for i in np.flatnonzero(equal >= min_equal)]
            near = nearest(row, likely)
            if near is not None and near[1] >= threshold:
                found[row] = near
                continue
        for bucket in shared[row]:
            members[bucket].append(row)
    return found


def _shared_buckets(
    signed: npt.NDArray[np.uint32], bands: int, band_rows: int
) -> dict[int, list[int]]:
    """Per row the numbers of the buckets that it shares with another row; most rows have none."""
    shared: defaultdict[int, list[int]] = defaultdict(list)
    next_bucket = 0
    for band in range(bands):
        keys = np.zeros(len(signed), np.uint64)
        for column in range(band * band_rows, (band + 1) * band_rows):
            keys = (keys ^ signed[:, column]) * _MIX
            keys ^= keys >> np.uint64(32)
        _, numbers, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        several = sizes[numbers] > 1
        for row in np.flatnonzero(several).tolist():
            shared[row].append(next_bucket + int(numbers[row]))
        next_bucket += len(sizes)
    return shared


def _nearest(grams: Shingles, row: int, others: Sequence[int]) -> tuple[int, float] | None:
    own = grams.of(row)
    similarities = [(jaccard(own, grams.of(other)), -other) for other in others]
    if not similarities:
        return None
    similarity, negative = max(similarities)
    return -negative, similarity


def _resolved(found: Sequence[Duplicate | None], duplicate: Duplicate | None) -> Duplicate | None:
    """Points an exact duplicate of a dropped near duplicate at the text that was kept."""
    if duplicate is None:
        return None
    original = found[duplicate.of]
    if original is None:
        return duplicate
    return Duplicate(original.of, original.kind, original.similarity)
