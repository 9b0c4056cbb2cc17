import numpy as np
import pytest

from task.nearest import Nearest

TEXTS = [
    "Where is my parcel with the blue kettle?",
    "The invoice for March has the wrong address on it.",
    "How do I reset the password of my account?",
    # Shares a little with every message.
    " ".join(["I wrote to you about the parcel, the kettle, an invoice and my password"] * 6),
]


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("my blue kettle has not arrived, where is the parcel", 0),
        ("WRONG ADDRESS on the March invoice!!", 1),
        ("i forgot the pasword of my account", 2),
    ],
)
def test_the_nearest_text_comes_first_and_a_long_one_is_not_near_to_all(text, nearest):
    assert Nearest(TEXTS).of([text], 2)[0][0] == nearest


def test_many_texts_are_compared_as_they_are_alone():
    texts = [f"{text} {n}" for n in range(300) for text in TEXTS]
    together = Nearest(TEXTS).of(texts, 4)
    assert together[1000:1004] == [Nearest(TEXTS).of([text], 4)[0] for text in texts[1000:1004]]
    assert {len(row) for row in Nearest(TEXTS).of(texts[:3], 9)} == {4}


def test_a_text_that_shares_nothing_has_an_order_all_the_same():
    assert Nearest(TEXTS).of(["Здравствуйте", ""], 4) == [[0, 1, 2, 3]] * 2


def test_vectors_of_a_model_are_compared_where_there_is_one():
    asked = []

    def embed(texts):
        asked.extend(texts)
        return [np.array([1.0, 0.0]) if "kettle?" in t else np.array([0.2, 1.0]) for t in texts]

    nearest = Nearest(TEXTS, embed)
    assert nearest.of(["A kettle?", "A kettle?"], 1) == [[0], [0]]
    nearest.of(["B kettle?"], 1)
    assert len(asked) == len(set(asked)) == len(TEXTS) + 2, "each text once"
