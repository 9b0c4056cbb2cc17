"""How model servers word it that they refuse a parameter, as public reports show them."""

import json
import threading

import pytest

from service_llm.types import Request
from tests.service_llm.conftest import (
    PROVIDERS,
    Word,
    gemini_error,
    gemini_reply,
    openai_reply,
    words,
)

OPENAI = {"provider": "openai", "model": "local", "thinking": "minimal"}
GOOD = openai_reply('{"word": "a"}')


def of_vllm(message, status=400):
    kind = "BadRequestError" if status == 400 else "InternalServerError"
    return status, {
        "object": "error", "message": message, "type": kind, "param": None, "code": status,
    }  # fmt: skip


def of_ollama(message):
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return 400, {"error": error}


REFUSALS = {
    # https://github.com/Gitlawb/openclaude/issues/1371
    "Ollama, no thinking": (
        "reasoning_effort",
        of_ollama('"llama3.1:8b" does not support thinking'),
    ),
    # https://github.com/diegosouzapw/OmniRoute/pull/10160
    "Ollama, another level": (
        "reasoning_effort",
        of_ollama("invalid reasoning value: 'minimal' (must be \"high\", \"medium\", \"low\", "
                  "\"max\", or \"none\")"),
    ),
    "Ollama, a schema": ("response_format", of_ollama("invalid JSON schema in format")),
    # https://github.com/router-for-me/CLIProxyAPI/issues/1572
    "SGLang, another level": (
        "reasoning_effort",
        of_vllm("1 validation error:\n  {'type': 'literal_error', 'loc': ('body', "
                "'reasoning_effort'), 'msg': \"Input should be 'low', 'medium' or 'high'\", "
                "'input': 'minimal'}"),
    ),
    # https://github.com/1Panel-dev/MaxKB/issues/2912
    "vLLM, an extra field": (
        "seed",
        of_vllm("[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are "
                "not permitted', 'input': 0}]"),
    ),
    # https://github.com/vllm-project/vllm/blob/v0.9.0/vllm/platforms/tpu.py
    "vLLM on a TPU": ("seed", of_vllm("Torch XLA does not support per-request seed.")),
    "vLLM on a TPU, through a gateway": (
        "seed",
        (200, {"error": {"code": 502, "message": "Upstream error from OpenInference: JAX does not "
                                                 "support per-request seed."}}),
    ),
    # https://github.com/vllm-project/vllm/issues/16321
    "vLLM, a schema": (
        "response_format",
        of_vllm("The provided JSON schema contains features not supported by xgrammar."),
    ),
    # https://github.com/z-lab/paroquant/issues/31
    "vLLM, a grammar": ("response_format", of_vllm("Grammar error: Unknown format: uri")),
    # https://github.com/noonghunna/club-3090/issues/45
    "vLLM, a grammar as 500": (
        "response_format", of_vllm('Grammar error: Unimplemented keys: ["propertyNames"]', 500)
    ),
    # https://github.com/lidge-jun/opencodex/issues/2135
    "llama.cpp": (
        "response_format",
        (400, {"error": {"code": 400, "type": "invalid_request_error",
                         "message": "Failed to initialize samplers: failed to parse grammar"}}),
    ),
}  # fmt: skip


def carries(body, what):
    if what == "response_format":
        return body.get(what, {}).get("type") == "json_schema"
    return what in body


@pytest.mark.parametrize(("what", "refusal"), REFUSALS.values(), ids=REFUSALS)
def test_what_a_model_server_refuses_is_left_out_and_nothing_else(ask, server, what, refusal):
    server.respond = lambda body, number: refusal if carries(body, what) else GOOD
    results, _ = ask(words(3), **OPENAI)
    assert all(result.value == Word(word="a") for result in results)
    assert len(server.bodies) == 1 + 3, "it is learned once"
    first, last = set(server.bodies[0]), set(server.bodies[-1])
    assert first - last == (set() if what == "response_format" else {what})


def test_a_field_that_google_s_details_name_is_left_out(ask, server):
    """https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto"""
    violation = {"field": "generation_config.thinking_config.thinking_level", "description": "No."}
    details = [
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    ]
    refusal = gemini_error(
        400, "INVALID_ARGUMENT", "Request contains an invalid argument.", details
    )
    server.respond = lambda body, number: (
        refusal
        if "thinkingConfig" in body["generationConfig"]
        else gemini_reply(json.dumps({"word": "a"}))
    )
    results, _ = ask(words(3), thinking="minimal")
    assert all(result.value == Word(word="a") for result in results)
    assert len(server.bodies) == 1 + 3
    assert "seed" in server.bodies[-1]["generationConfig"]


SCHEMA_REFUSALS = {
    # https://github.com/google-gemini/deprecated-generative-ai-python/issues/137
    "no JSON mode": ("responseMimeType", "Json mode is not enabled for models/gemma-3-27b-it"),
    # https://github.com/googleapis/python-aiplatform/issues/4551
    "Vertex AI": (
        "responseSchema",
        "Unable to submit request because one or more response schemas specified unsupported field",
    ),
    # https://github.com/tensorzero/tensorzero/issues/1028
    "AI Studio": (
        "responseSchema",
        'Invalid JSON payload received. Unknown name "$schema" at '
        "'generation_config.response_schema': Cannot find field.",
    ),
}


@pytest.mark.parametrize("provider", ["gemini", "vertex"])
@pytest.mark.parametrize(("field", "message"), SCHEMA_REFUSALS.values(), ids=SCHEMA_REFUSALS)
def test_a_schema_that_a_gemini_model_refuses_goes_into_the_prompt(
    ask, server, field, message, provider
):
    server.respond = lambda body, number: (
        gemini_error(400, "INVALID_ARGUMENT", message)
        if field in body["generationConfig"]
        else gemini_reply(json.dumps({"word": "a"}))
    )
    results, _ = ask(words(3), **PROVIDERS[provider])
    assert all(result.value == Word(word="a") for result in results)
    assert len(server.bodies) == 1 + 3
    assert json.dumps(Word.model_json_schema()) in server.prompts[-1]
    config = server.bodies[-1]["generationConfig"]
    assert "responseSchema" not in config
    assert ("responseMimeType" in config) == (field == "responseSchema")


def test_a_failure_that_only_mentions_a_parameter_teaches_nothing(ask, server):
    down = (500, {"error": {"message": "The seed of the worker was lost."}})
    server.respond = lambda body, number: down if number == 1 else GOOD
    results, _ = ask(words(2), **OPENAI)
    assert all(result.value == Word(word="a") for result in results)
    assert all("seed" in body for body in server.bodies)


def test_a_context_learned_by_one_request_is_kept_to_by_those_in_flight(ask, server):
    """https://github.com/evalstate/fast-agent/issues/621"""
    crowd = threading.Barrier(4, timeout=20)
    message = (
        "This model's maximum context length is 1000 tokens. However, you requested 2248 tokens"
        " (200 in the messages, 2048 in the completion). Please reduce the length."
    )

    def respond(body, number):
        if number == 1 or body["max_tokens"] <= 800:
            return GOOD
        if number <= 5:
            crowd.wait()
        return of_ollama(message)

    server.respond = respond
    results, usage = ask(words(5), max_concurrency=4, max_attempts=1, **OPENAI | {"thinking": None})
    assert all(result.value == Word(word="a") for result in results)
    assert usage.calls == 5


@pytest.mark.parametrize("space", ["", " "])
def test_a_limit_above_vllm_s_whole_context_is_lowered_to_what_the_prompt_leaves(
    ask, server, space
):
    """https://github.com/vllm-project/vllm/pull/40324 and issues/42474, of a context of 1,000."""

    def respond(body, number):
        asked = body["max_tokens"]
        if asked > 1000:
            return of_vllm(
                f"max_tokens={asked}{space}cannot be greater than max_model_len=max_total_tokens="
                f"1000. Please request fewer output tokens. (parameter=max_tokens, value={asked})"
            )
        if asked + 400 > 1000:  # the prompt's tokens are counted no further than to the limit
            return of_vllm(
                f"This model's maximum context length is 1000 tokens. However, you requested "
                f"{asked} output tokens and your prompt contains at least {1001 - asked} input "
                "tokens, for a total of at least 1001 tokens. Please reduce the length of the input"
                " prompt or the number of requested output tokens."
            )
        return GOOD

    server.respond = respond
    results, _ = ask([Request("word " * 200 + str(n), Word) for n in range(3)], **OPENAI)
    assert all(result.value == Word(word="a") for result in results)
    asked = [body["max_tokens"] for body in server.bodies]
    assert len(asked) < 12, "and not one attempt for each token"
    assert all(256 <= limit <= 600 for limit in asked[-3:])
    assert all("max_tokens" in body for body in server.bodies)


def test_a_prompt_that_leaves_no_room_in_vllm_s_context_is_set_aside(ask, server):
    def respond(body, number):
        if "long" not in body["messages"][-1]["content"]:
            return GOOD
        asked = body["max_tokens"]
        return of_vllm(
            f"This model's maximum context length is 4000 tokens. However, you requested {asked} "
            f"output tokens and your prompt contains at least {4001 - asked} input tokens, for a "
            "total of at least 4001 tokens."
        )

    server.respond = respond
    asked = [*words(2), Request("long " * 900, Word), Request("word 3", Word)]
    results, _ = ask(asked, max_concurrency=1, **OPENAI | {"thinking": None})
    assert [result.error for result in results] == [None, None, "refused", None]
    assert len(server.bodies) < 15, "a quarter less each time"


def test_room_that_tgi_names_is_kept_to(ask, server):
    """https://github.com/The-Vibe-Company/quivr/issues/1119"""
    message = (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 645 "
        "`inputs` tokens and 2048 `max_new_tokens`"
    )
    server.respond = lambda body, number: (
        GOOD
        if body["max_tokens"] <= 1403
        else (422, {"error": message, "error_type": "validation"})
    )
    results, _ = ask(words(2), **OPENAI | {"thinking": None})
    assert all(result.value == Word(word="a") for result in results)
    assert [body["max_tokens"] for body in server.bodies] == [2048, 1403, 1403]
