"""Calls about batch jobs sit out an outage, and give up in time."""

import pytest

from service_llm.errors import QuotaError, TransientError, UnreachableError
from service_llm.pacing.persistence import Persistence
from service_llm.settings import ServiceLLMSettings


def persistence(waits, **changes):
    settings = ServiceLLMSettings(provider="openai", model="m", **changes)
    return Persistence(settings, waits.append)


def failing(times, error):
    left = [times]

    def call():
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return "done"

    return call


OVERLOADED = TransientError("503 overloaded", is_overload=True)
EXHAUSTED = TransientError("429", is_quota=True, wait_seconds=90.0)
NOBODY = TransientError("refused", is_unreachable=True)


def test_an_outage_is_sat_out_with_growing_pauses():
    waits = []
    assert persistence(waits).call(failing(9, OVERLOADED)) == "done"
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_each_pause_is_said_with_the_time_that_has_passed(caplog):
    caplog.set_level("INFO")
    assert persistence([], give_up_after_seconds=300).call(failing(3, OVERLOADED)) == "done"
    told = [r.getMessage() for r in caplog.records if r.name == "understudy.progress"]
    assert told == [
        "503 overloaded; no answer for 0 s, trying again in 1 s, until 300 s have passed",
        "503 overloaded; no answer for 1 s, trying again in 2 s, until 300 s have passed",
        "503 overloaded; no answer for 3 s, trying again in 4 s, until 300 s have passed",
    ]


def test_the_time_that_a_service_asks_for_is_waited():
    waits = []
    assert persistence(waits).call(failing(2, EXHAUSTED)) == "done"
    assert waits == [90, 90]


def test_a_service_that_asks_for_a_longer_pause_is_not_waited_for():
    waits = []
    calls = persistence(waits, give_up_after_seconds=10_000)
    with pytest.raises(QuotaError, match="sent 1 times"):
        calls.call(failing(1, TransientError("429", is_quota=True, wait_seconds=600.5)))
    assert waits == []
    longest = TransientError("429", is_quota=True, wait_seconds=600.0)
    assert calls.call(failing(1, longest)) == "done"
    assert waits == [600]


@pytest.mark.parametrize(
    ("error", "final"), [(OVERLOADED, UnreachableError), (EXHAUSTED, QuotaError)]
)
def test_a_service_that_never_answers_is_given_up(error, final):
    waits = []
    with pytest.raises(final, match=r"in 1\d min"):
        persistence(waits, give_up_after_seconds=600).call(failing(99, error))
    assert 600 <= sum(waits) < 700


def test_an_address_at_which_nobody_listens_is_given_up_sooner_unless_it_has_answered():
    waits = []
    calls = persistence(waits, max_attempts=3)
    with pytest.raises(UnreachableError, match="sent 3 times"):
        calls.call(failing(99, NOBODY))
    calls = persistence(waits, max_attempts=3)
    assert calls.call(failing(0, NOBODY)) == "done"
    assert calls.call(failing(8, NOBODY)) == "done"
