"""How different texts are from each other: distinct-n and self-BLEU."""

import math
import random
from collections import Counter
from collections.abc import Sequence

from task.normalization import words

_BLEU_SAMPLE = 200  # texts; self-BLEU of the sample changes by less than 0.02 with more
_BLEU_ORDER = 4
_TINY = 0.1  # added to a precision without a match, as Chen and Cherry's (2014) first method does

Gram = tuple[str, ...]


def distinct(texts: Sequence[str], n: int) -> float:
    """Return different word n-grams as a share of all word n-grams, 0 to 1 (Li et al. 2016).

    Depends on the amount of text: compare samples of the same size only.
    """
    counts: Counter[Gram] = Counter()
    for text in texts:
        counts.update(_grams(words(text), n))
    return len(counts) / counts.total() if counts else 0.0


def self_bleu(texts: Sequence[str], seed: int = 0) -> float:
    """Return the mean BLEU-4 of each text against all others, 0 to 1 (Zhu et al. 2018).

    Lower is more diverse. More than 200 texts are sampled.

    Args:
        texts: The texts; fewer than two have no self-BLEU and give 0.
        seed: Seed of the sample.
    """
    if len(texts) > _BLEU_SAMPLE:
        texts = random.Random(seed).sample(texts, _BLEU_SAMPLE)
    tokens = [words(text) for text in texts]
    if len(tokens) < 2:
        return 0.0
    counts = [[Counter(_grams(row, n)) for row in tokens] for n in range(1, _BLEU_ORDER + 1)]
    highest = [_two_highest(order) for order in counts]
    lengths = [len(row) for row in tokens]
    total = 0.0
    for row in range(len(tokens)):
        precisions = [
            _clipped_precision(order[row], top) for order, top in zip(counts, highest, strict=True)
        ]
        closest = min(
            (abs(length - lengths[row]), length)
            for other, length in enumerate(lengths)
            if other != row
        )[1]
        brevity = min(1.0, math.exp(1 - closest / max(1, lengths[row])))
        total += brevity * math.exp(sum(map(math.log, precisions)) / _BLEU_ORDER)
    return total / len(tokens)


def _grams(tokens: Sequence[str], n: int) -> list[Gram]:
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]


def _two_highest(rows: Sequence[Counter[Gram]]) -> dict[Gram, tuple[int, int]]:
    """Return the two highest counts of each n-gram in any row: enough to leave one row out."""
    highest: dict[Gram, tuple[int, int]] = {}
    for row in rows:
        for gram, count in row.items():
            first, second = highest.get(gram, (0, 0))
            highest[gram] = (max(first, count), max(second, min(first, count)))
    return highest


def _clipped_precision(own: Counter[Gram], highest: dict[Gram, tuple[int, int]]) -> float:
    matches = 0
    for gram, count in own.items():
        first, second = highest[gram]
        matches += min(count, second if first == count else first)
    return max(matches, _TINY) / max(1, own.total())
