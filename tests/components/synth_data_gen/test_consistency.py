import pytest

from components.synth_data_gen.consistency import majority, medoid


@pytest.mark.parametrize(
    ("samples", "output", "agreement"),
    [
        (["a"], "a", 1.0),
        (["b", "a", "a"], "a", 2 / 3),
        (["b", "a"], "b", 0.5),
        (["c", "b", "a", "b", "a"], "b", 0.4),
    ],
    ids=["one", "two-of-three", "tie-keeps-the-first", "tie-among-more"],
)
def test_the_most_frequent_answer_wins(samples, output, agreement):
    assert majority(samples) == (output, pytest.approx(agreement))


def test_the_answer_most_like_the_others_wins_among_free_texts():
    samples = [
        "Please restart the router and wait.",
        "Bananas are yellow.",
        "Please restart your router and wait a minute.",
        "Please restart the router, then wait a minute.",
    ]
    chosen = medoid(samples)
    assert chosen.output == samples[3]
    assert 0 < chosen.agreement < 1


def test_a_single_free_text_agrees_with_itself():
    assert medoid(["only one"]) == ("only one", 1.0)
