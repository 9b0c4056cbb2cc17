"""The machine's clock jumps by days at every look, forward and back; nothing is lost or repeated.

What measures time uses the clock that only goes forward; the other one is written into files.
"""

import random
import time

import pytest

from service_llm.journal.journal import Journal
from tests.service_llm.conftest import gemini_error, words

DAY = 86_400


@pytest.fixture
def jumps(monkeypatch):
    """From now on every look at the clock shows another year, back to 1970."""

    def jumps(seed):
        rng = random.Random(seed)
        monkeypatch.setattr(time, "time", lambda: rng.uniform(0, 80 * 365) * DAY)
        monkeypatch.setattr(time, "time_ns", lambda: int(rng.uniform(0, 80 * 365) * DAY * 1e9))

    return jumps


@pytest.mark.parametrize("seed", range(3))
def test_replies_are_kept_and_found_again(ask, server, jumps, seed):
    jumps(seed)
    respond = server.respond
    failed = []

    def sometimes(body, number):
        if number % 7 == 3:
            failed.append(number)
            return gemini_error(503, "UNAVAILABLE")
        return respond(body, number)

    server.respond = sometimes
    first, usage = ask(words(30), requests_per_day=1000)
    again, _ = ask(words(30), requests_per_day=1000)
    assert [result.value.word for result in first] == [f"word {n}" for n in range(30)]
    assert [result.value for result in again] == [result.value for result in first]
    assert all(result.from_journal for result in again)
    assert (len(server.bodies), usage.calls) == (30 + len(failed), 30)
    assert failed


@pytest.mark.parametrize("seed", range(3))
def test_the_requests_of_a_day_are_at_most_those_that_were_sent(ask, jumps, tmp_path, seed):
    jumps(seed)
    ask(words(20))
    journal = Journal(str(tmp_path / "journal"))
    ages = [age for service in journal._earlier for age in journal.earlier(service)]
    journal.close()
    assert len(ages) <= 20
