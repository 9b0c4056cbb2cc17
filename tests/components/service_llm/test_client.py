"""The client over real HTTP: what is sent, what is paid for, what is retried and what is kept."""

import json
import threading

import pytest

from components.service_llm.attempts import MALFORMED_TRIES
from components.service_llm.client import open_service_llm
from components.service_llm.errors import (
    AuthenticationError,
    BadRequestError,
    BudgetError,
    QuotaError,
    ServiceLLMError,
    UnreachableError,
)
from components.service_llm.types import Request, Usage
from tests.components.service_llm.conftest import (
    Word,
    Words,
    gemini_error,
    gemini_reply,
    prompt_of,
)


def words(count, **fields):
    return [Request(f"word {number}", Word, **fields) for number in range(count)]


def test_replies_are_values_of_the_schema(ask, server):
    results, usage = ask(words(5))
    assert [result.value for result in results] == [Word(word=f"word {n}") for n in range(5)]
    assert usage == Usage(5, 50, 25, pytest.approx((50 * 0.30 + 25 * 2.50) / 1e6))
    config = server.bodies[0]["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert set(config["responseSchema"]["properties"]) == {"word"}


def test_what_was_answered_once_is_never_sent_again(ask, server):
    first, usage = ask(words(5))
    again, usage_again = ask(words(6))
    assert len(server.bodies) == 6
    assert [r.value for r in again[:5]] == [r.value for r in first]
    assert [r.from_journal for r in again] == [True] * 5 + [False]
    assert usage.calls == 5
    assert usage_again.calls == 6, "usage counts over interruptions"


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "another"},
        {"schema": Words},
        {"system": "be brief"},
        {"temperature": 0.5},
        {"max_output_tokens": 99},
        {"index": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_request_is_another_key(ask, server, change):
    fields = {"prompt": "word", "schema": Word}
    server.respond = lambda body, number: gemini_reply(
        '{"words": ["a"]}'
        if "words" in body["generationConfig"]["responseSchema"]["properties"]
        else '{"word": "a"}'
    )
    ask([Request(**fields)])
    ask([Request(**fields | change)])
    assert len(server.bodies) == 2
    ask([Request(**fields | {"tag": "other"})])
    assert len(server.bodies) == 2, "the tag is the caller's and no part of the key"


def test_another_model_is_another_key(ask, server):
    ask(words(1))
    ask(words(1), model="gemini-2.5-pro")
    assert len(server.bodies) == 2


def test_usage_is_counted_by_component_and_round(ask):
    ask(words(3))
    _, judge = ask(words(2, index=1), component="LLMEvaluator")
    _, second = ask(words(4, index=2), round=2)
    assert (judge.calls, second.calls) == (2, 4)


MALFORMED = [
    "",
    "word",
    '{"word": "a"',
    '{"word": "a",}',
    "{'word': 'a'}",
    '```json\n{"word": "a"}\n```',
    'Here it is: {"word": "a"}',
    '{"word": 1}',
    '{"words": "a"}',
    '["a"]',
    '{"word": null}',
    '{"word": {"word": "a"}}',
    '{"word": "a"} {"word": "b"}',
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_reply_is_asked_for_again_with_a_fresh_prompt(ask, server, text):
    server.respond = lambda body, number: gemini_reply(text if number == 1 else '{"word": "a"}')
    (result,), usage = ask([Request("word", Word)])
    assert result.value == Word(word="a")
    assert len(set(server.prompts)) == 2
    assert server.prompts[1].startswith("word\n")
    seeds = {body["generationConfig"]["seed"] for body in server.bodies}
    assert len(seeds) == 2
    assert usage.calls == 2, "both were paid for"
    ask([Request("word", Word)])
    assert len(server.bodies) == 2


def test_a_reply_that_stays_malformed_is_given_up_and_not_kept_as_an_answer(ask, server):
    server.respond = lambda body, number: gemini_reply("no JSON")
    (result,), usage = ask([Request("word", Word)])
    assert (result.value, result.error, result.raw) == (None, "bad_output", "no JSON")
    assert usage.calls == len(server.bodies) == MALFORMED_TRIES
    server.respond = lambda body, number: gemini_reply('{"word": "a"}')
    (result,), _ = ask([Request("word", Word)])
    assert result.value == Word(word="a")


def test_a_refusal_is_a_result_and_not_kept_as_an_answer(ask, server):
    server.respond = lambda body, number: gemini_reply("", "SAFETY")
    (result,), _ = ask([Request("word", Word)])
    assert (result.value, result.error) == (None, "refused")
    server.respond = lambda body, number: (200, {"promptFeedback": {"blockReason": "SAFETY"}})
    (result,), _ = ask([Request("word", Word)])
    assert (result.error, len(server.bodies)) == ("refused", 2)


def test_of_a_truncated_list_the_complete_items_are_kept(ask, server):
    server.respond = lambda body, number: gemini_reply('{"words": ["a", "b", "c', "MAX_TOKENS")
    (result,), _ = ask([Request("words", Words)])
    assert (result.value, result.error) == (Words(words=["a", "b"]), "truncated")
    ask([Request("words", Words)])
    assert len(server.bodies) == 2, "a truncated reply is no answer to be served again"


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
    with pytest.raises(error, match=hint):
        ask([Request("word", Word)])
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "reply",
    [
        gemini_error(503, "UNAVAILABLE"),
        gemini_error(500, "INTERNAL"),
        gemini_error(
            429,
            "RESOURCE_EXHAUSTED",
            details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.1s"}],
        ),
    ],
)
def test_what_waiting_mends_is_sent_again(ask, server, reply):
    server.respond = lambda body, number: (
        reply if number < 3 else gemini_reply(json.dumps({"word": "a"}))
    )
    (result,), usage = ask([Request("word", Word)])
    assert result.value == Word(word="a")
    assert (len(server.bodies), usage.calls) == (3, 1)


def test_attempts_are_bounded(ask, server):
    server.respond = lambda body, number: gemini_error(503, "UNAVAILABLE")
    with pytest.raises(UnreachableError, match="sent 3 times"):
        ask([Request("word", Word)], max_attempts=3)
    assert len(server.bodies) == 3
    quota = gemini_error(
        429,
        "RESOURCE_EXHAUSTED",
        details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}],
    )
    server.respond = lambda body, number: quota
    with pytest.raises(QuotaError, match="requests_per_minute"):
        ask([Request("word", Word)], max_attempts=2)


def test_nobody_there(ask):
    with pytest.raises(UnreachableError, match="base_url"):
        ask([Request("word", Word)], base_url="http://127.0.0.1:9", max_attempts=2)


def test_the_requests_of_a_day_are_bounded(ask, server):
    with pytest.raises(QuotaError, match="requests_per_day"):
        ask(words(5), requests_per_day=3)
    assert len(server.bodies) == 3


def test_what_is_under_way_when_a_run_stops_is_kept(ask, server):
    others = threading.Barrier(4, timeout=20)

    def respond(body, number):
        if prompt_of(body) == "bad":
            return gemini_error(400, "INVALID_ARGUMENT")
        others.wait()  # the others answer after the bad request has failed
        return gemini_reply('{"word": "a"}')

    server.respond = respond
    requests = [*words(3), Request("bad", Word)]
    release = threading.Timer(1.0, others.wait)
    release.start()
    with pytest.raises(BadRequestError):
        ask(requests)
    release.join()
    sent = len(server.bodies)
    results, usage = ask(words(3))
    assert len(server.bodies) == sent, "all three replies were in the journal"
    assert [r.value.word for r in results] == ["a"] * 3
    assert usage.calls == 3


def test_the_budget_stops_new_requests_and_says_so(ask, server):
    server.respond = lambda body, number: gemini_reply('{"word": "a"}', output_tokens=400_000)
    with pytest.raises(BudgetError, match=r"budget_usd"):
        ask(words(9), budget_usd=2.5, max_concurrency=1)  # a reply costs 1 USD
    assert len(server.bodies) == 3
    with pytest.raises(BudgetError):
        ask(words(9), budget_usd=2.5)
    assert len(server.bodies) == 3, "what was spent before counts"


def test_a_budget_needs_a_price(ask):
    with pytest.raises(ServiceLLMError, match=r"service_llm\.price"):
        ask(words(1), model="my-own-model", budget_usd=1)


def test_tokens_of_a_model_without_a_price_are_counted(ask):
    _, usage = ask(words(2), model="my-own-model")
    assert usage == Usage(2, 20, 10, None)


def test_requests_are_taken_one_by_one_as_there_is_room(tmp_path, settings):
    taken = []

    def source():
        for request in words(200):
            taken.append(request)
            yield request

    with open_service_llm(
        settings(max_concurrency=8), journal_uri=str(tmp_path), component="c", round=1
    ) as llm:
        for done, _ in enumerate(llm.map(source()), start=1):
            assert len(taken) <= done + 8
    assert len(taken) == 200


def test_a_caller_may_stop_early(tmp_path, settings, server):
    with open_service_llm(
        settings(max_concurrency=2), journal_uri=str(tmp_path), component="c", round=1
    ) as llm:
        results = llm.map(words(50))
        next(results)
        results.close()
        assert len(server.bodies) <= 4
        assert [r.value for r in llm.map(words(1))] == [Word(word="word 0")]


def test_the_key_is_sent_and_left_nowhere(ask, server, tmp_path, monkeypatch, caplog):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("A_KEY", "s3cret-key")
    ask(words(1), api_key_env="A_KEY")
    assert server.headers[0]["x-goog-api-key"] == "s3cret-key"
    server.respond = lambda body, number: gemini_error(403, "PERMISSION_DENIED")
    with pytest.raises(AuthenticationError) as caught:
        ask(words(2), api_key_env="A_KEY")
    assert "s3cret-key" not in str(caught.value) + caplog.text
    assert all(b"s3cret-key" not in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


def test_a_key_that_is_not_there(ask, server, monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(AuthenticationError, match="Export A_KEY="):
        ask(words(1), api_key_env="A_KEY")
    assert server.bodies == []


def test_prompts_are_not_logged(ask, caplog):
    caplog.set_level("INFO")
    ask([Request("a very private prompt", Word)])
    assert "private" not in caplog.text
