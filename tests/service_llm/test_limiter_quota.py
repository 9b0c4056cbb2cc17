"""The limiter in simulated time: quotas are used up, and never exceeded, at any latency."""

import random

import pytest

from service_llm.estimate import min_minutes
from service_llm.pacing.limiter import Limiter
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Usage
from tests.service_llm.simulated_time import Clock, WindowServer, simulate


@pytest.mark.parametrize("latency", [0, 2, 20])
@pytest.mark.parametrize("per_minute", [60, 600, 6000])
def test_the_quota_is_used_and_not_exceeded(latency, per_minute):
    clock = Clock()
    limiter = Limiter(requests_per_minute=per_minute, max_concurrency=4096, clock=clock)
    server = WindowServer(clock, per_minute)
    answered = simulate(limiter, clock, server, latency=latency, seconds=200, jitter=1.0)
    begin = 1000.0 + 1.2 * latency  # the first request goes alone
    steady = [at for at in answered if begin + 30 < at <= begin + 150]
    assert server.refused == 0
    assert len(steady) >= 0.95 * per_minute * 2


@pytest.mark.parametrize("per_minute", [60, 600, 6000])
def test_a_first_request_that_arrives_late_exceeds_nothing(per_minute):
    """The service counts it late, so it stands in the window of all those after it."""
    clock = Clock()
    limiter = Limiter(requests_per_minute=per_minute, max_concurrency=4096, clock=clock)
    server = WindowServer(clock, per_minute)
    simulate(limiter, clock, server, latency=0, seconds=150, first_delay=5.0, jitter=1.0)
    assert server.refused == 0


@pytest.mark.parametrize(("calls", "per_minute", "tokens"), [(300, 60, None), (300, 600, 10_000)])
def test_a_run_takes_the_minutes_that_are_estimated(calls, per_minute, tokens):
    settings = ServiceLLMSettings(
        provider="openai", model="m", requests_per_minute=per_minute, tokens_per_minute=tokens
    )
    expected = min_minutes(Usage(calls, 100 * calls, 100 * calls), settings)
    clock = Clock()
    limiter = Limiter(requests_per_minute=per_minute, tokens_per_minute=tokens, clock=clock)
    server = WindowServer(clock, per_minute, tokens)
    answered = simulate(limiter, clock, server, latency=1, seconds=3600, count=calls)
    assert (answered[-1] - 1000.0) / 60 == pytest.approx(expected, rel=0.1)


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
    server = WindowServer(clock, per_minute)
    answered = simulate(limiter, clock, server, latency=latency, seconds=360)
    after_a_minute = [at for at in answered if 1000.0 + 60 < at <= 1000.0 + 360]
    assert len(after_a_minute) >= 0.85 * per_minute * 5
    assert server.refused <= 0.05 * len(answered) + 10


@pytest.mark.parametrize("latency", [0, 2, 20])
def test_tokens_are_used_up_and_not_exceeded(latency):
    clock = Clock()
    limit = 60_000  # of replies with 120 to 480 tokens: about 180 a minute
    limiter = Limiter(
        requests_per_minute=6000, tokens_per_minute=limit, max_concurrency=4096, clock=clock
    )
    server = WindowServer(clock, 6000, limit)
    sizes = random.Random(3)
    replies = [(120, sizes.randrange(0, 360)) for _ in range(5000)]
    answered = simulate(
        limiter, clock, server, latency=latency, seconds=360, reply=replies.__getitem__, jitter=0.5
    )
    used = sum(
        sum(replies[number]) for number, at in enumerate(answered, start=1) if 1060 < at <= 1300
    )
    assert server.refused == 0
    assert used >= 0.92 * limit * 4
