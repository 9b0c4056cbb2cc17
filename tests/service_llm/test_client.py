"""The client over real HTTP: what is sent, what is paid for, what is retried and what is kept."""

import threading

import pytest

from service_llm.client import open_service_llm
from service_llm.errors import BadOutputError, BudgetError, RefusedError
from service_llm.journal.journal import Journal
from service_llm.reply_parser import MALFORMED_TRIES
from service_llm.types import Request, Usage
from tests.service_llm.conftest import Word, Words, gemini_reply, openai_reply, words


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


def test_a_replys_seconds_are_kept_and_come_back_from_the_journal(ask, server):
    first, _ = ask(words(3))
    again, _ = ask(words(3))
    seconds = [result.reply.seconds for result in first]
    assert all(value > 0 for value in seconds)
    assert [result.reply.seconds for result in again] == seconds
    assert [result.reply.output_tokens for result in again] == [5, 5, 5]


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


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gemini-2.5-pro"},
        {"model_version": "2026-10"},
        {"thinking": 128},
        {"vertex_project": None, "base_url": "env:THE_SAME_SERVER"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_model_is_another_key(ask, server, monkeypatch, change):
    monkeypatch.setenv("THE_SAME_SERVER", server.url)
    ask(words(1))
    ask(words(1), **change)
    assert len(server.bodies) == 2


def test_another_provider_is_another_key(ask, server):
    def respond(body, number):
        return (
            openai_reply('{"word": "a"}') if "messages" in body else gemini_reply('{"word": "a"}')
        )

    server.respond = respond
    ask(words(1))
    ask(words(1), provider="openai")
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"requests_per_minute": 6000},
        {"max_concurrency": 3},
        {"timeout_seconds": 9},
        {"api_key_env": "A_KEY"},
        {"budget_usd": 100},
        {"log_prompts": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_no_reply_depends_on_is_no_part_of_the_key(ask, server, monkeypatch, change):
    monkeypatch.setenv("A_KEY", "key")
    ask(words(1))
    ask(words(1), **change)
    assert len(server.bodies) == 1


def test_what_the_model_thinks_has_room_of_its_own(ask, server):
    request = Request("word", Word, max_output_tokens=100)
    for thinking in (0, 512, "low", None):
        ask([request], thinking=thinking)
    configs = [body["generationConfig"] for body in server.bodies]
    assert [config.get("thinkingConfig") for config in configs] == [
        {"thinking_budget": 0}, {"thinking_budget": 512}, {"thinking_level": "LOW"}, None,
    ]  # fmt: skip
    assert [config["maxOutputTokens"] for config in configs] == [100, 612, 8292, 8292]


MALFORMED = [
    "",
    "word",
    '{"word": "a"',
    '{"word": "a",}',
    "{'word': 'a'}",
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
    with pytest.raises(BadOutputError, match="JSON of a schema"):
        result.required()
    assert usage.calls == len(server.bodies) == MALFORMED_TRIES
    server.respond = lambda body, number: gemini_reply('{"word": "a"}')
    (result,), _ = ask([Request("word", Word)])
    assert result.value == Word(word="a")


def test_a_refusal_is_a_result_and_not_kept_as_an_answer(ask, server):
    server.respond = lambda body, number: gemini_reply("", "SAFETY")
    (result,), _ = ask([Request("word", Word)])
    assert (result.value, result.error) == (None, "refused")
    with pytest.raises(RefusedError, match="seeds, or use another model"):
        result.required()
    server.respond = lambda body, number: (200, {"promptFeedback": {"blockReason": "SAFETY"}})
    (result,), _ = ask([Request("word", Word)])
    assert (result.error, len(server.bodies)) == ("refused", 2)


@pytest.mark.parametrize(
    "reply",
    [(200, {"candidates": []}), (200, {}), gemini_reply("", "OTHER"), gemini_reply("", "LANGUAGE")],
    ids=str,
)
def test_a_reply_without_any_text_is_asked_for_again(ask, server, reply):
    server.respond = lambda body, number: reply if number == 1 else gemini_reply('{"word": "a"}')
    (result,), _ = ask([Request("word", Word)])
    assert result.value == Word(word="a")


def test_thoughts_are_no_part_of_the_answer_but_of_the_bill(ask, server):
    def respond(body, number):
        status, reply = gemini_reply('{"word": "a"}')
        parts = reply["candidates"][0]["content"]["parts"]
        parts.insert(0, {"text": "let me think", "thought": True})
        reply["usageMetadata"]["thoughtsTokenCount"] = 300
        return status, reply

    server.respond = respond
    (result,), usage = ask([Request("word", Word)])
    assert (result.value, usage.output_tokens) == (Word(word="a"), 305)


def test_halves_of_surrogate_pairs_do_no_harm(ask, server):
    server.respond = lambda body, number: (
        gemini_reply("\ud800") if number == 1 else gemini_reply('{"word": "a"}')
    )
    (result,), _ = ask([Request("odd \udfff prompt", Word)])
    assert result.value == Word(word="a")
    ask([Request("odd \udfff prompt", Word)])
    assert len(server.bodies) == 2


def test_of_a_truncated_list_the_complete_items_are_kept(ask, server):
    server.respond = lambda body, number: gemini_reply('{"words": ["a", "b", "c', "MAX_TOKENS")
    (result,), _ = ask([Request("words", Words)])
    assert (result.value, result.error) == (Words(words=["a", "b"]), "truncated")
    ask([Request("words", Words)])
    assert len(server.bodies) == 2, "a truncated reply is no answer to be served again"


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


def test_no_second_request_is_sent_before_the_first_reply_is_kept(ask, server, monkeypatch):
    """Else a journal that cannot be written costs more than one reply, whoever asked before."""
    ask(words(3))
    append, sent = Journal.append, []

    def counted(self, entry):
        sent.append(len(server.bodies) - 3)
        return append(self, entry)

    monkeypatch.setattr(Journal, "append", counted)

    def respond(body, number):
        if len(server.bodies) == 3 + 1:
            threading.Event().wait(0.3)  # in which others would be sent
        return gemini_reply('{"word": "a"}')

    server.respond = respond
    results, _ = ask(words(20, index=1), component="LLMEvaluator")
    assert all(result.value for result in results)
    assert sent[0] == 1


def test_a_budget_that_is_spent_to_the_last_cent_pays_for_nothing_more(ask, server):
    price = {"prompt_usd_per_million_tokens": 50_000, "output_usd_per_million_tokens": 100_000}
    with pytest.raises(
        BudgetError, match=r"cost 2\.0000 USD so far, and the budget of .* is 2\.0000"
    ):
        ask(words(5), price=price, budget_usd=2.0, max_concurrency=1)  # 10 and 5 tokens: 1 USD
    assert len(server.bodies) == 2
