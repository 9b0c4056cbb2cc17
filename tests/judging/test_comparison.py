import random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from judging.comparison import (
    compare,
    mcnemar_exact,
    relative_rate,
)


@pytest.mark.parametrize(
    ("gained", "lost", "p_value"),
    [
        pytest.param(0, 0, 1.0, id="no change"),
        pytest.param(5, 0, 0.0625, id="five better"),
        pytest.param(6, 0, 0.03125, id="six better"),
        pytest.param(10, 2, 0.038574, id="ten to two"),
        pytest.param(3, 3, 1.0, id="balanced"),
    ],
)
def test_mcnemar_gives_the_binomial_tail(gained, lost, p_value):
    assert mcnemar_exact(gained, lost) == pytest.approx(p_value, abs=1e-6)


@given(gained=st.integers(0, 300), lost=st.integers(0, 300))
def test_mcnemar_knows_no_direction(gained, lost):
    assert mcnemar_exact(gained, lost) == mcnemar_exact(lost, gained)
    assert 0 < mcnemar_exact(gained, lost) <= 1


def test_noise_is_called_significant_in_at_most_5_of_100_cases():
    generator = random.Random(1)
    runs = 2000
    alarms = 0
    for _ in range(runs):
        before, now = ([generator.random() < 0.7 for _ in range(60)] for _ in range(2))
        pairs = list(zip(before, now, strict=True))
        alarms += mcnemar_exact(pairs.count((False, True)), pairs.count((True, False))) < 0.05
    assert alarms / runs <= 0.05


def test_prompts_are_compared_one_by_one(verdict_row):
    before = [verdict_row("a", False), verdict_row("b", True), verdict_row("c", True)]
    now = [verdict_row("c", True), verdict_row("b", False), verdict_row("a", True)]
    change = compare(before, now)
    assert (change.gained_ids, change.lost_ids) == (("a",), ("b",))
    assert (change.difference_points, change.p_value, change.significant) == (0.0, 1.0, False)


def test_a_prompt_that_only_one_round_knows_is_left_out(verdict_row):
    change = compare([verdict_row("a", False)], [verdict_row("a", True), verdict_row("b", True)])
    assert (change.prompts, change.gained, change.difference_points) == (1, 1, 100.0)


def test_with_several_samples_the_share_of_covered_ones_counts(verdict_row):
    before = [verdict_row("a", sample < 1, sample=sample) for sample in range(4)]
    now = [verdict_row("a", sample < 3, sample=sample) for sample in range(4)]
    change = compare(before, now)
    assert (change.gained, change.difference_points) == (1, 50.0)


def test_the_relative_rate_is_a_share_of_the_reference(verdict_row):
    own = [verdict_row(str(n), n < 40) for n in range(100)]
    reference = [verdict_row(str(n), n < 80) for n in range(100)]
    found = relative_rate(own, reference)
    assert (found.prompts, found.percent) == (100, 50.0)
    assert 37 < found.low_percent < 40
    assert 61 < found.high_percent < 65


@pytest.mark.parametrize("covered", [0, 20], ids=["nothing", "everything"])
def test_a_relative_rate_at_its_end_is_still_uncertain(verdict_row, covered):
    own = [verdict_row(str(n), n < covered) for n in range(20)]
    found = relative_rate(own, [verdict_row(str(n), True) for n in range(20)])
    assert found.percent == 5 * covered
    assert found.high_percent - found.low_percent > 10


class Row(NamedTuple):
    """As much of a verdict row as a rate needs."""

    id: str
    covered: bool
    split: str = "holdout"
    tags: tuple[str, ...] = ()
    scored: bool = True


@pytest.mark.parametrize("together", [0.0, 0.5, 0.9], ids=["apart", "half", "together"])
def test_the_interval_of_the_relative_rate_holds_the_truth(together):
    generator = random.Random(3)
    runs, hits, size = 1500, 0, 60
    for _ in range(runs):
        own, reference = generator.uniform(0.3, 0.95), generator.uniform(0.7, 0.98)
        hard = [generator.random() for _ in range(size)]
        same = [h if generator.random() < together else generator.random() for h in hard]
        found = relative_rate(
            [Row(str(n), h < own) for n, h in enumerate(hard)],
            [Row(str(n), h < reference) for n, h in enumerate(same)],
        )
        hits += found.low_percent <= 100 * own / reference <= found.high_percent
    assert 0.93 <= hits / runs <= 0.97, f"{hits / runs:.3f}"


def test_prompts_that_two_models_fail_together_say_more_about_their_ratio(verdict_row):
    reference = [verdict_row(str(n), n < 80) for n in range(100)]
    alike = [verdict_row(str(n), n < 60) for n in range(100)]
    other = [verdict_row(str(n), n >= 40) for n in range(100)]
    widths = []
    for rows in (alike, other):
        found = relative_rate(rows, reference)
        assert found.percent == 75.0
        widths.append(found.high_percent - found.low_percent)
    assert widths[0] < widths[1]


def test_nothing_is_relative_to_a_reference_that_covers_nothing(verdict_row):
    found = relative_rate([verdict_row("1", True)], [verdict_row("1", False)])
    assert (found.percent, found.low_percent, found.high_percent) == (None, None, None)


@given(gained=st.integers(0, 60), lost=st.integers(0, 60))
def test_mcnemar_agrees_with_scipy(gained, lost):
    if gained + lost:
        expected = binomtest(gained, gained + lost).pvalue
        assert mcnemar_exact(gained, lost) == pytest.approx(expected, abs=1e-12)
