"""Outages over HTTP: silence, a share of requests refused, and connections that break off."""

import re
import threading

import pytest

from service_llm.errors import QuotaError, UnreachableError
from standin.server import serve
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, gemini_error, words
from tests.service_llm.test_batch import requests

REFUSALS = {
    "503": gemini_error(503, "UNAVAILABLE", "The model is overloaded."),
    "429": gemini_error(429, "RESOURCE_EXHAUSTED", "Resource exhausted."),
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """After a refusal that names no time to wait; how they grow is shown in simulated time."""
    monkeypatch.setattr("service_llm.pacing.rate._FIRST_PAUSE", 0.005)
    monkeypatch.setattr("service_llm.pacing.rate._LONGEST_PAUSE", 0.02)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_reply_that_does_not_come_is_asked_for_again(ask, server, provider):
    over = threading.Event()

    def respond(body, number):
        if number == 1:
            over.wait(20)
        return GOOD[provider]

    server.respond = respond
    results, usage = ask(words(3), timeout_seconds=0.3, **PROVIDERS[provider])
    over.set()
    assert [result.value for result in results] == [Word(word="a")] * 3
    assert len(server.bodies) >= 4
    assert usage.calls == 3


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_service_that_never_answers_ends_the_run(ask, server, provider):
    over = threading.Event()
    server.respond = lambda body, number: (over.wait(20), GOOD[provider])[1]
    options = {"max_attempts": 1, "timeout_seconds": 0.5, "give_up_after_seconds": 1}
    with pytest.raises(UnreachableError, match=r"did not answer.*sent \d+ times.*same command"):
        ask(words(3), **options, **PROVIDERS[provider])
    over.set()
    assert len(server.bodies) > 1, "not by the number of attempts"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", REFUSALS)
def test_a_service_that_always_refuses_ends_the_run(ask, server, provider, status):
    server.respond = lambda body, number: REFUSALS[status]
    error = QuotaError if status == "429" else UnreachableError
    with pytest.raises(error, match=rf"{status} .*sent \d+ times.*same command"):
        ask(words(3), max_attempts=1, give_up_after_seconds=0.2, **PROVIDERS[provider])
    assert len(server.bodies) > 1


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", REFUSALS)
def test_an_outage_at_the_start_is_told_and_sat_out(
    ask, server, provider, status, monkeypatch, caplog
):
    """How often, and after how many seconds, is shown in simulated time."""
    monkeypatch.setattr("service_llm.pacing.patience._REPORT_SECONDS", 0.0)
    caplog.set_level("INFO", "understudy.progress")
    server.respond = lambda body, number: REFUSALS[status] if number <= 4 else GOOD[provider]
    options = {"max_attempts": 2, "give_up_after_seconds": 60, "model": "m", **PROVIDERS[provider]}
    results, _ = ask(words(3), **options)
    assert [result.error for result in results] == [None] * 3
    told = [r.getMessage() for r in caplog.records if r.name == "understudy.progress"]
    *waits, last = [text for text in told if "the quota is exceeded" not in text]
    said = REFUSALS[status][1]["error"]["message"].removesuffix(".")
    assert len(waits) == 4
    for text in waits:
        assert re.fullmatch(
            rf"no reply for \d+ s \(.*{status}.*{said}.*\); trying until 60 s", text
        )
    assert last == "m answers again"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", REFUSALS)
def test_a_run_in_which_half_of_all_requests_are_refused_ends(ask, server, provider, status):
    server.respond = lambda body, number: GOOD[provider] if number % 2 else REFUSALS[status]
    options = {"max_attempts": 2, "give_up_after_seconds": 60, **PROVIDERS[provider]}
    results, usage = ask(words(40), **options)
    assert [result.error for result in results] == [None] * 40
    assert usage.calls == 40
    assert len(server.bodies) in (79, 80)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_connections_that_break_off_lose_no_row_and_cost_nothing_twice(ask, provider):
    with serve(faults={"disconnect": 0.3}) as server:
        url = f"{server.url}/v1" if provider == "openai" else server.url
        results, usage = ask(
            requests(50),
            model="stand-in-1",
            base_url=url,
            give_up_after_seconds=60,
            **PROVIDERS[provider],
        )
        stats = server.stats()
    assert stats["faults"]["disconnect"] > 5
    assert [result.error for result in results] == [None] * 50
    assert usage.calls == stats["answered"] == 50
