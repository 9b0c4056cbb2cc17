"""The limiter in simulated time: quotas are used up, and never exceeded, at any latency."""

import heapq
import math
import random

import pytest

from components.service_llm.errors import QuotaError
from components.service_llm.estimate import least_minutes
from components.service_llm.limiter import USED_SHARE, Limiter, limiter_for
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Usage
from standin.quota import Quota

CHARACTERS = 400  # of a prompt: 100 tokens
MOST_OUTPUT_TOKENS = 2048


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class WindowServer:
    """A service with a sliding window, which counts requests when they arrive."""

    def __init__(self, clock, per_minute=None, tokens=None):
        self.quota = Quota(per_minute, tokens, clock)
        self.refused = 0

    def wait_for(self, tokens):
        wait = self.quota.admit(tokens)
        self.refused += wait > 0
        return wait


def simulate(limiter, clock, server, *, latency, seconds, reply=lambda number: (100, 100),
             first_delay=0.0, jitter=0.0, count=math.inf):  # fmt: skip
    """Runs requests as fast as the limiter lets them; returns when each was answered.

    `reply` gives a reply's prompt and output tokens; `first_delay` is how much longer the first
    request needs to arrive, and `jitter` how much longer any of them at most.
    """
    rng = random.Random(0)
    start, sent, answered, events = clock.now, 0, [], []

    def happen(seconds, *event):
        heapq.heappush(events, (clock.now + seconds, *event))

    while clock.now < start + seconds and len(answered) < count:
        expected = limiter.expected_tokens(CHARACTERS, MOST_OUTPUT_TOKENS)
        pause = limiter.try_acquire(expected)
        if pause == 0:
            sent += 1
            delay = first_delay if sent == 1 else rng.uniform(0, jitter)
            happen(delay, sent, "arrives", expected, clock.now, 0.0)
            continue
        due = events[0][0] if events else math.inf
        clock.now = min(due, clock.now + max(pause, 1e-6))
        if clock.now < due:
            continue
        _, number, kind, expected, sent_at, wait = heapq.heappop(events)
        tokens = reply(number)
        if kind == "arrives":
            wait = server.wait_for(sum(tokens))
            happen(
                0.01 if wait else latency * rng.uniform(0.8, 1.2),
                number,
                "ends",
                expected,
                sent_at,
                wait,
            )
        elif wait:
            limiter.quota_exceeded(sent_at, wait)
            limiter.ended(expected)
        else:
            answered.append(clock.now)
            succeed(limiter, sent_at=sent_at, expected=expected, tokens=tokens)
            limiter.ended(expected)
    return answered


def succeed(limiter, *, sent_at=None, expected=200, tokens=(100, 100)):
    limiter.succeeded(
        sent_at=limiter.now() if sent_at is None else sent_at,
        expected_tokens=expected,
        prompt_characters=CHARACTERS,
        prompt_tokens=tokens[0],
        output_tokens=tokens[1],
    )


def warm(limiter):
    """As it is after the first reply."""
    assert limiter.try_acquire(0) == 0
    succeed(limiter)
    limiter.ended(0)


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


def test_the_first_request_goes_alone():
    clock = Clock()
    limiter = Limiter(requests_per_minute=600, max_concurrency=8, clock=clock)
    assert limiter.concurrency == 1
    assert limiter.try_acquire(0) == 0
    clock.now += 9
    assert limiter.try_acquire(0) == math.inf
    limiter.ended(0)  # it failed
    assert limiter.try_acquire(0) == 0
    assert limiter.try_acquire(0) == math.inf
    succeed(limiter)
    limiter.ended(0)
    assert limiter.concurrency == 8
    clock.now += 1
    assert [limiter.try_acquire(0) for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(("calls", "per_minute", "tokens"), [(300, 60, None), (300, 600, 10_000)])
def test_a_run_takes_the_minutes_that_are_estimated(calls, per_minute, tokens):
    settings = ServiceLLMSettings(
        provider="openai", model="m", requests_per_minute=per_minute, tokens_per_minute=tokens
    )
    expected = least_minutes(Usage(calls, 100 * calls, 100 * calls), settings)
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


def test_nothing_is_sent_before_the_service_wants_to_be_asked():
    clock = Clock()
    limiter = Limiter(requests_per_minute=600, clock=clock)
    warm(limiter)
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


def test_pauses_differ_so_that_not_all_come_back_at_once():
    pauses = set()
    for seed in range(5):
        clock = Clock()
        limiter = Limiter(requests_per_minute=600, clock=clock, rng=random.Random(seed))
        limiter.quota_exceeded(clock.now, 7.0)
        pauses.add(limiter.try_acquire(0))
    assert len(pauses) == 5
    assert all(7.0 < pause < 8.0 for pause in pauses)


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


def test_what_a_reply_used_beyond_what_was_expected_is_waited_for():
    clock = Clock()
    limiter = Limiter(requests_per_minute=6000, tokens_per_minute=60_000, clock=clock)
    warm(limiter)
    clock.now += 60
    assert limiter.try_acquire(1000) == 0
    succeed(limiter, expected=1000, tokens=(3000, 2000))
    assert limiter.try_acquire(1000) == pytest.approx(5.1, abs=0.7)


def test_how_many_tokens_a_request_takes_is_learned():
    limiter = Limiter(requests_per_minute=600, clock=Clock())
    assert limiter.expected_tokens(400, 2048) == 100 + 2048, "at first, as many as it may"
    succeed(limiter, tokens=(400, 50))  # a token a character, as in Chinese
    assert limiter.expected_tokens(400, 2048) == 400 + 50
    assert limiter.expected_tokens(400, 20) == 400 + 20


def test_single_failures_leave_the_number_of_requests_under_way():
    limiter = Limiter(requests_per_minute=600, max_concurrency=16, clock=Clock())
    warm(limiter)
    for _ in range(20):
        limiter.overloaded()
        for _ in range(30):
            succeed(limiter)
    assert limiter.concurrency == 16


def test_an_overloaded_service_gets_fewer_requests_at_once_and_more_when_it_copes():
    clock = Clock()
    limiter = Limiter(requests_per_minute=60_000, max_concurrency=64, clock=clock)
    warm(limiter)
    copes_with = 8
    under_way, history = 0, []
    for _ in range(6000):  # a crowd of requests, each of which is answered or fails, every 0.1 s
        clock.now += 0.1
        while limiter.try_acquire(0) == 0:
            under_way += 1
        for number in range(under_way):
            succeed(limiter) if number < copes_with else limiter.overloaded()
        for _ in range(under_way):
            limiter.ended(0)
        history.append(under_way)
        under_way = 0
    settled = history[1000:]
    assert 0.75 * copes_with <= sum(settled) / len(settled) <= 1.1 * copes_with
    assert max(settled) <= 12


def test_requests_of_a_day():
    clock = Clock()
    limiter = Limiter(requests_per_minute=6000, requests_per_day=3, max_concurrency=8, clock=clock)
    limiter.count_earlier([90_000.0, 3600.0])
    limiter.count_earlier([1.0, 1.0])  # by another component of the same process
    for _ in range(2):
        assert limiter.try_acquire(0) == 0
        succeed(limiter)
        clock.now += 1
    with pytest.raises(QuotaError, match=r"requests_per_day.*22 h 60 min|23 h 0 min"):
        limiter.try_acquire(0)
    clock.now += 83_000
    assert limiter.try_acquire(0) == 0, "what the day before was sent counts no more"
    with pytest.raises(QuotaError):
        limiter.try_acquire(0)


def test_one_limiter_per_project_takes_over_new_limits():
    def settings(**changes):
        values = {"provider": "openai", "model": "m", "base_url": "http://x"}
        return ServiceLLMSettings(**values | changes)

    limiter = limiter_for(settings(requests_per_minute=60))
    assert limiter_for(settings(requests_per_minute=600)) is limiter
    assert limiter.requests_per_minute == pytest.approx(600 * USED_SHARE)
    judge = settings(timeout_seconds=9, budget_usd=1, price=None, max_attempts=2)
    assert limiter_for(judge) is limiter


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "other"},
        {"base_url": "http://y"},
        {"api_key_env": "OTHER_KEY"},
        {"provider": "gemini"},
        {"provider": "gemini", "vertex_project": "p"},
        {"provider": "gemini", "vertex_project": "p", "vertex_location": "europe-west4"},
    ],
    ids=str,
)
def test_other_quotas_have_limiters_of_their_own(changes):
    values = {"provider": "openai", "model": "m", "base_url": "http://z"}
    first = limiter_for(ServiceLLMSettings(**values))
    assert limiter_for(ServiceLLMSettings(**values | changes)) is not first
