"""The test that may be looked at any time: wrong verdicts stay rare, and right ones are found."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.reports.switch import NOT_YET, SAFE, WORSE
from judging.anytime import Bounded, log_gains, log_wealth
from judging.switching import ScoredPair, decide, decide_by_tag

MARGIN = 3.0


def drawn(size: int, gained: float, lost: float, seed: int = 1) -> list[ScoredPair]:
    generator = random.Random(seed)
    pairs = []
    for _ in range(size):
        draw = generator.random()
        service, model = 1.0, 1.0
        if draw < gained:
            service = 0.0
        elif draw > 1 - lost:
            model = 0.0
        pairs.append(ScoredPair(service, model))
    return pairs


def test_a_model_that_is_as_good_is_safe_to_switch():
    found = decide(drawn(4000, 0.05, 0.05), MARGIN)
    assert found.state == SAFE
    assert found.more_pairs == 0
    assert found.low_points > -MARGIN


def test_a_model_that_is_8_points_worse_is_worse():
    found = decide(drawn(4000, 0.02, 0.10), MARGIN)
    assert found.state == WORSE
    assert found.high_points < -MARGIN
    expected = 100 * (found.gained - found.lost) / 4000
    assert found.difference_points == pytest.approx(expected, abs=0.01)


def test_few_pairs_decide_nothing_and_say_about_how_many_more():
    found = decide(drawn(100, 0.05, 0.05), MARGIN)
    assert found.state == NOT_YET
    assert 100 < found.more_pairs < 20_000


def test_equal_pairs_do_not_decide_at_once():
    # With 1 or 2 pairs in 100 lost, 50 equal ones in a row are nothing unusual.
    found = decide([ScoredPair(1.0, 1.0)] * 50, MARGIN)
    assert found.state == NOT_YET
    assert (found.low_points, found.difference_points) < (-MARGIN, 0.0)
    assert found.more_pairs > 0


def test_no_pair_decides_nothing():
    found = decide([], MARGIN)
    assert (found.state, found.low_points, found.high_points) == (NOT_YET, -100.0, 100.0)


@pytest.mark.parametrize(("gained", "lost"), [(0.05, 0.05), (0.03, 0.1)], ids=["safe", "worse"])
def test_the_estimate_of_more_pairs_comes_true(gained, lost):
    pairs = drawn(400, gained, lost)
    more = decide(pairs, MARGIN).more_pairs
    # As many pairs of the very same shares.
    copies = math.ceil((400 + more) / 400) + 1
    assert decide(pairs * copies, MARGIN).state != NOT_YET
    assert decide(pairs * max(1, copies // 2 - 1), MARGIN).state == NOT_YET


@pytest.mark.parametrize(
    ("truth", "sign"),
    [(-0.03, 1), (-0.0301, 1), (-0.03, -1), (-0.0299, -1)],
    ids=["safe at the margin", "safe beyond it", "worse at the margin", "worse within it"],
)
def test_looking_after_every_pair_gives_few_wrong_verdicts(truth, sign):
    """400 streams of 3,000 pairs, looked at after each: the count is fixed by the seed."""
    generator = np.random.default_rng(7)
    gains = log_gains([1.0 * sign, 0.0, -1.0 * sign], -sign * MARGIN / 100)
    wrong = 0
    for _ in range(400):
        draws = generator.random(3000)
        gained = np.cumsum(draws < 0.05)
        lost = np.cumsum(draws > 1 - (0.05 - truth))
        equal = np.arange(1, 3001) - gained - lost
        logs = np.stack([gained, equal, lost], axis=1) @ gains
        top = logs.max(axis=1)
        wealth = top + np.log(np.exp(logs - top[:, None]).mean(axis=1))
        wrong += bool((wealth >= math.log(40)).any())
    assert wrong <= 0.025 * 400


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_interval_holds_the_observed_mean_and_agrees_with_the_decision(values):
    seen = Bounded(values)
    low, high = seen.interval(0.05)
    assert -1 <= low <= seen.mean <= high <= 1
    for mean in (-0.5, -0.03, 0.2):
        assert seen.is_above(mean, 0.025) == (low > mean)
        assert seen.is_below(mean, 0.025) == (high < mean)


def test_the_wealth_is_a_fair_game_at_the_margin():
    # The expected factor of every bet is 1 where the mean is the one that is bet against.
    values, shares = np.array([1.0, 0.0, -1.0]), np.array([0.05, 0.87, 0.08])
    assert np.exp(log_gains(values, -0.03)).T @ shares == pytest.approx(1.0)
    assert log_wealth(values, np.zeros(3), -0.03) == pytest.approx(0.0)


def test_a_tag_has_a_verdict_of_its_own_with_its_share_of_the_errors():
    fine = [pair._replace(tags=("billing",)) for pair in drawn(3000, 0.02, 0.02)]
    bad = [pair._replace(tags=("returns", "all")) for pair in drawn(3000, 0.0, 0.2)]
    found = decide_by_tag([*fine, *bad], MARGIN)
    assert {tag: part.state for tag, part in found.items()} == {
        "all": WORSE, "billing": SAFE, "returns": WORSE,
    }  # fmt: skip
    alone = decide(fine, MARGIN)
    assert found["billing"].low_points < alone.low_points


def test_a_score_out_of_bounds_is_an_error():
    with pytest.raises(ValueError, match=r"between -1 and 1; received 1\.5"):
        decide([ScoredPair(0.0, 1.5)], MARGIN)
