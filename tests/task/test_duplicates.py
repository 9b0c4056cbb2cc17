import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task.duplicates import (
    bands_for,
    find_duplicates,
    find_semantic_duplicates,
    signatures,
)
from task.normalization import normalize
from task.similarity import jaccard, shingles

WORDS = [
    "".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=4 + n % 6)) for n in range(900)
]


def sentence(rng: random.Random, words: int = 20) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def similarity(first: str, second: str) -> float:
    grams = shingles([normalize(first), normalize(second)])
    return jaccard(grams.of(0), grams.of(1))


def test_a_text_equal_after_normalization_is_a_duplicate():
    found = find_duplicates(["My lamp is broken.", "another text", "my LAMP is broken"], 0.7)
    assert found[:2] == [None, None]
    assert found[2] == (0, "duplicate", 1.0)


def test_of_near_duplicates_the_first_is_kept():
    rng = random.Random(1)
    first = sentence(rng)
    near = first.rsplit(" ", 1)[0]
    found = find_duplicates([first, sentence(rng), near], 0.7)
    assert found[:2] == [None, None]
    assert found[2] is not None
    assert found[2].kind == "near_duplicate"
    assert found[2].of == 0
    assert found[2].similarity == pytest.approx(similarity(first, near))


def test_fixed_texts_are_kept_although_they_repeat_each_other():
    assert find_duplicates(["the same text", "the same text", "the same text"], 0.7, fixed=2) == [
        None,
        None,
        (0, "duplicate", 1.0),
    ]


def test_a_copy_of_a_dropped_near_duplicate_names_the_text_that_was_kept():
    first = sentence(random.Random(2))
    near = first.rsplit(" ", 1)[0]
    found = find_duplicates([first, near, near], 0.7)
    assert [duplicate and duplicate.of for duplicate in found] == [None, 0, 0]


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_dropped_texts_reach_the_threshold_and_kept_ones_do_not(threshold):
    rng = random.Random(3)
    texts = []
    for _ in range(150):
        base = sentence(rng).split()
        texts.append(" ".join(base))
        for changed in (1, 2, 4):
            copy = list(base)
            for place in rng.sample(range(len(copy)), changed):
                copy[place] = rng.choice(WORDS)
            texts.append(" ".join(copy))
    found = find_duplicates(texts, threshold)
    kept = [row for row, duplicate in enumerate(found) if duplicate is None]
    for row, duplicate in enumerate(found):
        if duplicate is not None:
            assert similarity(texts[row], texts[duplicate.of]) >= threshold
            assert found[duplicate.of] is None
    grams = shingles([normalize(texts[row]) for row in kept])
    sets = [grams.of(row) for row in range(len(kept))]
    # Copies of one base are at most four rows apart.
    close = [(i, j) for i in range(len(kept)) for j in range(i + 1, min(i + 4, len(kept)))]
    left = [pair for pair in close if jaccard(sets[pair[0]], sets[pair[1]]) >= threshold]
    assert len(left) <= 1, left


@given(st.lists(st.text(st.characters(), max_size=30), max_size=12))
def test_any_texts_can_be_compared(texts):
    found = find_duplicates(texts, 0.7)
    kept = [normalize(text) for text, duplicate in zip(texts, found, strict=True) if not duplicate]
    assert len(set(kept)) == len(kept)
    assert {normalize(text) for text in texts} >= set(kept)


@pytest.mark.parametrize("threshold", [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_bands_miss_a_pair_at_the_threshold_in_at_most_one_of_400_cases(threshold):
    bands, rows = bands_for(threshold)
    assert (1 - threshold**rows) ** bands <= 0.0026
    assert bands * rows <= 320


def test_the_share_of_equal_hashes_estimates_the_similarity():
    rng = random.Random(5)
    first = sentence(rng, 40)
    second = " ".join(first.split()[:30] + sentence(rng, 10).split())
    signed = signatures(shingles([first, second]), 320)
    estimate = np.mean(signed[0] == signed[1])
    assert estimate == pytest.approx(similarity(first, second), abs=0.1)


def test_vectors_that_point_the_same_way_are_semantic_duplicates():
    vectors = np.array([[1, 0], [0, 1], [2, 0.01], [1, 1]], np.float32)
    found = find_semantic_duplicates(vectors, 0.95)
    assert [duplicate and duplicate.of for duplicate in found] == [None, None, 0, None]
    assert found[2] is not None
    assert found[2].kind == "semantic_duplicate"
