"""Outages in which some are answered all the time, in simulated time."""

import itertools
import random

import pytest

from service_llm.pacing.limiter import USED_SHARE, Limiter
from service_llm.pacing.rate import Rate
from tests.service_llm.simulated_time import Clock, simulate
from tests.service_llm.test_outages import LIMIT, run

BEGIN = 90


def cuts(rates):
    """How often a rate fell, and by what."""
    values = [rate / (LIMIT * USED_SHARE) for _, rate in rates]
    return [after / before for before, after in itertools.pairwise(values) if after < before - 1e-9]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("length", [1, 20, 50])
def test_one_outage_is_one_cut(length, share, seed):
    _, rates, server = run((BEGIN, BEGIN + length), seconds=300, share=share, seed=seed, luck=seed)
    assert server.refused > 0
    assert cuts(rates) == [pytest.approx(0.7)]
    assert rates[-1][1] >= 0.85 * LIMIT


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_one_that_lasts_is_cut_once_a_minute(share):
    """It cannot be told from a quota that is lower than the limit."""
    _, rates, _ = run((BEGIN, BEGIN + 290), seconds=BEGIN + 290, share=share)
    assert 2 <= len(cuts(rates)) <= 5


class Refilled:
    """A quota that is refilled evenly, and refuses without a time to wait."""

    def __init__(self, clock, per_minute):
        self.clock = clock
        self.per_minute = per_minute
        self.left = 2.0
        self.filled_at = clock.now
        self.refused = 0

    def wait_for(self, tokens):
        seconds = self.clock.now - self.filled_at
        self.left = min(2.0, self.left + seconds * self.per_minute / 60)
        self.filled_at = self.clock.now
        if self.left < 1:
            self.refused += 1
            return None
        self.left -= 1
        return 0.0


@pytest.mark.parametrize(("quota", "least"), [(100, 65), (200, 90), (250, 110)])
def test_a_quota_below_the_limit_is_settled_on(quota, least):
    """With a single cut it were 55, 65 and 65 a minute, and a third of all requests refused."""
    clock = Clock()
    limiter = Limiter(
        requests_per_minute=LIMIT, max_concurrency=4096, clock=clock, rng=random.Random(1)
    )
    start, server = clock.now, Refilled(clock, quota)
    answered = simulate(limiter, clock, server, latency=2, seconds=1800)
    late = [at for at in answered if at - start > 1200]
    assert len(late) / 10 > least
    assert server.refused / (server.refused + len(answered)) < 0.25


def test_an_outage_within_a_minute_of_a_full_quota_is_no_further_cut():
    rate = Rate(300.0, 0.0, random.Random(1))
    rate.refused(10.0, 9.0, wait_seconds=5.0)
    settled = rate.per_minute
    assert settled < 300
    rate.accepted(20.0, 19.0)
    rate.refused(40.0, 39.0, wait_seconds=None)
    assert rate.per_minute == pytest.approx(settled)
    rate.accepted(75.0, 74.0)
    before = rate.per_minute
    rate.refused(100.0, 99.0, wait_seconds=None)
    assert rate.per_minute < before, "more than a minute after the last cut"
