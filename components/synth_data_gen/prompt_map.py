"""Places prompts on a map: the first two principal components of their TF-IDF vectors."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.conversation import user_text
from core.records import SEED_SPLIT, CoverageRow
from core.synthetic_records import SyntheticRow
from reports.dataset_page.map_chart import (
    COVERED,
    FAILED,
    ROW,
    UNJUDGED,
    Gap,
    MapPoint,
    PromptMap,
)
from task.normalization import normalize
from task.sampling import tfidf

_MAX_ROWS = 5_000  # training rows that are compared
_MAX_POINTS = 800  # training rows that are drawn: more hide each other
_MAX_GAPS = 10
_MIN_TEXTS = 10  # fewer different ones are no map


def map_prompts(
    rows: Sequence[SyntheticRow],
    coverage: Sequence[CoverageRow],
    covered: Mapping[str, bool],
    *,
    round: int,
) -> PromptMap | None:
    """Place training rows and coverage prompts, and find failures without similar training rows.

    Args:
        rows: The training rows of all rounds; of many, 5,000 are drawn at random.
        coverage: Seeds and holdout rows.
        covered: Whether the last evaluation counts a coverage row as covered, by its id; without
            those that it did not score, and empty before the first one.
        round: The round; the same draw for the same one.

    Returns:
        The map; None where there are too few different texts.
    """
    drawn = random.Random(round).sample(list(rows), min(_MAX_ROWS, len(rows)))
    prompts = [*(row.prompt for row in drawn), *(row.prompt for row in coverage)]
    texts = [user_text(prompt) for prompt in prompts]
    if not drawn or len({normalize(text) for text in texts}) < _MIN_TEXTS:
        return None
    vectors = tfidf(texts)
    places = _places(vectors)
    kinds = [_kind(covered.get(row.id)) for row in coverage]
    shown = min(_MAX_POINTS, len(drawn))
    points = [MapPoint(*place, ROW) for place in places[:shown]]
    points += [
        MapPoint(*place, kind) for place, kind in zip(places[len(drawn) :], kinds, strict=True)
    ]
    failures = [
        (row, len(drawn) + n)
        for n, (row, kind) in enumerate(zip(coverage, kinds, strict=True))
        if kind == FAILED
    ]
    return PromptMap(points, _gaps(failures, drawn, vectors))


def _kind(covered: bool | None) -> str:
    return UNJUDGED if covered is None else COVERED if covered else FAILED


def _places(vectors: Any) -> list[tuple[float, float]]:
    from sklearn.decomposition import PCA

    # ARPACK centers a sparse matrix without making it dense.
    found = PCA(2, svd_solver="arpack", random_state=0).fit_transform(vectors)
    # A few prompts unlike all others, as in another language, would press the rest into a spot.
    away = found - np.median(found, axis=0)
    usual = np.median(np.abs(away), axis=0).max()
    found = np.arcsinh(away / (usual + np.finfo(np.float32).tiny))
    return [(float(x), float(y)) for x, y in found]


def _gaps(
    failures: Sequence[tuple[CoverageRow, int]], drawn: Sequence[SyntheticRow], vectors: Any
) -> list[Gap]:
    """Return the failures by the similarity of the nearest training row, the lowest first."""
    if not failures:
        return []
    likeness = (vectors[[at for _, at in failures]] @ vectors[: len(drawn)].T).toarray()
    nearest = likeness.argmax(axis=1)
    gaps = [
        Gap(
            row.id,
            row.prompt if row.split == SEED_SPLIT else "",
            float(likeness[n, nearest[n]]),
            drawn[nearest[n]].prompt,
        )
        for n, (row, _) in enumerate(failures)
    ]
    return sorted(gaps, key=lambda gap: (gap.similarity, gap.coverage_id))[:_MAX_GAPS]
