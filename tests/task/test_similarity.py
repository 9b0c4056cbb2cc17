import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from task.normalization import normalize
from task.similarity import jaccard, shingles, similarity_matrix

ANY_TEXT = st.text(st.characters(), max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Hello,\n WORLD! ", "hello world"),
        ("ﬁne Ⅳ", "fine iv"),
        ("℡ ᴬ", "tel a"),
        ("Straße", "strasse"),
        ("don't", "don t"),
        ("😀 !?", "😀 !?"),
        ("", ""),
    ],
    ids=[
        "case-and-punctuation",
        "compatibility",
        "compatible capitals",
        "casefold",
        "apostrophe",
        "symbols",
        "empty",
    ],
)
def test_normalization(text, expected):
    assert normalize(text) == expected


@given(ANY_TEXT)
def test_normalizing_twice_changes_nothing(text):
    assert normalize(normalize(text)) == normalize(text)


@given(st.lists(ANY_TEXT, max_size=6), st.integers(1, 6))
def test_a_text_has_the_shingles_that_it_has_alone(texts, chars):
    together = shingles(texts, chars)
    assert len(together.starts) == len(texts) + 1
    for row, text in enumerate(texts):
        alone = shingles([text], chars)
        own = {text.ljust(chars)[i : i + chars] for i in range(max(1, len(text) - chars + 1))}
        assert np.array_equal(together.of(row), alone.of(0)), text
        assert len(alone.of(0)) == len(own), text


def test_jaccard_is_the_share_of_common_shingles():
    grams = shingles(["abcdef", "bcdefg"], chars=5)
    assert jaccard(grams.of(0), grams.of(1)) == pytest.approx(1 / 3)


@given(st.lists(ANY_TEXT, min_size=1, max_size=4), st.lists(ANY_TEXT, min_size=1, max_size=4))
def test_the_similarity_matrix_agrees_with_pairwise_jaccard(first, second):
    matrix = similarity_matrix(first, second)
    one = shingles([normalize(text) for text in first], chars=3)
    two = shingles([normalize(text) for text in second], chars=3)
    for i in range(len(first)):
        for j in range(len(second)):
            assert matrix[i, j] == pytest.approx(jaccard(one.of(i), two.of(j)), abs=1e-6)
