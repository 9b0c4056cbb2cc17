"""One row that the service always refuses is set aside with its reason, and the run ends."""

import json

import pytest

from service_llm.errors import AuthenticationError, BadRequestError
from service_llm.types import Request
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, Words, gemini_error, words

REFUSED_ROWS = {
    "moderation": (
        403,
        {
            "error": {
                "code": 403,
                "message": "openai/gpt-5 requires moderation on OpenAI. Your input was flagged",
                "metadata": {"reasons": ["violence"], "flagged_input": "word 3"},
            }
        },
    ),  # https://openrouter.ai/docs/api/reference/errors-and-debugging
    "invalid_prompt": (
        400,
        {
            "error": {
                "message": "Invalid prompt: your prompt was flagged as potentially violating our "
                "usage policy. Please try again with a different prompt",
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_prompt",
            }
        },
    ),  # https://github.com/alan-turing-institute/t0-1/issues/69
    "data inspection": (
        400,
        {
            "error": {
                "code": "data_inspection_failed",
                "param": None,
                "message": "Input data may contain inappropriate content.",
                "type": "data_inspection_failed",
            },
            "id": "chatcmpl-1",
            "request_id": "1",
        },
    ),  # https://github.com/camel-ai/owl/issues/432
    "data inspection by text": (
        400,
        {
            "error": {
                "message": "<400> InternalError.Algo.DataInspectionFailed: Input text data may "
                "contain inappropriate content.",
                "code": "invalid_parameter_error",
            }
        },
    ),  # https://github.com/QwenLM/qwen-code/issues/2905
    "sensitive words": (
        400,
        {
            "error": {
                "message": "input contains sensitive words: [test]",
                "type": "new_api_error",
                "param": "",
                "code": "sensitive_words_detected",
            }
        },
    ),  # https://github.com/openai/openai-cookbook/issues/1224
    "context length": (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. However, your "
                "messages resulted in 9001 tokens. Please reduce the length of the messages.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
    ),  # https://platform.openai.com/docs/guides/error-codes
    "Gemini's context length": (
        400,
        gemini_error(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1100000) exceeds the maximum number of tokens allowed "
            "(1048576).",
        )[1],
    ),  # https://github.com/google-gemini/gemini-cli/issues/1432
    "in a 200": (
        200,
        {"error": {"message": "Input flagged", "code": 403, "metadata": {"reasons": ["hate"]}}},
    ),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("refusal", REFUSED_ROWS.values(), ids=REFUSED_ROWS)
def test_a_row_that_is_refused_is_set_aside_with_its_reason(ask, server, provider, refusal):
    server.respond = lambda body, number: (
        refusal if "word 3" in json.dumps(body) else GOOD[provider]
    )
    results, usage = ask(words(6), **PROVIDERS[provider])
    assert [result.error for result in results] == [None] * 3 + ["refused"] + [None] * 2
    own_words = refusal[1]["error"]["message"].split(".")[0]
    assert own_words in results[3].raw
    assert (len(server.bodies), usage.calls) == (6, 5), "it was sent once"


CONTENT_RISK = {
    "message": "Content Exists Risk",
    "type": "invalid_request_error",
    "param": None,
    "code": "invalid_request_error",
}
TOO_LARGE = (
    "Request too large for {} on tokens per minute (TPM): Limit 6000, Requested 14810, please "
    "reduce your message size and try again."
)
INPUTS = (
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1887 "
    "`inputs` tokens and 1024 `max_new_tokens`"
)
MAX_TOKENS_OF_THE_ROW = (
    "'max_tokens' or 'max_completion_tokens' is too large: 1000. This model's maximum context "
    "length is 2048 tokens and your request has 1887 input tokens."
)
MORE_REFUSED_ROWS = {
    # https://github.com/666ghj/BettaFish/issues/108
    "DeepSeek's risk": (400, {"error": CONTENT_RISK}, "Content Exists Risk"),
    # https://github.com/deepseek-ai/DeepSeek-V2/issues/30
    "DeepSeek's risk as a detail": (400, {"detail": "Content Exists Risk"}, "Content Exists Risk"),
    # https://github.com/stanford-crfm/helm/pull/3770
    "xAI's guidelines": (
        403,
        {"code": "denied", "error": "Content violates usage guidelines. Failed check: SAFETY"},
        "violates usage guidelines",
    ),
    # https://github.com/cline/cline/issues/3120
    "xAI's prompt length": (
        400,
        {"error": "This model's maximum prompt length is 131072 but the request contains 136973 "
                  "tokens."},
        "maximum prompt length",
    ),
    # https://github.com/QwenLM/qwen-code/issues/98
    "Qwen's input length": (
        400,
        {"error": {"message": "<400> InternalError.Algo.InvalidParameter: Range of input length "
                              "should be [1, 204800]"}},
        "Range of input length",
    ),
    # https://github.com/opea-project/GenAIInfra/issues/487
    "TGI's input length": (422, {"error": INPUTS, "error_type": "validation"}, "1887"),
    # https://github.com/stepfun-ai/Step-Audio-R1/issues/3
    "vLLM's context": (
        400,
        {"error": {"message": MAX_TOKENS_OF_THE_ROW, "param": "max_tokens", "code": 400}},
        "1887 input tokens",
    ),
    # https://github.com/continuedev/continue/issues/10218
    "a quota that it exceeds alone": (
        413,
        {"error": {"message": TOO_LARGE.format("llama"), "type": "tokens",
                   "code": "rate_limit_exceeded"}},
        "Requested 14810",
    ),
    # https://github.com/Aider-AI/aider/issues/1880
    "a quota that it exceeds alone, as 429": (
        429,
        {"error": {"message": TOO_LARGE.format("gpt-4o in organization org-1"), "type": "tokens",
                   "param": None, "code": "rate_limit_exceeded"}},
        "Requested 14810",
    ),
    # https://github.com/BerriAI/litellm/pull/28418
    "LiteLLM's filter": (403, {"error": "Content blocked: keyword 'bomb' detected"}, "'bomb'"),
    "LiteLLM's guardrail": (
        400,
        {"error": {"message": "Violated guardrail policy", "type": "None", "code": "400"}},
        "guardrail policy",
    ),
    "legal reasons": (451, {"error": {"message": "The content was blocked."}}, "was blocked"),
    "a body that a proxy does not take": (413, b"<h1>413 Request Entity Too Large</h1>", "413"),
}  # fmt: skip


@pytest.mark.parametrize("refusal", MORE_REFUSED_ROWS.values(), ids=MORE_REFUSED_ROWS)
def test_a_row_that_is_refused_is_set_aside_whatever_the_server(ask, server, refusal):
    *response, own_words = refusal
    server.respond = lambda body, number: (
        tuple(response) if "word 3" in json.dumps(body) else GOOD["openai"]
    )
    results, usage = ask(words(6), give_up_after_seconds=0.5, **PROVIDERS["openai"])
    assert [result.error for result in results] == [None] * 3 + ["refused"] + [None] * 2
    assert own_words in results[3].raw
    assert (len(server.bodies), usage.calls) == (6, 5), "it was sent once"
    assert all("max_tokens" in body for body in server.bodies)


UNKNOWN_REFUSALS = {
    # https://github.com/langgenius/dify/issues/32221
    "Ark": (400, {"error": {"code": "InvalidParameter",
                            "message": "Input length 203743 exceeds the maximum length 202752"}}),
    # https://github.com/opea-project/GenAIExamples/pull/340
    "TEI": (422, {"error": "Input validation error: inputs must have less than 512 tokens"}),
    "Zhipu": (400, {"error": {"code": "1301", "message": "输入内容可能包含敏感内容"}}),
    "Gemini": gemini_error(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "a filter of a gateway's owner": (403, {"error": "Not in this house."}),
    "legal reasons": (451, {"error": {"message": "Unavailable."}}),
}  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("refusal", UNKNOWN_REFUSALS.values(), ids=UNKNOWN_REFUSALS)
def test_a_row_that_is_refused_in_unknown_words_ends_no_run(ask, server, provider, refusal):
    server.respond = lambda body, number: (
        refusal if "word 3" in json.dumps(body) else GOOD[provider]
    )
    for sent in (6, 1):
        server.bodies.clear()
        results, _ = ask(words(6), **PROVIDERS[provider])
        assert [result.error for result in results] == [None] * 3 + ["refused"] + [None] * 2
        assert results[3].raw.startswith("gemini-2.5-flash: ")
        assert "base_url" not in results[3].raw
        assert len(server.bodies) == sent, "the next run asks for this one alone"


NO_ACCESS = {
    "leaked": {"error": {"message": "Your API key was reported as leaked."}},
    "permission": gemini_error(403, "PERMISSION_DENIED", "Permission denied on resource x.")[1],
    "billing": {"error": {"message": "This API method requires billing to be enabled."}},
    "in no words of its kind": {"error": "Not in this house."},
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("body", NO_ACCESS.values(), ids=NO_ACCESS)
def test_a_key_that_is_let_in_no_longer_ends_the_run(ask, server, provider, body):
    """The rows that are left are not taken for those at fault."""
    server.respond = lambda _, number: GOOD[provider] if number <= 30 else (403, body)
    with pytest.raises(AuthenticationError):
        ask(words(40), max_concurrency=1, **PROVIDERS[provider])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_row_that_is_refused_first_in_a_rerun_is_about_itself(ask, server, provider):
    """The journal shows that others of its kind were answered, in whatever order rows come."""
    refusal = UNKNOWN_REFUSALS["Gemini"]
    server.respond = lambda body, number: refusal if "bad" in json.dumps(body) else GOOD[provider]
    options = PROVIDERS[provider]
    ask(words(3), **options)
    results, _ = ask([Request("bad", Word), Request("new", Word), *words(3)], **options)
    assert [result.error for result in results] == ["refused"] + [None] * 4
    assert len(server.bodies) == 3 + 2
    for other in (Request("bad", Words), Request("bad", Word, max_output_tokens=7)):
        with pytest.raises(BadRequestError, match="invalid argument"):
            ask([other, *words(3)], **options)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_service_that_begins_to_refuse_all_requests_ends_the_run(ask, server, provider):
    text = "User location is not supported for the API use."
    refusal = gemini_error(400, "FAILED_PRECONDITION", text)
    server.respond = lambda body, number: GOOD[provider] if number <= 3 else refusal
    with pytest.raises(BadRequestError, match=text):
        ask(words(50), max_concurrency=1, **PROVIDERS[provider])
    assert len(server.bodies) == 3 + 11


def test_rows_that_are_refused_one_after_the_other_end_no_run_and_no_resume(ask, server):
    """A fifth of what was answered may be refused in a row, earlier runs included."""
    refusal = UNKNOWN_REFUSALS["Gemini"]
    server.respond = lambda body, number: refusal if "bad" in json.dumps(body) else GOOD["gemini"]
    asked = [*words(100), *(Request(f"bad {number}", Word) for number in range(12))]
    for _ in range(2):
        results, _ = ask(asked)
        assert [result.error for result in results] == [None] * 100 + ["refused"] * 12


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_kind_of_request_that_is_always_refused_ends_the_run(ask, server, provider):
    text = "The specified schema produces a constraint that has too many states for serving."
    refusal = gemini_error(400, "INVALID_ARGUMENT", text)
    server.respond = lambda body, number: (
        refusal
        if "list" in json.dumps(body["messages" if provider == "openai" else "contents"])
        else GOOD[provider]
    )
    asked = [*words(3), Request("list", Words)]
    with pytest.raises(BadRequestError, match="too many states"):
        ask(asked, max_concurrency=1, **PROVIDERS[provider])
