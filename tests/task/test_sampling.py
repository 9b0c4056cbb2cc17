import random

import numpy as np
import pytest

from core.errors import UserError
from task.sampling import _quotas, sample

TOPICS = {
    "parcel": ("parcel", "tracking", "courier", "delivery", "address", "carton", "depot", "truck"),
    "refund": ("refund", "invoice", "payment", "charged", "card", "bank", "receipt", "euros"),
    "camera": ("camera", "picture", "night", "lens", "blurry", "stripes", "motion", "battery"),
    "login": ("password", "account", "login", "locked", "reset", "email", "phone", "browser"),
}
SHARES = {"parcel": 600, "refund": 240, "camera": 120, "login": 40}


def traffic(seed=0):
    """Texts of four topics in unequal shares, each with a number of its own."""
    rng = random.Random(seed)
    texts, topics = [], []
    for topic, count in SHARES.items():
        for _ in range(count):
            words = [rng.choice(TOPICS[topic]) for _ in range(8)]
            texts.append(f"{' '.join(words)} {rng.randrange(10**6)}")
            topics.append(topic)
    return texts, topics


def test_topics_have_their_share_of_the_sample():
    texts, topics = traffic()
    found = sample(texts, 50)
    assert len(set(found.rows)) == 50
    picked = [topics[n] for n in found.rows]
    for topic, count in SHARES.items():
        assert abs(picked.count(topic) / 50 - count / 1000) <= 0.06, topic
    assert found.share_error <= 0.05


@pytest.mark.parametrize(
    ("sizes", "weights", "size", "quotas"),
    [
        ((90, 10), 1.0, 10, [9, 1]),
        ((96, 2, 2), 1.0, 10, [10, 0, 0]),
        ((50, 30, 20), 1.0, 7, [4, 2, 1]),  # 3.5, 2.1 and 1.4
        ((3, 7), 1.0, 10, [3, 7]),
    ],
)
def test_each_cluster_gets_its_share_by_largest_remainders(sizes, weights, size, quotas):
    ends = np.cumsum(sizes)
    members = [np.arange(end - count, end) for count, end in zip(sizes, ends, strict=True)]
    assert _quotas(members, np.full(sum(sizes), weights), size) == quotas


def test_what_a_cluster_lacks_goes_to_the_others():
    """The first has nearly all of the weight, and two rows."""
    members = [np.arange(2), np.arange(2, 12)]
    assert _quotas(members, np.array([50.0, 50.0, *[1.0] * 10]), 6) == [2, 4]


def test_the_sample_is_the_same_each_time():
    texts, _ = traffic()
    assert sample(texts, 30) == sample(texts, 30)


def test_exact_and_near_duplicates_are_picked_once():
    long = "My Nimbus Cam has been offline since this morning and I leave on a trip tonight {}"
    texts = [long.format(mark) for mark in ["", "!", "!!", "please", "PLEASE"]]
    others, _ = traffic()
    found = sample([*texts, *others[:95]], 96)
    assert sum(n < len(texts) for n in found.rows) == 1
    assert found.repeated >= 4


def test_repeats_count_in_the_shares():
    texts, topics = traffic()
    loud = [text for text, topic in zip(texts, topics, strict=True) if topic == "login"]
    many = [*texts, *loud * 25]  # login becomes half of the traffic
    found = sample(many, 40)
    picked = [topics[n] for n in found.rows if n < len(topics)]
    assert picked.count("login") >= 15


def test_fewer_distinct_texts_than_asked_for_are_all_taken():
    texts, _ = traffic()
    found = sample(texts[:10] * 3, 50)
    assert found.rows == tuple(range(10))
    assert found.similarity == pytest.approx(1.0, abs=1e-3)


def test_a_sample_is_nearer_to_the_whole_than_a_part_of_it_would_be():
    texts, _ = traffic()
    found = sample(texts, 40)
    assert found.similarity >= found.random_similarity - 0.03
    assert 0 < found.similarity <= 1
    said = " ".join(found.lines())
    assert f"{found.similarity:.2f}" in said
    assert "Sampled 40 of 1,000 pairs" in said


def test_embeddings_are_used_where_there_is_a_model():
    texts = [f"{'long ' * (n % 2)}text {n * 7919}" for n in range(200)]
    asked = []

    def embed(wanted):
        asked.append(wanted)
        return np.array([[1.0, 0.0] if text.startswith("long") else [0.0, 1.0] for text in wanted])

    found = sample(texts, 20, embed)
    assert len(asked) == 1
    assert sum(n % 2 for n in found.rows) in (9, 10, 11)
    assert found.similarity == pytest.approx(1.0)


@pytest.mark.parametrize("script", ["Где моя посылка номер {}?", "包裹在哪里 {}", "أين طردي {}"])
def test_every_script_is_sampled(script):
    texts = [script.format(n * 7919) for n in range(40)]
    assert len(sample(texts, 10).rows) == 10


@pytest.mark.parametrize("size", [-1, 0, 1])
def test_too_small_a_sample_is_refused(size):
    with pytest.raises(UserError, match="too small"):
        sample(["a", "b"], size)


def test_a_raised_threshold_for_near_duplicates_is_said():
    long = "My Nimbus Cam has been offline since this morning and I leave on a trip tonight, say {}"
    texts = [long.format(n * 7919) for n in range(40)]
    found = sample(texts, 30)
    assert len(found.rows) == 30
    assert found.threshold > 0.8
    assert (
        f"usual threshold for near duplicates, 0.8; it was raised to {found.threshold}"
        in " ".join(found.lines())
    )


def test_a_usual_threshold_is_not_spoken_of():
    texts, _ = traffic()
    assert "threshold" not in " ".join(sample(texts, 40).lines())


def test_a_sample_smaller_than_asked_for_is_said():
    texts, _ = traffic()
    assert "Fewer than the 50 asked for" in " ".join(sample(texts[:10] * 3, 50).lines())
