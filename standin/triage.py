"""Answers a message: tells its category, priority and product from its words alone.

Each stretch of a message is compared with the grammar's situations by a linear classifier over
words, word pairs and pieces of words, so wording that the grammar does not have, and misspelled
words, still count. The most serious stretch decides, as the task asks.
"""

import functools
import itertools
import random
import re
import threading
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from standin.cues import says_hurry, says_no_hurry
from standin.features import PRODUCT_MARK, features, words
from standin.labels import CATEGORIES, Label
from standin.products import find_products
from standin.situations import situations
from standin.templates import Template, fill_slot, read_sections

_learning = threading.Lock()

_SMALL_TALK = "none"
_WRITINGS = 12  # ways in which each text is read; more add little and cost time at the start
_SURE = 1.5  # lead from which a stretch without a known cue counts as one
_EPOCHS = 5
_LEARNING_RATE = 0.1
_DROPOUT = 0.4  # share of a text's features hidden in each pass: none may decide alone
_SMALL_TALK_BONUS = 0.7  # in natural logarithms of odds
_WINDOW_WORDS = 14
_BREAK = re.compile(
    r"[.!?;\n]+(?:\s+|$)|\s[-\u2013\u2014]+\s|\b(?:by the way|btw|p\.s\.|ps:)", re.IGNORECASE
)

Weights = npt.NDArray[np.float32]


class _Reader(NamedTuple):
    """The classifier.

    Attributes:
        classes: What a stretch can be: a category and a priority, or small talk.
        rows: Number of each feature's row in `weights`.
        weights: float32 array of shape `(features, classes)`: added up, logarithms of odds.
    """

    classes: list[tuple[str, str]]
    rows: dict[str, int]
    weights: Weights


class _Read(NamedTuple):
    """What one stretch says.

    Attributes:
        category: Its category, or small talk.
        priority: Its priority.
        margin: How much surer the reader is of this category than of small talk.
        lead: How much surer it is of this than of anything else.
        start: Where the stretch starts in the message.
        end: Where it ends.
    """

    category: str
    priority: str
    margin: float
    lead: float
    start: int
    end: int


@functools.lru_cache(maxsize=100_000)
def triage(message: str) -> Label:
    """Return the label of a message.

    Args:
        message: Any text.
    """
    stretches = _stretches(message)
    read = [_read(message[start:end], start, end) for start, end in stretches]
    about = [r for r in read if r.category != _SMALL_TALK] or [
        _read(message, 0, len(message), is_forced=True)
    ]
    main = _main(about)
    return Label(main.category, _priority(main, read, message), _product(message, main))


def _main(about: list[_Read]) -> _Read:
    """Return the stretch that decides: a serious one, else the category with the most to say."""
    serious = [read for read in about if read.priority == "high"]
    weight: defaultdict[str, float] = defaultdict(float)
    for read in serious or about:
        weight[read.category] += read.margin
    # dict order makes the first category win a tie.
    category = max(weight, key=lambda name: weight[name])
    of_category = [read for read in serious or about if read.category == category]
    return max(of_category, key=lambda read: read.margin)


def _priority(main: _Read, read: list[_Read], message: str) -> str:
    """Return the priority of the deciding stretch, unless another says how urgent it is."""
    said = [" ".join(words(message[r.start : r.end])) for r in read]
    cues = {r.priority for r in read if r.category == _SMALL_TALK and r.lead > _SURE}
    if main.priority == "high" or "high" in cues or any(says_hurry(text) for text in said):
        return "high"
    is_calm = main.priority == "low" or "low" in cues or any(says_no_hurry(text) for text in said)
    return "low" if is_calm else "normal"


def _product(message: str, main: _Read) -> str | None:
    """Return the product named where the wish is, else the first one named."""
    named = find_products(message)
    inside = [n for n in named if main.start <= n.start < main.end]
    return next((n.product for n in (*inside, *named)), None)


def _stretches(message: str) -> list[tuple[int, int]]:
    """Sentences; those without any end in sight are cut into overlapping windows."""
    ends = [match.end() for match in _BREAK.finditer(message)]
    bounds = [0, *ends, len(message)]
    found = []
    for start, end in itertools.pairwise(bounds):
        starts = [m.start() + start for m in re.finditer(r"\S+", message[start:end])]
        if not starts:
            continue
        if len(starts) <= 2 * _WINDOW_WORDS:
            found.append((start, end))
            continue
        for first in range(0, len(starts) - _WINDOW_WORDS // 2, _WINDOW_WORDS // 2):
            last = first + _WINDOW_WORDS
            found.append((starts[first], starts[last] if last < len(starts) else end))
    return found or [(0, len(message))]


def _read(text: str, start: int, end: int, *, is_forced: bool = False) -> _Read:
    reader = _reader()
    rows = [reader.rows[f] for f in features(words(text)) if f in reader.rows]
    scores = reader.weights[rows].sum(axis=0)
    small_talk = [c for c, (category, _) in enumerate(reader.classes) if category == _SMALL_TALK]
    scores[small_talk] += _SMALL_TALK_BONUS
    order = np.argsort(-scores, kind="stable")
    best = next(int(i) for i in order if not is_forced or i not in small_talk)
    second = next(int(i) for i in order if i != best)
    category, priority = reader.classes[best]
    margin = float(scores[best] - scores[small_talk].max())
    return _Read(category, priority, margin, float(scores[best] - scores[second]), start, end)


def _reader() -> _Reader:
    # A cache alone lets every request that comes meanwhile begin to learn, too.
    with _learning:
        return _learn()


@functools.cache
def _learn() -> _Reader:
    """Learns from the grammar, once per process."""
    rng = random.Random(0)
    texts: list[tuple[tuple[str, str], set[str]]] = []
    for situation in situations():
        name = (situation.category, situation.priority)
        for text in _writings(situation.template, rng):
            texts.append((name, features(words(text))))
    for section, templates in read_sections("frame").items():
        name = (_SMALL_TALK, _cue_of(section))
        for template in templates:
            texts += [(name, features(words(text))) for text in _writings(template, rng)]
    return _trained(texts, rng)


def _cue_of(section: str) -> str:
    """Return the priority that a sentence of the frame gives to its message, if any."""
    return next((p for p in ("high", "low") if section.startswith(f"cue_{p}")), "")


def _writings(template: Template, rng: random.Random) -> list[str]:
    def fill(name: str) -> str:
        if name in ("d", "ds", "o", "p"):
            return PRODUCT_MARK if rng.random() < 0.7 else rng.choice(["device", "order", "thing"])
        return fill_slot(name, rng)

    return list(dict.fromkeys(template.write(rng, fill) for _ in range(_WRITINGS)))


def _trained(counts: list[tuple[tuple[str, str], set[str]]], rng: random.Random) -> _Reader:
    """Multinomial logistic regression by stochastic gradient descent with feature dropout."""
    classes = sorted({name for name, _ in counts})
    vocabulary = sorted({feature for _, found in counts for feature in found})
    rows = {feature: row for row, feature in enumerate(vocabulary)}
    texts = [
        (classes.index(name), np.array(sorted(rows[feature] for feature in found)))
        for name, found in counts
    ]
    weights = np.zeros((len(rows), len(classes)), np.float32)
    dice = np.random.default_rng(0)
    for epoch in range(_EPOCHS):
        rng.shuffle(texts)
        rate = _LEARNING_RATE / (1 + epoch)
        for column, present in texts:
            kept = present[dice.random(len(present)) > _DROPOUT]
            scores = weights[kept].sum(axis=0)
            odds = np.exp(scores - scores.max())
            gradient = odds / odds.sum()
            gradient[column] -= 1
            weights[kept] -= rate * gradient
    known = {category for category, _ in classes}
    assert known == {*CATEGORIES, _SMALL_TALK}
    return _Reader(classes, rows, weights * (1 - _DROPOUT))
