"""Parameters that a model refuses are learned and left out, whatever the form of its error."""

import json

import pytest

from service_llm.errors import BadRequestError
from service_llm.types import Request
from tests.service_llm.conftest import Word, gemini_error, gemini_reply, openai_reply, words

OPENAI = {"provider": "openai", "model": "local"}
GOOD = openai_reply('{"word": "a"}')


def error(message, param=None, code=None, status=400):
    return status, {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    }


TEMPERATURE = (
    "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) "
    "value is supported."
)
MAX_TOKENS = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
    "'max_completion_tokens' instead."
)
REFUSALS = {
    # https://github.com/BeehiveInnovations/pal-mcp-server/issues/78
    "temperature": ("temperature", error(TEMPERATURE, "temperature", "unsupported_value")),
    # https://github.com/QwenLM/qwen-code/issues/921
    "temperature without param": ("temperature", error(TEMPERATURE)),
    # https://github.com/owndev/Open-WebUI-Functions/issues/136
    "max_tokens": ("max_tokens", error(MAX_TOKENS, "max_tokens", "unsupported_parameter")),
    "max_tokens without param": ("max_tokens", error(MAX_TOKENS)),
    # https://github.com/langchain-ai/langchain-azure/issues/82
    "seed in detail": (
        "seed",
        (422, {"detail": [{
            "type": "extra_forbidden", "loc": ["body", "seed"],
            "msg": "Extra inputs are not permitted", "input": 123,
        }]}),
    ),
    "seed in a list": (
        "seed",
        (400, [{"error": {
            "code": 400, "status": "INVALID_ARGUMENT",
            "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
        }}]),
    ),
    "seed as a text": ("seed", (400, b"property 'seed' is unsupported")),
    # https://github.com/bytedance/deer-flow/issues/545
    "json_schema": (
        "json_schema",
        error("This response_format type is unavailable now", None, "invalid_request_error"),
    ),
    # https://github.com/browser-use/browser-use/pull/215
    "json_schema as a text": (
        "json_schema",
        (422, b"Failed to deserialize the JSON body into the target type: response_format: "
              b"response_format.type `json_schema` is unavailable now at line 1 column 12440"),
    ),
    # https://github.com/web-infra-dev/midscene/issues/259
    "json_schema of this model": (
        "json_schema",
        error("Invalid parameter: 'response_format' of type 'json_schema' is not supported with "
              "this model.", "response_format"),
    ),
}  # fmt: skip


def carries(body, what):
    if what == "json_schema":
        return body.get("response_format", {}).get("type") == "json_schema"
    return what in body


@pytest.mark.parametrize(("what", "refusal"), REFUSALS.values(), ids=REFUSALS)
def test_a_refused_parameter_is_left_out_and_the_request_sent_again(ask, server, what, refusal):
    server.respond = lambda body, number: refusal if carries(body, what) else GOOD
    results, usage = ask(words(5, temperature=0.2), **OPENAI)
    assert all(result.value == Word(word="a") for result in results)
    assert (len(server.bodies), usage.calls) == (1 + 5, 5), "it is learned once"
    last = server.bodies[-1]
    assert ("max_completion_tokens" in last) == (what == "max_tokens")
    if what == "json_schema":
        assert last["response_format"] == {"type": "json_object"}
        assert json.dumps(Word.model_json_schema()) in last["messages"][-1]["content"]


@pytest.mark.parametrize(
    "refusal",
    [error("Temperature is not supported with this model."), error("No.", "Temperature")],
    ids=["text", "field"],
)
def test_a_parameter_is_known_by_its_name_in_any_case(ask, server, refusal):
    server.respond = lambda body, number: refusal if "temperature" in body else GOOD
    (result,), _ = ask(words(1, temperature=0.2), **OPENAI)
    assert result.value == Word(word="a")
    assert len(server.bodies) == 2


def test_several_refusals_are_learned_one_after_the_other(ask, server):
    def respond(body, number):
        for what, refusal in REFUSALS.values():
            if carries(body, what):
                return refusal
        if "response_format" in body:
            return error("response_format is not supported")
        return GOOD

    server.respond = respond
    results, _ = ask(words(3), **OPENAI)
    assert all(result.value == Word(word="a") for result in results)
    assert len(server.bodies) == 5 + 3
    assert set(server.bodies[-1]) == {"model", "messages", "stream", "max_completion_tokens"}


def test_an_error_about_what_was_not_sent_stops_with_its_own_words(ask, server):
    server.respond = lambda body, number: error(TEMPERATURE, "temperature", "unsupported_value")
    with pytest.raises(BadRequestError, match="Only the default"):
        ask([Request("word", Word)], **OPENAI)
    assert len(server.bodies) == 2


LIMITS = {
    "OpenAI": "max_tokens is too large: 4096. This model supports at most 1024 completion tokens.",
    "DeepSeek": "Invalid max_tokens value, the valid range of max_tokens is [1, 1024]",
    "Groq": "`max_tokens` must be less than or equal to `1024`",
    # https://github.com/open-webui/open-webui/issues/10507
    "Qwen": "InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 1024]",
}


@pytest.mark.parametrize("message", LIMITS.values(), ids=LIMITS)
def test_a_limit_that_a_refusal_names_is_kept_to(ask, server, message):
    """https://github.com/stepfun-ai/Step-Audio-R1/issues/3: without it a reply has no end."""
    server.respond = lambda body, number: (
        GOOD if body["max_tokens"] <= 1024 else error(message, "max_tokens", "invalid_value")
    )
    results, _ = ask(words(3), **OPENAI)
    assert all(result.value == Word(word="a") for result in results)
    assert [body["max_tokens"] for body in server.bodies] == [2048, 1024, 1024, 1024]


@pytest.mark.parametrize(
    "message",
    [LIMITS["OpenAI"], "`max_tokens` is above the maximum of this model"],
    ids=["still refused", "no limit named"],
)
def test_a_limit_that_helps_nothing_is_told_in_the_service_s_words(ask, server, message):
    server.respond = lambda body, number: error(message, "max_tokens", "invalid_value")
    with pytest.raises(BadRequestError, match="max_tokens"):
        ask([Request("word", Word)], **OPENAI)
    assert 1 <= len(server.bodies) <= 2
    assert all("max_tokens" in body for body in server.bodies)


def test_a_range_that_vertex_ai_names_is_kept_to(ask, server):
    """https://github.com/BerriAI/litellm/pull/10548"""
    message = (
        "Unable to submit request because it has a maxOutputTokens value of 10240 but the supported"
        " range is from 1 (inclusive) to 8193 (exclusive). Update the value and try again."
    )
    server.respond = lambda body, number: (
        gemini_reply('{"word": "a"}')
        if body["generationConfig"]["maxOutputTokens"] <= 8192
        else gemini_error(400, "INVALID_ARGUMENT", message)
    )
    results, _ = ask(words(2))
    assert all(result.value == Word(word="a") for result in results)
    sent = [body["generationConfig"]["maxOutputTokens"] for body in server.bodies]
    assert sent == [10_240, 8192, 8192]


def test_a_context_that_a_refusal_names_leaves_room_for_the_prompt(ask, server):
    """https://github.com/evalstate/fast-agent/issues/621"""
    message = (
        "This model's maximum context length is 1000 tokens. However, you requested 2248 tokens"
        " (200 in the messages, 2048 in the completion). Please reduce the length."
    )
    server.respond = lambda body, number: (
        GOOD if body["max_tokens"] <= 800 else error(message, None, "invalid_request_error")
    )
    results, _ = ask(words(2), **OPENAI)
    assert all(result.value == Word(word="a") for result in results)
    assert [body["max_tokens"] for body in server.bodies] == [2048, 800, 800]


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("gemini-3.5-flash-lite", 65_535),
        ("google/gemini-2.0-flash-001", 8192),
        ("gpt-4o-mini", 16_384),
        ("of-nobody", 16_384),
    ],
)
def test_a_request_never_asks_for_more_than_the_model_s_limit(ask, server, model, most):
    server.respond = lambda body, number: GOOD
    ask(words(1, max_output_tokens=164_680), **(OPENAI | {"model": model}))
    assert server.bodies[0]["max_tokens"] == most
    ask(words(1, index=1, max_output_tokens=164_680), **(OPENAI | {"max_output_tokens": 512}))
    assert server.bodies[1]["max_tokens"] == 512


def test_a_prompt_that_names_a_parameter_teaches_nothing(ask, server):
    message = "Invalid prompt: a seed at this temperature was flagged"
    server.respond = lambda body, number: (
        error(message, None, "invalid_prompt") if "word 1" in json.dumps(body) else GOOD
    )
    results, _ = ask(words(3), **OPENAI)
    assert [result.error for result in results] == [None, "refused", None]
    assert "seed" in server.bodies[-1]


@pytest.mark.parametrize(
    "message",
    [
        "Thinking level is not supported for this model.",
        "Unable to submit request because thinking_budget is out of range; supported values are"
        " integers from 512 to 24576.",
    ],
)
@pytest.mark.parametrize("thinking", [0, "low"])
def test_thinking_that_a_gemini_model_refuses_is_left_out(ask, server, thinking, message):
    """https://ai.google.dev/gemini-api/docs/thinking: what is taken differs by model."""
    server.respond = lambda body, number: (
        gemini_error(400, "INVALID_ARGUMENT", message)
        if "thinkingConfig" in body["generationConfig"]
        else gemini_reply('{"word": "a"}')
    )
    results, _ = ask(words(3), thinking=thinking)
    assert all(result.value == Word(word="a") for result in results)
    assert len(server.bodies) == 4
