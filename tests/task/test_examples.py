import pytest

from core.records import CoverageRow
from task.examples import Examples


def pairs(count, prompt="Message {n} about the {n}th parcel"):
    return [CoverageRow(f"r{n}", prompt.format(n=n), f"answer {n}", "seed") for n in range(count)]


def shown(rows, prompt, wanted=None, tokens=8000):
    (found,) = Examples(rows).shown([prompt], wanted=wanted, tokens=tokens)
    return [row.id for row in found]


def test_all_of_few_pairs_are_shown_in_their_order_and_of_more_the_nearest_last():
    few = pairs(12)
    assert shown(few, "Anything") == [row.id for row in few]
    near = CoverageRow("near", "Does the purple train stop in Gent?", "yes", "seed")
    many = [near, *pairs(12)]
    found = shown(many, "Where does the purple train to Gent stop?")
    assert (len(found), found[-1]) == (6, "near")


@pytest.mark.parametrize("count", [4, 40], ids=["few", "many"])
def test_a_pair_of_the_prompt_itself_is_never_shown(count):
    rows = pairs(count)
    found = shown(rows, rows[2].prompt)
    assert "r2" not in found
    assert len(found) == min(6, count - 1)


def test_where_a_near_pair_does_not_fit_the_next_ones_are_tried():
    long = CoverageRow("long", "The purple train. " * 100, "no", "seed")
    nearest = CoverageRow("nearest", "The purple train to Gent", "yes", "seed")
    found = shown([long, nearest, *pairs(20)], "The purple train to Gent?", wanted=3, tokens=100)
    assert len(found) == 3
    assert "long" not in found
    assert found[-1] == "nearest"


def test_vectors_of_a_model_pick_the_pairs_where_there_is_one():
    rows = pairs(20)
    vectors = {row.prompt: [float(n), 1.0] for n, row in enumerate(rows)}
    picked = Examples(rows, lambda texts: [vectors.get(t, [-9.0, 1.0]) for t in texts])
    (found,) = picked.shown(["Anything"], wanted=2, tokens=8000)
    assert [row.id for row in found] == ["r1", "r0"]
