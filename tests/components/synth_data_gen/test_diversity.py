import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synth_data_gen.diversity import distinct, self_bleu


def test_distinct_counts_different_ngrams():
    assert distinct(["a b a b", "a c"], 1) == pytest.approx(3 / 6)
    assert distinct(["a b a b", "a c"], 2) == pytest.approx(3 / 4)
    assert distinct([], 1) == 0


def test_copies_have_a_self_bleu_of_one():
    assert self_bleu(["the cat sat on the mat"] * 3) == pytest.approx(1)


def test_a_text_that_repeats_a_word_more_often_than_any_other_text_is_clipped():
    assert self_bleu(["a a a a a a", "a b c d e f"]) < self_bleu(["a b c d x y", "a b c d e f"])


def test_different_texts_have_a_low_self_bleu():
    texts = ["one two three four five", "six seven eight nine ten", "red green blue black white"]
    assert self_bleu(texts) < 0.1


@pytest.mark.parametrize("texts", [[], ["alone"]], ids=["none", "one"])
def test_fewer_than_two_texts_have_no_self_bleu(texts):
    assert self_bleu(texts) == 0


@given(st.lists(st.text(st.characters(), max_size=20), max_size=8))
def test_measures_lie_between_zero_and_one(texts):
    assert 0 <= self_bleu(texts) <= 1 + 1e-9
    assert 0 <= distinct(texts, 2) <= 1
