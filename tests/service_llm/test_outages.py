"""Outages in simulated time: one is one cut, and the rate comes back soon after it."""

import random

import pytest

from service_llm.errors import QuotaError, RejectedError, TransientError, UnreachableError
from service_llm.pacing.limiter import USED_SHARE, Limiter
from service_llm.pacing.patience import Patience, Trouble
from service_llm.settings import ServiceLLMSettings
from tests.service_llm.simulated_time import Clock, simulate, succeed, warm

START = 1000.0
LIMIT = 300


class SharedQuota:
    """Refuses, without a time to wait, while capacity is short: as Vertex AI does.

    https://github.com/google-gemini/gemini-cli/issues/14811
    """

    def __init__(self, clock, *outages, share=1.0, luck=5):
        self.clock = clock
        self.outages = outages
        self.share = share
        self.rng = random.Random(luck)
        self.refused = 0

    def wait_for(self, tokens):
        short = any(begin <= self.clock.now - START < end for begin, end in self.outages)
        if short and self.rng.random() < self.share:
            self.refused += 1
            return None
        return 0.0


def run(*outages, seconds=3600, count=float("inf"), share=1.0, seed=1, luck=5):
    clock = Clock()
    limiter = Limiter(
        requests_per_minute=LIMIT, max_concurrency=4096, clock=clock, rng=random.Random(seed)
    )
    server = SharedQuota(clock, *outages, share=share, luck=luck)
    rates = []
    answered = simulate(
        limiter,
        clock,
        server,
        latency=2,
        seconds=seconds,
        count=count,
        watch=lambda: rates.append((clock.now - START, limiter.requests_per_minute)),
    )
    return [at - START for at in answered], rates, server


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("begin", [0, 10, 90])
def test_two_thousand_requests_take_eight_minutes_in_spite_of_an_outage(begin, seed):
    answered, _, server = run((begin, begin + 20), count=2000, seed=seed)
    assert server.refused > 0
    assert answered[-1] / 60 < 2000 / LIMIT + 1.5, "7 minutes without, and not 59"


@pytest.mark.parametrize("length", [1, 20, 120])
def test_one_outage_is_one_cut(length):
    _, rates, server = run((90, 90 + length), seconds=90 + length + 60)
    lowered = {rate for at, rate in rates if 90 <= at < 90 + length}
    assert {round(rate / (LIMIT * USED_SHARE), 6) for rate in lowered} <= {1.0, 0.7}
    assert server.refused < 40, "what was under way, and then one after each pause"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("length", [5, 60, 300])
def test_the_rate_is_back_within_two_minutes(length, share, seed):
    """Also after an outage in which some requests were answered all the time."""
    end = 90 + length
    answered, rates, _ = run((90, end), seconds=end + 240, share=share, seed=seed)
    after = [rate for at, rate in rates if at >= end + 120]
    assert min(after) >= 0.85 * LIMIT
    minute = [at for at in answered if end + 120 <= at < end + 180]
    assert len(minute) >= 0.85 * LIMIT


def test_outages_that_come_again_are_cut_and_recovered_from_again():
    answered, rates, _ = run((90, 110), (300, 320), (500, 520), seconds=700)
    assert len([at for at in answered if 380 <= at < 440]) >= 0.85 * LIMIT
    assert rates[-1][1] >= 0.85 * LIMIT


@pytest.mark.parametrize(("share", "minutes"), [(0.02, 9), (0.2, 20), (0.5, 75)])
def test_a_run_in_which_a_share_of_all_requests_is_refused_still_ends(share, minutes):
    answered, rates, _ = run((0, 1e9), count=2000, share=share, seconds=2 * 3600)
    assert len(answered) == 2000
    assert answered[-1] / 60 < minutes
    assert min(rate for _, rate in rates) >= 0.29 * LIMIT


def test_pauses_grow_while_all_is_refused_and_are_never_the_same():
    pauses = []
    for seed in range(4):
        clock = Clock()
        limiter = Limiter(requests_per_minute=LIMIT, clock=clock, rng=random.Random(seed))
        warm(limiter)
        for _ in range(7):
            clock.now += 0.01
            limiter.quota_exceeded(clock.now, None)
            pauses.append(limiter.try_acquire(0))
            clock.now += pauses[-1]
    assert len(set(pauses)) == 28
    for run_ in (pauses[start : start + 7] for start in range(0, 28, 7)):
        for number, pause in enumerate(run_):
            assert 0.7 * min(2**number, 30) <= pause <= 1.3 * min(2**number, 30)


def patience(clock, **changes):
    values = {"max_attempts": 6, "give_up_after_seconds": 600, "retry_seconds": 1.0}
    return Patience(model="m", clock=clock, **values | changes)


FAILURES = {
    "503": TransientError("503 overloaded", is_overload=True),
    "429": TransientError("429 exhausted", is_quota=True),
    "500": TransientError("500 internal"),
}


def test_a_service_is_waited_for_ten_minutes_unless_set_otherwise():
    assert ServiceLLMSettings(provider="openai", model="m").give_up_after_seconds == 600


@pytest.mark.parametrize("error", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("answered", [0, 50], ids=["at a start", "later"])
def test_an_outage_of_nine_minutes_is_sat_out_and_one_of_eleven_is_not(error, answered):
    clock = Clock()
    waits = patience(clock)
    for _ in range(answered):
        waits.answered()
    troubles = [Trouble(successes=answered) for _ in range(8)]

    def keep_trying(seconds):
        while clock.now - START < seconds:
            clock.now += max(waits.seconds_after(trouble, error) for trouble in troubles)

    keep_trying(540)
    with pytest.raises((QuotaError, UnreachableError), match=r"sent \d+ times in 1\d min"):
        keep_trying(700)
    waits = patience(clock)
    assert waits.seconds_after(Trouble(), error) >= 1.0, "a next one begins anew"


def fail_until_given_up(clock, waits, error):
    """One request after the other, as where one may be in flight at a time."""
    trouble = Trouble(successes=waits.successes)
    while True:
        clock.now += waits.seconds_after(trouble, error)


@pytest.mark.parametrize("error", FAILURES.values(), ids=FAILURES)
def test_a_few_rows_left_that_always_fail_are_set_aside_and_more_are_an_outage(error):
    clock = Clock()
    waits = patience(clock)
    for _ in range(8):
        waits.answered()
        waits.known()
    for _ in range(5):
        with pytest.raises(RejectedError):
            fail_until_given_up(clock, waits, error)
    assert clock.now - START < 15 * 60, "the time of an outage is waited once"
    with pytest.raises((QuotaError, UnreachableError)):
        fail_until_given_up(clock, waits, error)


def test_no_more_rows_are_set_aside_in_silence_than_were_answered():
    clock = Clock()
    waits = patience(clock)
    waits.answered()
    with pytest.raises(RejectedError):
        fail_until_given_up(clock, waits, FAILURES["503"])
    with pytest.raises(UnreachableError):
        fail_until_given_up(clock, waits, FAILURES["503"])


@pytest.mark.parametrize("error", FAILURES.values(), ids=FAILURES)
def test_what_happens_and_for_how_long_is_said(caplog, error):
    caplog.set_level("INFO", "understudy.progress")
    clock = Clock()
    waits = patience(clock)
    trouble = Trouble()
    silent = []
    for _ in range(8):
        silent.append(f"no reply for {clock.now - START:.0f} s ({error}); trying until 600 s")
        clock.now += waits.seconds_after(trouble, error)
    waits.answered()
    *told, last = [r.getMessage() for r in caplog.records if r.name == "understudy.progress"]
    assert last == "m answers again"
    assert 2 <= len(told) < 8, "not at every refusal"
    assert set(told) <= set(silent)


def test_a_request_is_given_up_while_others_are_answered():
    clock = Clock()
    waits = patience(clock)
    trouble = Trouble()
    for _ in range(5):
        clock.now += waits.seconds_after(trouble, FAILURES["500"])
        waits.answered()
    with pytest.raises(RejectedError, match="500 internal"):
        waits.seconds_after(trouble, FAILURES["500"])


def test_the_last_failure_of_an_outage_sets_no_row_aside():
    """It may come after the first reply: requests that are in flight end in any order."""
    clock = Clock()
    waits = patience(clock, max_attempts=2)
    trouble = Trouble()
    for _ in range(5):
        clock.now += waits.seconds_after(trouble, FAILURES["500"])
    waits.answered()
    clock.now += waits.seconds_after(trouble, FAILURES["500"])
    waits.answered()
    with pytest.raises(RejectedError, match="500 internal"):
        waits.seconds_after(trouble, FAILURES["500"])


def test_a_quota_gives_no_request_up_while_others_are_answered():
    clock = Clock()
    waits = patience(clock)
    trouble = Trouble()
    for _ in range(100):
        clock.now += 60 + waits.seconds_after(trouble, FAILURES["429"])
        waits.answered()


def test_a_reply_ends_the_outage_for_all():
    clock = Clock()
    waits = patience(clock)
    first, second = Trouble(), Trouble()
    waits.seconds_after(first, FAILURES["503"])
    clock.now += 599
    waits.answered()
    clock.now += 599
    assert waits.seconds_after(second, FAILURES["503"]) > 0


def test_a_refusal_with_a_time_to_wait_still_settles_below_the_quota():
    clock = Clock()
    limiter = Limiter(requests_per_minute=LIMIT, clock=clock)
    warm(limiter)
    limiter.quota_exceeded(clock.now, 5.0)
    lowered = limiter.requests_per_minute
    clock.now += 30
    succeed(limiter)
    assert limiter.requests_per_minute == lowered, "a known quota is not tried again at once"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "(sent 3 times.)"), (59, "(sent 3 times.)"), (60, "in 1 min.)")]
)
def test_for_how_long_it_was_tried_is_said_from_a_minute_on(seconds, text):
    error = TransientError("m: 503.").final(3, seconds)
    assert str(error).startswith("m: 503. (sent 3 times")
    assert text in str(error)
