"""The limits of `dedup` and `dedup_leaks` on fewer rows: what is planted is found."""

import json

import pytest

from benchmarks import dedup, dedup_leaks

DATA = json.loads(dedup_leaks._DATA.read_text(encoding="utf-8"))
PROMPTS, PARAPHRASES, _ = (list(column) for column in zip(*DATA["triples"], strict=True))
LEAKS = dedup_leaks.planted(PROMPTS, PARAPHRASES, DATA["independent"])


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_duplicates_are_dropped_and_little_else(seed):
    corpus = dedup.planted_corpus(3000, seed)
    kept, _ = dedup.run_here(corpus.texts)
    quality = dedup.measure(corpus, kept)
    assert min(quality.pairs, quality.dropped) > 200
    assert dedup.misses(quality) == []


def test_what_is_missed_is_told():
    corpus = dedup.planted_corpus(1000, 0)
    everything, nothing = [True] * 1000, [True] + [False] * 999
    assert [text.split()[-2:] for text in dedup.misses(dedup.measure(corpus, everything))] == [
        ["are", "left"], ["are", "left"],
    ]  # fmt: skip
    assert dedup.misses(dedup.measure(corpus, nothing))[0].endswith("dropped wrongly")


@pytest.mark.parametrize("kind", LEAKS)
def test_planted_leaks_are_caught(kind):
    caught = dedup_leaks.by_letters(PROMPTS, LEAKS[kind])
    assert sum(caught) / len(caught) >= (1.0 if kind.startswith("verbatim") else 0.95)


def test_unrelated_texts_of_any_length_and_short_prompts_of_one_product_pass():
    found = dedup_leaks.innocent_texts()
    assert len(found) == 26
    assert all(counted.texts for counted in found.values())
    assert sum(counted.texts for counted in found.values()) > 1000
    assert dedup_leaks.too_many_innocents(found) == []


def test_each_kind_of_innocent_text_has_its_own_limit():
    found = {
        ("a", "x"): dedup_leaks.Innocent(100, 2),
        ("a", "y"): dedup_leaks.Innocent(10_000, 0),
        ("b", "x"): dedup_leaks.Innocent(100, 1),
    }
    assert dedup_leaks.too_many_innocents(found) == ["a, x: 2 of 100"]


def test_innocent_prompts_pass():
    assert not any(dedup_leaks.by_letters(PROMPTS, DATA["independent"]))
