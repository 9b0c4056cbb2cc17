"""Finds prompts that say again what a coverage prompt says, as far as their letters show it.

Like is compared with like: a prompt that is longer than a coverage prompt is compared window by
window, with windows of that prompt's length, since a long text contains the n-grams of any short
one by chance. Similarity is the cosine of character 4-grams inside words, so it sees through case,
punctuation, typing errors, moved, left out and a few exchanged words, and text put before or after.
A paraphrase that shares no words is left to an embedding model.

Rare words weigh more than common ones: n-grams by how few coverage prompts have them, function
words little, and names of several words, such as a product's, about as much as half a word, since
all they say is what a message is about. What two short prompts share is little evidence, and counts
less than as much of two long ones.
"""

import functools
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from core.conversation import user_text
from core.records import CoverageRow
from task.language import common_words
from task.normalization import normalize

_GRAM_CHARS = 4
_COMMON_WORD = 0.25  # weight of a function word, of another word's
_NAME_WORD = 0.25  # weight of each word of a name, of another word's
_MIN_NAME_ROWS = 3  # coverage rows in which words stand together before they are a name
_MIN_NAME_SHARE = 0.5  # of the rows with either word have both, next to each other
_EVIDENCE = 1.2  # shared weight that counts by half, in n-grams that no coverage prompt has
_MIN_WINDOW_WORDS = 5  # shorter coverage prompts are looked for in prompts of their length only
_WINDOWS = (1.0, 1.5)  # lengths, of the coverage prompt's: verbatim, and with words put in
_MIN_CONTAINED = 0.3  # of the coverage prompt's weight, before windows are looked at
_BEST_WINDOWS = 3  # of each length, by a bound of what they share

Weights = Mapping[str, float]


class Near(NamedTuple):
    """The coverage row that a prompt is nearest to.

    Attributes:
        id: The coverage row's id.
        similarity: 0 to 1; 1 when equal after normalization, or contained as a whole.
    """

    id: str
    similarity: float


class _Weighed(NamedTuple):
    """A text, its words, the weights of their n-grams, and the sum of these."""

    text: str
    words: list[str]
    weights: Weights
    norm: float


class CoverageIndex:
    """Coverage prompts, ready to be compared with.

    Args:
        rows: Seeds and holdout rows.
    """

    def __init__(self, rows: Sequence[CoverageRow]) -> None:
        self._rows = rows
        self._texts = [normalize(user_text(row.prompt)) for row in rows]
        self._numbers = {text: number for number, text in enumerate(self._texts)}
        words = [text.split() for text in self._texts]
        self._lengths = [len(row) for row in words]
        self._default = math.log(1 + len(rows))
        self._rarity = _rarity(words)
        self._weights = [self._weigh(row) for row in words]
        self._norms = [sum(weights.values()) for weights in self._weights]
        self._others: dict[str, _Weighed] = {}
        self._postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, weights in enumerate(self._weights):
            for gram, weight in weights.items():
                self._postings[gram].append((number, weight))

    def nearest(self, prompt: str) -> Near | None:
        """Return the nearest coverage row, or None if the prompt shares nothing with any."""
        text = normalize(user_text(prompt))
        if text in self._numbers:
            return Near(self._rows[self._numbers[text]].id, 1.0)
        words = text.split()
        own = self._weigh(words)
        shared: defaultdict[int, float] = defaultdict(float)
        for gram, weight in own.items():
            for number, theirs in self._postings.get(gram, ()):
                shared[number] += min(weight, theirs)
        if not shared:
            return None
        total = sum(own.values())
        similarity = {
            number: self._similarity(common, total, self._norms[number])
            for number, common in shared.items()
        }
        for number, common in shared.items():
            is_longer = len(words) > self._lengths[number] >= _MIN_WINDOW_WORDS
            if is_longer and common >= _MIN_CONTAINED * self._norms[number]:
                inside = self._in_windows(words, self._weighed(number))
                similarity[number] = max(similarity[number], inside)
        best = max(similarity, key=lambda number: (similarity[number], -number))
        return Near(self._rows[best].id, similarity[best])

    def between(self, one: str, other: str) -> float:
        """Return the similarity of two prompts, 0 to 1, as that of a prompt to a coverage row.

        The same measure finds what repeats an earlier row: weights are those of the coverage
        prompts, and the shorter text is looked for in the longer one.
        """
        first, second = (
            self._weighed_text(normalize(user_text(prompt))) for prompt in (one, other)
        )
        if first.text == second.text:
            return 1.0
        shared = _shared(first.weights, second.weights)
        similarity = self._similarity(shared, first.norm, second.norm)
        shorter, longer = sorted((first, second), key=lambda text: len(text.words))
        is_longer = len(longer.words) > len(shorter.words) >= _MIN_WINDOW_WORDS
        if is_longer and shared >= _MIN_CONTAINED * shorter.norm:
            similarity = max(similarity, self._in_windows(longer.words, shorter))
        return similarity

    def _weighed(self, number: int) -> "_Weighed":
        text = self._texts[number]
        return _Weighed(text, text.split(), self._weights[number], self._norms[number])

    def _weighed_text(self, text: str) -> "_Weighed":
        if (found := self._others.get(text)) is None:
            words = text.split()
            weights = self._weigh(words)
            found = _Weighed(text, words, weights, sum(weights.values()))
            self._others[text] = found
        return found

    def _weigh(self, words: Iterable[str]) -> dict[str, float]:
        """Weights of the n-grams of a text, always in the same order: sums differ with it."""
        weights: dict[str, float] = {}
        for word in words:
            factor = _COMMON_WORD if word in common_words() else 1.0
            for gram in _grams(word):
                weight = factor * self._rarity.get(gram, self._default)
                weights[gram] = max(weight, weights.get(gram, 0.0))
        return weights

    def _similarity(self, shared: float, own: float, theirs: float) -> float:
        """Cosine of two texts by their weights, times how much evidence it rests on."""
        if shared <= 0:
            return 0.0
        evidence = shared / (shared + _EVIDENCE * self._default)
        return shared / math.sqrt(own * theirs) * evidence

    def _in_windows(self, words: Sequence[str], of: "_Weighed") -> float:
        """Return the highest similarity of a text to a window of the words."""
        if f" {of.text} " in f" {' '.join(words)} ":
            return 1.0
        theirs = of.weights
        # What a window shares is at most the sum over its words; only the best by it are weighed.
        bounds = {word: _shared(self._weigh([word]), theirs) for word in set(words)}
        sums = np.cumsum([0.0, *(bounds[word] for word in words)])
        best = 0.0
        for length in {max(2, round(len(of.words) * factor)) for factor in _WINDOWS}:
            if length >= len(words):
                continue
            starts = np.argsort(sums[:-length] - sums[length:], kind="stable")[:_BEST_WINDOWS]
            for start in starts.tolist():
                own = self._weigh(words[start : start + length])
                shared = _shared(own, theirs)
                similarity = self._similarity(shared, sum(own.values()), of.norm)
                best = max(best, similarity)
        return best


def leak_finder(rows: Sequence[CoverageRow], similarity: float) -> Callable[[str], str | None]:
    """Return a function from a prompt to the id of the coverage row that it repeats, or None.

    Args:
        rows: Seeds and holdout rows.
        similarity: From which a prompt repeats another one, 0 to 1.
    """
    index = CoverageIndex(rows)

    def find(prompt: str) -> str | None:
        near = index.nearest(prompt)
        return near.id if near is not None and near.similarity >= similarity else None

    return find


def _rarity(texts: Sequence[Sequence[str]]) -> dict[str, float]:
    """Weigh each n-gram of the coverage prompts: high in few rows, low in names."""
    rows_of: defaultdict[str, set[int]] = defaultdict(set)
    pairs: Counter[tuple[str, str]] = Counter()
    for number, words in enumerate(texts):
        for word in words:
            rows_of[word].add(number)
        pairs.update({(a, b) for a, b in itertools.pairwise(words) if a != b})
    names = {
        word
        for pair, together in pairs.items()
        if together >= _MIN_NAME_ROWS
        and together >= _MIN_NAME_SHARE * len(rows_of[pair[0]] | rows_of[pair[1]])
        for word in pair
    }
    frequency = Counter(g for words in texts for g in {g for word in words for g in _grams(word)})
    factors: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for word, rows in rows_of.items():
        for gram in _grams(word):
            factors[gram].append((_NAME_WORD if word in names else 1.0, len(rows)))
    return {
        gram: math.log(1 + len(texts) / frequency[gram])
        * sum(factor * rows for factor, rows in found)
        / sum(rows for _, rows in found)
        for gram, found in factors.items()
    }


def _shared(own: Weights, theirs: Weights) -> float:
    return sum(min(weight, theirs[gram]) for gram, weight in own.items() if gram in theirs)


@functools.lru_cache(maxsize=100_000)
def _grams(word: str) -> tuple[str, ...]:
    """Different n-grams of a word with a space at both ends, in their order."""
    padded = f" {word} "
    return tuple(
        dict.fromkeys(
            padded[start : start + _GRAM_CHARS]
            for start in range(max(1, len(padded) - _GRAM_CHARS + 1))
        )
    )
