"""What goes wrong over real HTTP: what stops a run, what is sent again, and what is kept."""

import json
import threading

import pytest

from service_llm.client import open_service_llm
from service_llm.errors import (
    AuthenticationError,
    BadRequestError,
    QuotaError,
    UnreachableError,
)
from service_llm.pacing.limiter import Limiter, limiter_for
from service_llm.types import Request
from tests.service_llm.conftest import (
    Word,
    gemini_error,
    gemini_reply,
    prompt_of,
    words,
)

RESUME = "run the same command again to go on"


def retry_info(delay):
    return [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]


def quota_error(delay):
    return gemini_error(429, "RESOURCE_EXHAUSTED", details=retry_info(delay))


@pytest.mark.parametrize(
    ("reply", "error", "hint"),
    [
        (gemini_error(401, "UNAUTHENTICATED"), AuthenticationError, "API key"),
        (gemini_error(403, "PERMISSION_DENIED"), AuthenticationError, "credentials"),
        (
            gemini_error(400, "INVALID_ARGUMENT", "API key not valid. Pass a valid API key."),
            AuthenticationError,
            "API key",
        ),
        (gemini_error(400, "INVALID_ARGUMENT", "odd"), BadRequestError, "odd"),
        (gemini_error(404, "NOT_FOUND", "no such model"), BadRequestError, "model's name"),
    ],
)
def test_what_cannot_be_mended_by_waiting_stops_at_once(ask, server, reply, error, hint):
    server.respond = lambda body, number: reply
    with pytest.raises(error, match=f"{hint}.*{RESUME}"):
        ask(words(50))
    assert len(server.bodies) == 1, "not even the requests beside it were sent"


@pytest.mark.parametrize(
    "reply",
    [
        gemini_error(503, "UNAVAILABLE"),
        gemini_error(500, "INTERNAL"),
        gemini_error(408, "CANCELLED"),
        gemini_error(499, "CANCELLED", "The operation was cancelled."),
        (498, {"error": {"message": "At capacity", "type": "capacity_exceeded"}}),
        (502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}),
        quota_error("0.1s"),
    ],
    ids=lambda reply: str(reply[0]),
)
def test_what_waiting_mends_is_sent_again(ask, server, reply):
    server.respond = lambda body, number: (
        reply if number < 3 else gemini_reply(json.dumps({"word": "a"}))
    )
    (result,), usage = ask([Request("word", Word)], give_up_after_seconds=60)
    assert result.value == Word(word="a")
    assert (len(server.bodies), usage.calls) == (3, 1)


def test_every_attempt_takes_a_permit(ask, server, monkeypatch):
    permits = []
    try_acquire = Limiter.try_acquire

    def counted(self, tokens):
        wait = try_acquire(self, tokens)
        permits.extend([tokens] if wait == 0 else [])
        return wait

    monkeypatch.setattr(Limiter, "try_acquire", counted)

    def respond(body, number):
        if number % 4 == 1:
            return gemini_error(503, "UNAVAILABLE")
        if number % 4 == 2:
            return quota_error("0.01s")
        return gemini_reply("no JSON" if number % 4 == 3 else '{"word": "a"}')

    server.respond = respond
    results, _ = ask(words(6), max_attempts=20, max_concurrency=1)
    assert all(result.value for result in results)
    assert len(permits) == len(server.bodies) == 24


def test_generator_and_judge_share_one_pace(tmp_path, settings, server, monkeypatch):
    """Both at once, as two threads: permits come from one limiter, as many as requests arrive."""
    shared = limiter_for(settings())
    permits = []
    try_acquire = shared.try_acquire

    def counted(tokens):
        wait = try_acquire(tokens)
        permits.extend([threading.current_thread().name] if wait == 0 else [])
        return wait

    monkeypatch.setattr(shared, "try_acquire", counted)
    journal = str(tmp_path)
    with (
        open_service_llm(settings(), journal_uri=journal, component="SynthDataGen", round=1) as gen,
        open_service_llm(
            settings(budget_usd=5), journal_uri=journal, component="LLMEvaluator", round=1
        ) as judge,
    ):
        threads = [
            threading.Thread(target=lambda llm=llm, i=i: list(llm.map(words(20, index=i))))
            for i, llm in enumerate((gen, judge))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(permits) == len(server.bodies) == 40
    assert len(set(permits)) == 2, "each has a thread of its own"


@pytest.mark.parametrize(
    ("reply", "error", "hint"),
    [
        (gemini_error(503, "UNAVAILABLE"), UnreachableError, "service runs"),
        (gemini_error(500, "INTERNAL"), UnreachableError, "service runs"),
        (quota_error("0.01s"), QuotaError, "requests_per_minute"),
        (gemini_error(429, "RESOURCE_EXHAUSTED"), QuotaError, "requests_per_minute"),
    ],
    ids=["503", "500", "429", "429 without a time"],
)
def test_a_service_that_never_answers_is_given_up_in_time(ask, server, reply, error, hint):
    server.respond = lambda body, number: reply
    with pytest.raises(error, match=rf"sent \d+ times.*{hint}.*{RESUME}"):
        ask([Request("word", Word)], max_attempts=1, give_up_after_seconds=0.2)
    assert len(server.bodies) > 1, "not by the number of attempts"


def test_a_pause_of_hours_is_not_waited_for(ask, server):
    server.respond = lambda body, number: quota_error("43200s")
    with pytest.raises(QuotaError, match=RESUME):
        ask(words(5))
    assert len(server.bodies) == 1


def test_nobody_there(ask):
    with pytest.raises(UnreachableError, match=f"base_url.*{RESUME}"):
        ask([Request("word", Word)], base_url="http://127.0.0.1:9", max_attempts=2)


def test_the_requests_of_a_day_are_bounded_over_restarts(ask, server, monkeypatch):
    with pytest.raises(QuotaError, match="requests_per_day"):
        ask(words(5), requests_per_day=3)
    assert len(server.bodies) == 3
    # As in a new process: what was sent is known from the journal alone.
    monkeypatch.setattr("service_llm.pacing.limiter._limiters", {})
    with pytest.raises(QuotaError, match=r"the next may be sent in 2[34] h"):
        ask(words(5), requests_per_day=3)
    assert len(server.bodies) == 3
    _, usage = ask(words(5), requests_per_day=5)
    assert usage.calls == len(server.bodies) == 5


def test_a_limit_that_is_set_later_counts_what_was_sent_before(ask, server):
    ask(words(3))
    with pytest.raises(QuotaError, match="requests_per_day"):
        ask(words(9), requests_per_day=5)
    assert len(server.bodies) == 5


def test_an_overloaded_service_gets_fewer_requests_at_once(ask, server):
    in_flight, refused = [0], []
    lock = threading.Lock()
    pause = threading.Event()

    def respond(body, number):
        with lock:
            in_flight[0] += 1
            crowded = in_flight[0] > 4
            refused.append(crowded)
        pause.wait(0.01)
        with lock:
            in_flight[0] -= 1
        return gemini_error(503, "UNAVAILABLE") if crowded else gemini_reply('{"word": "a"}')

    server.respond = respond
    results, _ = ask(words(400), max_concurrency=64, give_up_after_seconds=600)
    assert all(result.value for result in results)
    early, late = refused[: len(refused) // 4], refused[-len(refused) // 4 :]
    late_share, early_share = sum(late) / len(late), sum(early) / len(early)
    assert late_share < 0.25
    assert late_share < early_share


def test_what_is_in_flight_when_a_run_stops_is_kept(ask, server):
    all_sent, stopped = threading.Event(), threading.Event()
    waiting = []

    def respond(body, number):
        if prompt_of(body) == "first":
            return gemini_reply('{"word": "a"}')
        if prompt_of(body) == "bad":
            all_sent.wait(20)
            return gemini_error(404, "NOT_FOUND")
        waiting.append(number)
        if len(waiting) == 3:
            all_sent.set()
        stopped.wait(20)  # the others answer after the bad request has failed
        return gemini_reply('{"word": "a"}')

    server.respond = respond
    release = threading.Timer(1.0, stopped.set)
    release.start()
    with pytest.raises(BadRequestError):
        ask([Request("first", Word), *words(3), Request("bad", Word)])
    release.join()
    sent = len(server.bodies)
    results, usage = ask(words(3))
    assert len(server.bodies) == sent, "all three replies were in the journal"
    assert [r.value.word for r in results] == ["a"] * 3
    assert usage.calls == 4
