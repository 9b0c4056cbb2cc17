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


def test_a_drop_is_seen_at_once_and_a_slow_one_by_its_run():
    assert "50 % is covered, usual is" in drift([(34, 40)] * 6 + [(20, 40)])
    assert "the last 8 rates are all below" in drift([(36, 40)] * 5 + [(33, 40)] * 8)
    assert drift([(36, 40)] * 5 + [(33, 40)] * 7) is None


@pytest.mark.parametrize("count", [0, 1, 5])
def test_limits_need_a_baseline(count):
    assert limits([(34, 40)] * count) is None
    assert drift([(34, 40)] * count) is None


def test_a_perfect_baseline_leaves_room():
    low, center, high = limits([(40, 40)] * 6)
    assert 0.9 < low < center < high == 1.0
