"""The limiter's single decisions."""

import math
import random

import pytest

from service_llm.errors import QuotaError
from service_llm.pacing.limiter import USED_SHARE, Limiter, limiter_for
from service_llm.settings import ServiceLLMSettings
from tests.service_llm.simulated_time import Clock, succeed, warm


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
    assert limiter.expected_tokens(350, 2048) == 100 + 2048, "at first, as many as it may"
    succeed(limiter, tokens=(400, 50))  # a token a character, as in Chinese
    assert limiter.expected_tokens(400, 2048) == 400 + 50
    assert limiter.expected_tokens(400, 20) == 400 + 20


def test_single_failures_leave_the_number_of_requests_in_flight():
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
    in_flight, history = 0, []
    for _ in range(6000):  # a crowd of requests, each of which is answered or fails, every 0.1 s
        clock.now += 0.1
        while limiter.try_acquire(0) == 0:
            in_flight += 1
        for number in range(in_flight):
            succeed(limiter) if number < copes_with else limiter.overloaded()
        for _ in range(in_flight):
            limiter.ended(0)
        history.append(in_flight)
        in_flight = 0
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


def test_a_refused_request_gives_back_its_place_and_counts_for_the_day():
    clock = Clock()
    limiter = Limiter(requests_per_minute=6000, requests_per_day=3, max_concurrency=1, clock=clock)
    warm(limiter)
    clock.now += 1
    assert limiter.try_acquire(0) == 0
    assert math.isinf(limiter.try_acquire(0)), "one is in flight"
    limiter.quota_exceeded(clock.now, 10.0)
    limiter.ended(0)
    assert 10 <= limiter.try_acquire(0) < 12
    clock.now += 12
    assert limiter.try_acquire(0) == 0
    limiter.ended(0)
    with pytest.raises(QuotaError, match="requests_per_day"):
        limiter.try_acquire(0)


def test_pauses_are_counted_from_the_outage_that_they_are_of():
    """Doubled while refusals go on, and short again after a reply to a later request."""
    clock = Clock()
    limiter = Limiter(requests_per_minute=6000, clock=clock, rng=random.Random(1))
    warm(limiter)
    pauses = []
    for is_answered in (False, False, False, True, False):
        clock.now += 100
        if is_answered:
            succeed(limiter)
            continue
        limiter.quota_exceeded(clock.now, None)
        pauses.append(limiter.try_acquire(0))
    for pause, expected in zip(pauses, [1, 2, 4, 1], strict=True):
        assert 0.75 * expected <= pause <= 1.25 * expected


def test_replies_of_a_journal_from_the_future_count_for_a_day_and_no_longer():
    """As after the clock of the machine was set back."""
    clock = Clock()
    limiter = Limiter(requests_per_minute=6000, requests_per_day=1, clock=clock)
    limiter.count_earlier([-50_000.0])
    with pytest.raises(QuotaError, match="24 h 0 min"):
        limiter.try_acquire(0)
    clock.now += 86_401
    assert limiter.try_acquire(0) == 0


def test_a_clock_that_goes_back_lowers_no_rate():
    """The limiter's own clock is monotonic; replies may still come in another order."""
    clock = Clock()
    limiter = Limiter(requests_per_minute=6000, clock=clock, rng=random.Random(1))
    warm(limiter)
    clock.now += 100
    limiter.quota_exceeded(clock.now, None)
    lowered = limiter.requests_per_minute
    clock.now += 0.1  # within the pause, before which the rate was raised last
    succeed(limiter)
    assert limiter.requests_per_minute == lowered
    clock.now += 30
    succeed(limiter)
    assert limiter.requests_per_minute > lowered


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
