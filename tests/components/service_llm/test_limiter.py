"""The limiter in simulated time: quotas are used up, and never exceeded, at any latency."""

import heapq
import random

import pytest

from components.service_llm.errors import QuotaError
from components.service_llm.limiter import Limiter, limiter_for
from components.service_llm.settings import ServiceLLMSettings


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class WindowServer:
    """Accepts so many requests in any minute, and says when the next one is welcome."""

    def __init__(self, per_minute):
        self.per_minute = per_minute
        self.accepted = []
        self.refused = []

    def wait_for(self, now):
        self.accepted = [at for at in self.accepted if at > now - 60]
        if len(self.accepted) < self.per_minute:
            self.accepted.append(now)
            return None
        self.refused.append(now)
        return self.accepted[0] + 60 - now


def simulate(limiter, clock, server, *, latency, seconds, tokens=0):
    """Runs requests as fast as the limiter lets them; returns when each was answered."""
    rng = random.Random(0)
    start, answered, under_way = clock.now, [], []
    while clock.now < start + seconds:
        while under_way and under_way[0][0] <= clock.now:
            _, sent_at, wait = heapq.heappop(under_way)
            if wait is None:
                answered.append(clock.now)
                limiter.succeeded(tokens, tokens, 0)
            else:
                limiter.quota_exceeded(sent_at, wait if wait >= 0 else None)
        ends = [under_way[0][0]] if under_way else []
        if len(under_way) < limiter.concurrency:
            pause = limiter.try_acquire(tokens)
            if pause == 0:
                wait = server.wait_for(clock.now)
                took = latency * rng.uniform(0.8, 1.2) if wait is None else 0.01
                heapq.heappush(under_way, (clock.now + took, clock.now, wait))
                continue
            ends.append(clock.now + pause)
        clock.now = max(min(ends), clock.now + 1e-6)
    return answered


@pytest.mark.parametrize("latency", [0, 2, 20])
@pytest.mark.parametrize("per_minute", [60, 600, 6000])
def test_the_quota_is_used_and_not_exceeded(latency, per_minute):
    clock = Clock()
    limiter = Limiter(requests_per_minute=per_minute, max_concurrency=4096, clock=clock)
    server = WindowServer(per_minute)
    answered = simulate(limiter, clock, server, latency=latency, seconds=180)
    steady = [at for at in answered if at > 1000.0 + 60]
    assert server.refused == []
    assert len(steady) >= 0.95 * per_minute * 2


@pytest.mark.parametrize("latency", [0, 2, 20])
@pytest.mark.parametrize("per_minute", [60, 600])
def test_it_settles_on_the_real_limit_where_that_is_lower(latency, per_minute):
    clock = Clock()
    limiter = Limiter(
        requests_per_minute=2 * per_minute,
        max_concurrency=4096,
        clock=clock,
        rng=random.Random(1),
    )
    server = WindowServer(per_minute)
    answered = simulate(limiter, clock, server, latency=latency, seconds=360)
    after_a_minute = [at for at in answered if 1000.0 + 60 < at <= 1000.0 + 360]
    assert len(after_a_minute) >= 0.85 * per_minute * 5
    assert len(server.refused) <= 0.05 * len(answered) + 10


def test_nothing_is_sent_before_the_service_wants_to_be_asked():
    clock = Clock()
    limiter = Limiter(requests_per_minute=600, clock=clock)
    limiter.try_acquire(0)
    limiter.quota_exceeded(clock.now, 7.0)
    assert limiter.try_acquire(0) >= 7.0
    clock.now += 6.9
    assert limiter.try_acquire(0) > 0
    clock.now += 2
    assert limiter.try_acquire(0) == 0


def test_refusals_of_one_crowd_lower_the_rate_once():
    clock = Clock()
    limiter = Limiter(requests_per_minute=600, clock=clock)
    before = limiter.requests_per_minute
    limiter.quota_exceeded(clock.now, 1.0)
    lowered = limiter.requests_per_minute
    for _ in range(20):
        limiter.quota_exceeded(clock.now, 1.0)
    assert 0.5 * before < lowered < before
    assert limiter.requests_per_minute == lowered


def test_tokens_are_paced_and_the_estimate_is_corrected():
    clock = Clock()
    limiter = Limiter(requests_per_minute=6000, tokens_per_minute=60_000, clock=clock)
    server = WindowServer(6000)
    answered = simulate(limiter, clock, server, latency=1, seconds=120, tokens=1000)
    assert 0.95 * 60 * 2 - 2 <= len(answered) <= 60 * 2
    assert limiter.try_acquire(1000) >= 0
    clock.now += 60
    assert limiter.try_acquire(1000) == 0
    limiter.succeeded(1000, 3000, 2000)
    assert limiter.try_acquire(1000) == pytest.approx(5.1, abs=0.7)


def test_an_overloaded_service_gets_fewer_requests_at_once_and_recovers():
    clock = Clock()
    limiter = Limiter(requests_per_minute=600, max_concurrency=16, clock=clock)
    for _ in range(3):
        limiter.overloaded()
        limiter.overloaded()  # in the same second
        clock.now += 2
    assert limiter.concurrency == 5
    for _ in range(500):
        limiter.succeeded(0, 0, 0)
    assert limiter.concurrency == 16


def test_requests_of_a_day():
    clock = Clock()
    limiter = Limiter(requests_per_minute=6000, requests_per_day=2, clock=clock)
    for _ in range(2):
        assert limiter.try_acquire(0) == 0
        clock.now += 1
    with pytest.raises(QuotaError, match="requests_per_day"):
        limiter.try_acquire(0)
    clock.now += 86_400
    assert limiter.try_acquire(0) == 0


def test_one_limiter_per_project_takes_over_new_limits():
    def settings(**changes):
        return ServiceLLMSettings(provider="openai", model="m", base_url="http://x", **changes)

    limiter = limiter_for(settings(requests_per_minute=60))
    assert limiter_for(settings(requests_per_minute=600)) is limiter
    assert limiter.requests_per_minute == pytest.approx(588)
    other = ServiceLLMSettings(provider="openai", model="other", base_url="http://x")
    assert limiter_for(other) is not limiter
