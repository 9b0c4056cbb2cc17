"""What errors mean that look like others: for good, for a day, by chance, or not at all."""

import pytest

from service_llm.errors import BadRequestError, CreditError, QuotaError
from service_llm.pacing.retry_after import retry_info
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, gemini_error, openai_reply, words
from tests.service_llm.test_refused_rows import REFUSED_ROWS


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_run_whose_first_requests_are_all_refused_ends(ask, server, provider):
    """As of a server whose whole context is shorter than the limit of each reply."""
    server.respond = lambda body, number: REFUSED_ROWS["context length"]
    with pytest.raises(BadRequestError, match=r"maximum context length.*all refused"):
        ask(words(50), **PROVIDERS[provider])
    assert len(server.bodies) == 10


def quota_failure(quota_id):
    """https://github.com/RooCodeInc/Roo-Code/issues/3883"""
    violation = {"quotaMetric": "generate_content_free_tier_requests", "quotaId": quota_id}
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"},
    ]
    text = "You exceeded your current quota, please check your plan and billing details."
    return gemini_error(429, "RESOURCE_EXHAUSTED", text, details)


USED_UP = {
    "Gemini's day": quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
    # https://github.com/Gitlawb/openclaude/issues/936
    "OpenRouter's day": (
        429,
        {"error": {"message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock "
                              "1000 free model requests per day", "code": 429}},
    ),
    # https://github.com/anthropics/claude-code/issues/66314
    "Anthropic": (
        400,
        {"type": "error",
         "error": {"type": "invalid_request_error",
                   "message": "Your credit balance is too low to access the Anthropic API."}},
    ),
    # https://github.com/BerriAI/litellm/issues/4208 and https://github.com/BerriAI/litellm/pull/37000
    "LiteLLM": (400, {"error": {"message": "Budget has been exceeded! Current cost: 26.075",
                                "type": "auth_error", "param": None, "code": 400}}),
    "LiteLLM 429": (429, {"error": {"message": "Ask your administrator.", "param": None,
                                    "type": "budget_exceeded", "code": "429"}}),
    # https://github.com/JeffOtano/roni/pull/125
    "AI Studio": gemini_error(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
}  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", USED_UP)
def test_what_no_waiting_brings_back_ends_the_run_at_once(ask, server, provider, name):
    server.respond = lambda body, number: GOOD[provider] if number <= 3 else USED_UP[name]
    kind = QuotaError if name.endswith("day") else CreditError
    with pytest.raises(kind, match="is used up"):
        ask(words(9), max_concurrency=1, **PROVIDERS[provider])
    assert len(server.bodies) == 3 + 1


def test_a_quota_of_a_minute_is_waited_for(ask, server):
    """In a list, too, as Gemini's OpenAI-compatible API sends it; the wait is read there."""
    code, body = quota_failure("GenerateContentInputTokensPerModelPerMinute-FreeTier")
    server.respond = lambda _, number: (code, [body]) if number == 2 else GOOD["openai"]
    results, _ = ask(words(4), max_attempts=1, give_up_after_seconds=30, **PROVIDERS["openai"])
    assert [result.error for result in results] == [None] * 4
    assert retry_info([body]) == retry_info(body) == 0.01


FAILED_BY_CHANCE = {
    # https://github.com/build-with-groq/g1/pull/23
    "Groq": {"error": {"message": "Failed to generate JSON. Please adjust your prompt. See "
                                  "'failed_generation' for more details.",
                       "type": "invalid_request_error", "code": "json_validate_failed",
                       "failed_generation": "no JSON"}},
    # https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1347
    "LM Studio": {"error": "The model has crashed without additional information. (Exit code: 6)"},
    "LM Studio, unloaded": {"error": "Model unloaded."},
}  # fmt: skip


@pytest.mark.parametrize("body", FAILED_BY_CHANCE.values(), ids=FAILED_BY_CHANCE)
def test_a_400_that_is_the_servers_own_failure_is_sent_again(ask, server, body):
    server.respond = lambda _, number: (400, body) if number in (1, 3) else GOOD["openai"]
    results, _ = ask(words(3), max_concurrency=1, **PROVIDERS["openai"])
    assert [result.error for result in results] == [None] * 3
    assert len(server.bodies) == 3 + 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_error_without_content_next_to_a_reply_is_none(ask, server, provider):
    """https://github.com/Calcium-Ion/new-api-horizon/issues/9"""
    blank = {"error": {"message": "", "type": "", "param": "", "code": None}}
    server.respond = lambda _, number: (200, GOOD[provider][1] | blank)
    (result,), _ = ask(words(1), **PROVIDERS[provider])
    assert result.value == Word(word="a")
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("reason", "error"), [("MAX_TOKENS", "truncated"), ("SAFETY", "refused"), ("STOP", None)]
)
def test_geminis_reasons_through_an_openai_gateway_are_known(ask, server, reason, error):
    server.respond = lambda _, number: openai_reply('{"word": "a"}', reason)
    (result,), _ = ask(words(1), **PROVIDERS["openai"])
    assert result.error == error
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [498, 503, 529])
def test_an_overload_sets_no_row_aside(ask, server, status):
    """Anthropic's 529 and the 498 of Groq's flex tier say what 503 says: nothing of the row."""
    server.respond = lambda body, number: (
        (status, {"error": {"message": "Overloaded"}})
        if "word 1" in str(body) and number < 8
        else GOOD["openai"]
    )
    results, _ = ask(words(12), max_attempts=2, give_up_after_seconds=30, **PROVIDERS["openai"])
    assert [result.error for result in results] == [None] * 12


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_run_goes_on_whose_first_requests_are_refused_where_an_earlier_one_was_answered(
    ask, server, provider
):
    server.respond = lambda body, number: GOOD[provider]
    ask(words(2), **PROVIDERS[provider])
    refusal = REFUSED_ROWS["context length"]
    server.respond = lambda body, number: refusal if number <= 14 else GOOD[provider]
    results, _ = ask(words(30, index=1), max_concurrency=1, **PROVIDERS[provider])
    assert sum(result.error is not None for result in results) == 12
