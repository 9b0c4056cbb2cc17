"""Errors as services send them, over HTTP: what they mean, and that their own words are shown."""

import pytest

from service_llm.errors import (
    AuthenticationError,
    BadRequestError,
    CreditError,
    QuotaError,
    ServiceLLMError,
    UnreachableError,
)
from service_llm.types import Request
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, gemini_error, openai_reply, words

OVERLOADED = {"error": {"message": "Upstream overloaded", "code": 502}}
# https://github.com/UKGovernmentBEIS/inspect_ai/issues/1534
RATE_LIMITED = {
    "id": None,
    "choices": None,
    "created": None,
    "model": None,
    "usage": None,
    "error": {
        "message": "Provider returned error",
        "code": 429,
        "metadata": {"raw": "Too Many Requests", "provider_name": "Hyperbolic"},
    },
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "body",
    [OVERLOADED, RATE_LIMITED, {"error": {"message": "down", "code": "503"}}, [OVERLOADED],
     {"error": {"message": "Rate limit reached", "code": "rate_limited"}}, {"error": "busy"}],
    ids=["OpenRouter", "OpenRouter 429", "code as text", "in a list", "a word as code", "a text"],
)  # fmt: skip
def test_an_error_in_a_200_is_that_error_and_sent_again(ask, server, provider, body):
    """https://openrouter.ai/docs/api/reference/errors-and-debugging"""
    server.respond = lambda _, number: (200, body) if number == 1 else GOOD[provider]
    (result,), usage = ask([Request("word", Word)], **PROVIDERS[provider])
    assert result.value == Word(word="a")
    assert (len(server.bodies), usage.calls) == (2, 1)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("body", "error", "words_of_it"),
    [
        (OVERLOADED, UnreachableError, "502 Upstream overloaded"),
        (RATE_LIMITED, QuotaError, "429 Provider returned error Too Many Requests"),
        ({"error": {"message": "No auth", "code": 401}}, AuthenticationError, "401 No auth"),
        ({"error": {"message": "Buy more", "code": 402}}, CreditError, "402 Buy more"),
        ({"error": {"message": "Bad seed", "code": "400"}}, BadRequestError, "400 Bad seed"),
    ],
    ids=["502", "429", "401", "402", "400"],
)
def test_the_text_of_an_error_in_a_200_is_shown(ask, server, provider, body, error, words_of_it):
    server.respond = lambda _, number: (200, body)
    options = {"give_up_after_seconds": 0.1, **PROVIDERS[provider]}
    with pytest.raises(error, match=words_of_it):
        ask([Request("word", Word)], **options)


def test_a_quota_that_others_used_up_is_waited_for(ask, server):
    """https://github.com/BuilderIO/micro-agent/issues/86"""
    text = "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29937."
    server.respond = lambda body, number: (
        (429, {"error": {"message": text, "type": "tokens", "code": "rate_limit_exceeded"}})
        if number == 2
        else GOOD["openai"]
    )
    results, _ = ask(words(4), max_attempts=1, give_up_after_seconds=30, **PROVIDERS["openai"])
    assert [result.error for result in results] == [None] * 4


def broken_off(reason, **choice):
    status, body = openai_reply('{"wor')
    return status, body | {"choices": [body["choices"][0] | {"finish_reason": reason} | choice]}


@pytest.mark.parametrize(
    ("response", "error", "words_of_it"),
    [
        (
            broken_off("error", error={"code": 502, "message": "Upstream lost"}),
            UnreachableError,
            "502 Upstream lost",
        ),
        (
            broken_off("error", error={"code": 429, "message": "Upstream busy"}),
            QuotaError,
            "429 Upstream busy",
        ),
        (
            broken_off("insufficient_system_resource"),
            UnreachableError,
            r"503 the reply broke off \(insufficient_system_resource\)",
        ),
        (
            (200, {"error": {"message": "Slow down", "type": "rate_limit_error"}}),
            QuotaError,
            "429 Slow down",
        ),
        # https://github.com/runpod-workers/worker-vllm/issues/57
        (
            (200, {"code": 404, "message": "The model `m` does not exist.", "object": "error",
                   "param": None, "type": "NotFoundError"}),
            BadRequestError,
            "404 The model `m` does not exist",
        ),
        ((200, {"code": 500, "msg": "Try later", "success": False}), UnreachableError, "Try later"),
        (
            (200, {"choices": None, "base_resp": {"status_code": 1, "status_msg": "too fast"}}),
            UnreachableError,
            "says: too fast",
        ),
    ],
    ids=["OpenRouter", "OpenRouter 429", "DeepSeek", "type", "RunPod", "Zhipu", "MiniMax"],
)  # fmt: skip
def test_other_errors_in_a_200_are_shown_as_well(ask, server, response, error, words_of_it):
    """https://github.com/genkit-ai/genkit/pull/6259, where no other address stands."""
    server.respond = lambda _, number: response
    with pytest.raises(error, match=words_of_it):
        ask([Request("word", Word)], give_up_after_seconds=0.1, **PROVIDERS["openai"])


def test_a_reply_that_broke_off_is_asked_for_again_as_it_was(ask, server):
    server.respond = lambda _, number: (
        broken_off("network_error") if number == 1 else GOOD["openai"]
    )
    (result,), usage = ask([Request("word", Word)], **PROVIDERS["openai"])
    assert (result.value, usage.calls) == (Word(word="a"), 1)
    assert server.bodies[0] == server.bodies[1]


def test_what_a_body_of_another_kind_holds_is_not_shown(ask, server):
    server.respond = lambda _, number: (200, {"message": {"role": "assistant", "content": "Hush"}})
    with pytest.raises(UnreachableError) as raised:
        ask([Request("word", Word)], give_up_after_seconds=0.1, **PROVIDERS["openai"])
    assert "does not match the OpenAI API" in str(raised.value)
    assert "Hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([{"error": {"code": 400, "message": "Bad."}}], "400 Bad."),
        ("no", "400 no"),
        ({"detail": "Field required"}, "400 Field required"),
        ({"detail": [{"msg": "Field required", "loc": ["body", "x"]}]}, r"required \(body.x\)"),
        ({"message": "Bad.", "object": "error"}, "400 Bad."),
        ({"odd": 1}, '400 {"odd": 1}'),
        ({"error": {"message": "Bad.", "metadata": {"raw": "The reason."}}}, "Bad. The reason."),
    ],
    ids=["a list", "a text", "detail", "a list of details", "vLLM", "odd", "raw reason"],
)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_error_shows_its_own_words(ask, server, provider, body, said):
    server.respond = lambda _, number: (400, body)
    with pytest.raises(ServiceLLMError, match=said):
        ask([Request("word", Word)], **PROVIDERS[provider])


def test_an_expired_key_is_a_key_to_create_again(ask, server):
    """https://github.com/continuedev/continue/issues/11336"""
    reason = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    text = "API key expired. Please renew the API key."
    server.respond = lambda _, number: gemini_error(400, "INVALID_ARGUMENT", text, [reason])
    with pytest.raises(AuthenticationError, match=r"API key expired.*created again"):
        ask([Request("word", Word)])
