"""Picks one answer out of several samples for the same prompt."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from task.normalization import normalize
from task.similarity import jaccard, shingles


class Agreed(NamedTuple):
    """The chosen answer.

    Attributes:
        output: One of the samples.
        agreement: Share of all samples that say the same, or their mean similarity to it, 0 to 1.
    """

    output: str
    agreement: float


def majority(samples: Sequence[str]) -> Agreed:
    """Pick the most frequent answer; of equally frequent ones the first (Wang et al. 2022).

    Args:
        samples: Tidied answers, at least one, in the order of their sample numbers.
    """
    counts = Counter(samples)
    best = max(counts, key=lambda output: (counts[output], -samples.index(output)))
    return Agreed(best, counts[best] / len(samples))


def medoid(samples: Sequence[str]) -> Agreed:
    """Pick the answer most similar to all others, for text that never repeats word for word.

    Args:
        samples: Tidied answers, at least one, in the order of their sample numbers.
    """
    if len(samples) == 1:
        return Agreed(samples[0], 1.0)
    grams = shingles([normalize(sample) for sample in samples], chars=3)
    sets = [grams.of(row) for row in range(len(samples))]
    similarity = np.array([[jaccard(a, b) for b in sets] for a in sets])
    means = (similarity.sum(axis=1) - 1) / (len(samples) - 1)
    best = int(np.argmax(means))
    return Agreed(samples[best], float(means[best]))
