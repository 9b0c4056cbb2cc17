"""Pick a coverage set from many logged exchanges: distinct ones, in proportion to the traffic."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UserError
from task.duplicates import find_duplicates
from task.normalization import normalize

# Texts to an array of shape `(texts, dimensions)`, or to lists.
Embed = Callable[[list[str]], npt.ArrayLike]
Vectors = npt.NDArray[np.float32]

# Jaccard similarity of character 5-grams from which one text repeats another. The next is tried
# where too few are left: texts made from a template are near duplicates of each other.
_NEAR_DUPLICATE_JACCARD = (0.8, 0.9, 1.0)
_DIMENSIONS = 100  # of the TF-IDF vectors; Deerwester et al. (1990) found 50 to 150 to be enough
_MAX_FEATURES = 50_000
_GRAM_CHARS = 4
_ROWS_PER_CLUSTER = 5  # of the sample, so that each cluster's share can be met
_MAX_CLUSTERS = 50
_SEED = 20_240_229
_BLOCK_ROWS = 2_000  # similarities computed at once, to bound memory


@dataclasses.dataclass(frozen=True)
class Sample:
    """A sample, and how like the whole it is.

    Attributes:
        rows: Indices of the texts in the sample, ascending.
        total: Texts given.
        repeated: Texts left out since an earlier one says the same, exactly or nearly.
        clusters: Groups of like texts.
        similarity: Mean cosine similarity of a distinct text to the nearest one in the sample.
        random_similarity: The same for a sample drawn at random from all texts.
        share_error: Largest difference, 0 to 1, between a cluster's share of the traffic and of
            the sample.
        wanted: Rows asked for.
        threshold: Jaccard similarity from which a text repeated another one.
        by: What texts were compared by.
    """

    rows: tuple[int, ...]
    total: int
    repeated: int
    clusters: int
    similarity: float
    random_similarity: float
    share_error: float
    wanted: int
    threshold: float
    by: str

    def lines(self) -> list[str]:
        """Say what was picked and how like the whole it is."""
        nearly = "exactly or nearly" if self.threshold < 1 else "but for case, marks and spaces"
        return [
            f"Sampled {len(self.rows)} of {self.total:,} pairs; {self.repeated:,} repeat another "
            f"one {nearly}.",
            *self._raised_lines(),
            f"Likeness to the whole: {self.clusters} clusters, whose shares differ by at most "
            f"{100 * self.share_error:.1f} points; a prompt has similarity {self.similarity:.2f} "
            f"to the nearest sampled one (a random sample: {self.random_similarity:.2f}), by "
            f"{self.by}.",
        ]

    def _raised_lines(self) -> list[str]:
        """Say where the sample is less distinct, or smaller, than was asked for."""
        if len(self.rows) < self.wanted:
            return [f"Fewer than the {self.wanted} asked for: no other pairs are distinct."]
        usual = _NEAR_DUPLICATE_JACCARD[0]
        if self.threshold == usual:
            return []
        return [
            f"Fewer than {self.wanted} pairs are distinct at the usual threshold for near "
            f"duplicates, {usual}; it was raised to {self.threshold}, so that the sample has pairs "
            "that say nearly the same. Ask for fewer to have each once."
        ]


def sample(texts: Sequence[str], size: int, embed: Embed | None = None) -> Sample:
    """Pick texts such that each cluster has its share of the traffic.

    Of texts that say the same, exactly or nearly, one can be picked; all count in the shares.
    Vectors are embeddings where a model is given, else TF-IDF of character n-grams, which need no
    list of words and serve every script, reduced by a singular value decomposition.

    Args:
        texts: The prompts.
        size: Texts to pick; where fewer are distinct, all of them.
        embed: An embedding model.

    Raises:
        UserError: `size` is less than 2.
    """
    if size < 2:
        raise UserError(f"--sample {size} is too small: a coverage set needs 2 rows or more.")
    for threshold in _NEAR_DUPLICATE_JACCARD:
        duplicates = find_duplicates(texts, threshold)
        distinct = [n for n, duplicate in enumerate(duplicates) if duplicate is None]
        if len(distinct) >= size:
            break
    position = {n: place for place, n in enumerate(distinct)}
    weights = np.ones(len(distinct))
    for duplicate in duplicates:
        if duplicate is not None:
            weights[position[duplicate.of]] += 1
    kept = [texts[n] for n in distinct]
    vectors = _units(np.asarray(embed(kept), np.float32) if embed else _reduced_tfidf(kept))
    wanted, size = size, min(size, len(distinct))
    labels = _clusters(vectors, weights, size)
    rng = np.random.default_rng(_SEED)
    picked = _pick(labels, weights, size, rng)
    at_random = rng.choice(len(distinct), size, replace=False, p=weights / weights.sum())
    return Sample(
        rows=tuple(sorted(distinct[place] for place in picked)),
        total=len(texts),
        repeated=len(texts) - len(distinct),
        clusters=int(labels.max()) + 1,
        similarity=_mean_nearest(vectors, vectors[picked]),
        random_similarity=_mean_nearest(vectors, vectors[at_random]),
        share_error=_share_error(labels, weights, picked),
        wanted=wanted,
        threshold=threshold,
        by="embeddings" if embed else "TF-IDF of their characters",
    )


def tfidf(texts: Sequence[str]) -> Any:
    """Return the weights of texts' character n-grams.

    Args:
        texts: The texts; normalized, one or more is not empty.

    Returns:
        Sparse float32 matrix of shape `(texts, n-grams)`, whose rows have length 1.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        preprocessor=normalize,
        analyzer="char_wb",
        ngram_range=(_GRAM_CHARS, _GRAM_CHARS),
        max_features=_MAX_FEATURES,
        sublinear_tf=True,
        dtype=np.float32,
    ).fit_transform(texts)


def _reduced_tfidf(texts: Sequence[str]) -> Vectors:
    from sklearn.decomposition import TruncatedSVD

    table = tfidf(texts)
    dimensions = min(_DIMENSIONS, table.shape[0] - 1, table.shape[1] - 1)
    if dimensions < 2:
        return np.asarray(table.todense(), np.float32)
    reduced = TruncatedSVD(dimensions, n_iter=2, random_state=_SEED).fit_transform(table)
    return np.asarray(reduced, np.float32)


def _units(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, np.finfo(np.float32).tiny)


def _clusters(
    vectors: Vectors, weights: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.int64]:
    """Return the cluster of each vector, numbered from 0 without gaps."""
    from sklearn.cluster import MiniBatchKMeans

    count = max(1, min(_MAX_CLUSTERS, math.ceil(size / _ROWS_PER_CLUSTER), len(vectors)))
    model = MiniBatchKMeans(count, random_state=_SEED, n_init=3, batch_size=4096)
    labels = model.fit_predict(vectors, sample_weight=weights)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _pick(
    labels: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    size: int,
    rng: np.random.Generator,
) -> list[int]:
    """Texts of each cluster at random, as many as its share of the weights gives it."""
    members = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    picked: list[int] = []
    for rows, wanted in zip(members, _quotas(members, weights, size), strict=True):
        picked += rng.choice(rows, wanted, replace=False).tolist()
    return picked


def _quotas(
    members: Sequence[npt.NDArray[np.int64]], weights: npt.NDArray[np.float64], size: int
) -> list[int]:
    """Largest remainders (Hamilton's method); what a cluster lacks goes to the others."""
    quotas = [0] * len(members)
    while (missing := size - sum(quotas)) > 0:
        open_ = [n for n, rows in enumerate(members) if quotas[n] < len(rows)]
        masses = np.array([weights[members[n]].sum() for n in open_])
        shares = missing * masses / masses.sum()
        extra = np.floor(shares).astype(int)
        for place in np.argsort(extra - shares, kind="stable")[: missing - extra.sum()]:
            extra[place] += 1
        for place, n in enumerate(open_):
            quotas[n] = min(len(members[n]), quotas[n] + int(extra[place]))
    return quotas


def _mean_nearest(vectors: Vectors, picked: Vectors) -> float:
    nearest = [
        (vectors[start : start + _BLOCK_ROWS] @ picked.T).max(axis=1)
        for start in range(0, len(vectors), _BLOCK_ROWS)
    ]
    return float(np.concatenate(nearest).mean())


def _share_error(
    labels: npt.NDArray[np.int64], weights: npt.NDArray[np.float64], picked: Sequence[int]
) -> float:
    whole = np.bincount(labels, weights) / weights.sum()
    counts = Counter(labels[picked].tolist())
    return max(abs(counts[label] / len(picked) - share) for label, share in enumerate(whole))
