"""The control chart: quiet under chance, loud at a change."""

import random

import pytest

from judging.control_chart import drift, limits


def looks(rates, size=40, seed=1):
    generator = random.Random(seed)
    return [(sum(generator.random() < rate for _ in range(size)), size) for rate in rates]


def test_chance_rarely_raises_the_alarm():
    alarms = total = 0
    for seed in range(40):
        counts = looks([0.85] * 40, seed=seed)
        for end in range(6, 41):
            total += 1
            alarms += drift(counts[:end]) is not None
    assert alarms / total < 0.06


@pytest.mark.parametrize("chances", [4, 10])
def test_a_few_prompts_that_are_answered_by_chance_raise_no_alarm(chances):
    """The others are answered the same at every look, as a service at temperature 0 does."""
    alarmed = 0
    for seed in range(60):
        counts = [(40 - chances + c, 40) for c, _ in looks([0.5] * 60, size=chances, seed=seed)]
        alarmed += any(drift(counts[:end]) for end in range(6, 61))
    assert alarmed <= 1


def test_a_drop_is_seen_at_once_and_a_slow_one_by_its_run():
    assert "50.0 % is covered, usual is" in drift([(34, 40)] * 6 + [(20, 40)])
    assert "the last 8 rates are all below" in drift([(36, 40)] * 5 + [(33, 40)] * 8)
    assert drift([(36, 40)] * 5 + [(33, 40)] * 7) is None
    assert "the last 8 rates are all above" in drift([(30, 40)] * 5 + [(33, 40)] * 8)


@pytest.mark.parametrize("covered", [0, 1, 20, 38, 39, 40])
def test_a_rate_that_stays_the_same_never_raises_the_alarm(covered):
    steady = [(covered, 40)] * 30
    assert [drift(steady[:end]) for end in range(31)] == [None] * 31


@pytest.mark.parametrize("usual", [37, 38, 39])
def test_one_prompt_that_is_answered_now_so_and_now_so_raises_no_alarm(usual):
    for first in range(5):
        counts = [(usual + (number == first), 40) for number in range(30)]
        assert drift(counts) is None
    assert drift([(usual, 40)] * 5 + [(usual + 1, 40)] * 25) is None


@pytest.mark.parametrize("count", [0, 1, 5])
def test_limits_need_a_baseline(count):
    assert limits([(34, 40)] * count) is None
    assert drift([(34, 40)] * count) is None


def test_a_perfect_baseline_leaves_room():
    low, center, high = limits([(40, 40)] * 6)
    assert 0.9 < low < center == high == 1.0


def test_looks_without_an_answer_that_could_be_scored_give_no_limits():
    assert drift([(0, 0)] * 6) is drift([(0, 0)] * 5 + [(38, 40)]) is None
    assert drift([(38, 40)] * 6 + [(0, 0)]) is None
