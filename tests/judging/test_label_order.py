from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judging.label_order import DISAGREEMENT, inclusion_probabilities, label_order, stratum_of

STRATA = ("judge only", "strict only", "both", "neither")


def _strata(**sizes):
    names = [name for name, size in sizes.items() for _ in range(size)]
    return {number: name.replace("_", " ") for number, name in enumerate(names)}


@given(
    members=st.lists(st.sampled_from(STRATA), max_size=40),
    count=st.integers(0, 50),
    seed=st.integers(0, 9),
)
def test_every_response_is_asked_about_exactly_once(members, count, seed):
    strata = dict(enumerate(members))
    order = label_order(strata, count, seed=seed)
    assert sorted(order) == sorted(strata)
    assert order == label_order(strata, count, seed=seed)


def test_disagreements_come_first():
    strata = _strata(judge_only=5, strict_only=3, both=60, neither=20)
    order = label_order(strata, 40)
    assert {strata[item] for item in order[:8]} == DISAGREEMENT
    assert not {strata[item] for item in order[8:]} & DISAGREEMENT


def test_disagreements_take_at_most_half_of_the_planned_labels():
    strata = _strata(judge_only=70, both=60, neither=20)
    order = label_order(strata, 40)
    found = Counter(strata[item] for item in order[:40])
    assert found == {"judge only": 20, "both": 15, "neither": 5}


def test_where_other_rows_are_few_disagreements_fill_up():
    strata = _strata(judge_only=70, both=6)
    order = label_order(strata, 40)
    assert Counter(strata[item] for item in order[:40]) == {"judge only": 34, "both": 6}


@pytest.mark.parametrize("labelled", [8, 20, 40, 68])
def test_strata_keep_their_proportion_wherever_a_person_stops(labelled):
    strata = _strata(both=60, neither=20)
    found = Counter(strata[item] for item in label_order(strata, 80)[:labelled])
    assert found["neither"] == pytest.approx(labelled / 4, abs=1)


def test_the_draw_within_a_stratum_is_random():
    strata = _strata(both=10)
    first = Counter(label_order(strata, 5, seed=seed)[0] for seed in range(500))
    assert len(first) == 10
    assert max(first.values()) < 90, "50 expected"


def test_probabilities_are_written_down_as_the_labelled_share():
    strata = _strata(judge_only=4, both=10, neither=2)
    order = label_order(strata, 8)
    shares = inclusion_probabilities(strata, order[:8])
    assert shares == {"judge only": 1.0, "both": pytest.approx(0.3), "neither": pytest.approx(0.5)}


@pytest.mark.parametrize(
    ("covered", "equal", "kind", "stratum"),
    [
        (True, True, "json", "both"),
        (True, False, "json", "judge only"),
        (False, True, "json", "strict only"),
        (False, False, "json", "neither"),
        (True, False, None, "covered"),
        (False, True, None, "not covered"),
    ],
)
def test_a_row_is_in_the_stratum_of_those_who_accept_it(verdict_row, covered, equal, kind, stratum):
    row = verdict_row(
        "a", covered, output='{"a": 1}', response='{"a": 1.0}' if equal else '{"a": 2}'
    )
    assert stratum_of(row, kind) == stratum
