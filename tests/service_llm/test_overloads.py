"""Outages of 503 in simulated time: as many requests as before are in flight soon after them."""

import itertools
import random

import pytest

from service_llm.errors import TransientError
from service_llm.pacing.concurrency import Concurrency
from tests.service_llm.simulated_sender import simulate_sender

LIMIT = 300
OVERLOADED = TransientError("503 overloaded", is_overload=True)
UNREACHABLE = TransientError("nobody listens", is_unreachable=True)


def outage(begin, end, share=1.0, error=OVERLOADED):
    rng = random.Random(5)
    return lambda at: error if begin <= at < end and rng.random() < share else None


@pytest.mark.parametrize("latency", [2, 10])
@pytest.mark.parametrize("share", [0.4, 1.0])
@pytest.mark.parametrize(
    ("begin", "length"), [(0, 20), (0, 300), (90, 20), (90, 300)],
    ids=["short, at the start", "long, at the start", "short", "long"],
)  # fmt: skip
def test_the_rate_is_back_within_two_minutes(monkeypatch, begin, length, share, latency):
    """With 10 s a reply it were 40 a minute after four."""
    end = begin + length
    failure = outage(begin, end, share)
    options = {"per_minute": LIMIT, "latency": latency, "seconds": end + 180}
    answered, _ = simulate_sender(monkeypatch, failure, **options)
    assert len([at for at in answered if end + 120 <= at]) >= 0.85 * LIMIT


@pytest.mark.parametrize("latency", [2, 10])
@pytest.mark.parametrize("error", [OVERLOADED, UNREACHABLE], ids=str)
@pytest.mark.parametrize("length", [20, 300])
def test_one_outage_is_one_cut(monkeypatch, length, error, latency):
    failure = outage(90, 90 + length, error=error)
    options = {"per_minute": LIMIT, "latency": latency, "seconds": 90 + length}
    answered, windows = simulate_sender(monkeypatch, failure, **options)
    in_flight = LIMIT * latency / 60
    assert len([at for at in answered if at < 90]) > 0
    assert sum(after < before for (_, before), (_, after) in itertools.pairwise(windows)) == 1
    assert 0.5 * in_flight < windows[-1][1] < in_flight, "0.49 with a second one"


def test_an_outage_at_the_start_is_no_cut(monkeypatch):
    """How many the service copes with is not known yet: one at a time was sent."""
    options = {"per_minute": LIMIT, "latency": 2, "seconds": 60}
    _, windows = simulate_sender(monkeypatch, outage(0, 20), **options)
    assert {window for _, window in windows} == {1, 2048}


def test_a_service_that_is_too_slow_for_so_many_gets_fewer_although_it_answers_none():
    window = Concurrency(64)
    for now in range(200):
        in_flight = window.window
        for _ in range(in_flight):
            window.started()
        for _ in range(in_flight):
            window.failed(now, is_outage=False)
            window.ended()
    assert window.window == 1
