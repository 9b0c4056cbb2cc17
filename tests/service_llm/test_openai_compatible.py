"""The provider of OpenAI-compatible endpoints over real HTTP."""

import pydantic
import pytest

from pipeline.config import load_config
from service_llm.errors import (
    AuthenticationError,
    BadRequestError,
    CreditError,
    UnreachableError,
)
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request, Usage
from tests.service_llm.conftest import Word, Words, openai_reply, words


@pytest.fixture
def ask_openai(ask, server):
    def ask_openai(requests, **changes):
        values = {"provider": "openai", "model": "local", "base_url": f"{server.url}/v1"}
        return ask(requests, **values | changes)

    return ask_openai


def test_a_reply_is_a_value_of_the_schema(ask_openai, server):
    server.respond = lambda body, number: openai_reply('{"word": "a"}')
    (result,), usage = ask_openai([Request("word", Word, system="be brief", temperature=0.3)])
    assert result.value == Word(word="a")
    assert usage == Usage(1, 7, 3, None)
    body = server.bodies[0]
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["temperature"] == 0.3
    assert set(body["response_format"]["json_schema"]["schema"]["properties"]) == {"word"}


def test_generator_and_judge_may_be_of_different_providers(ask, server, other_server):
    other_server.respond = lambda body, number: openai_reply('{"word": "judged"}')
    url = f"{other_server.url}/v1"
    config = load_config(
        "gemini",
        [
            f"service_llm.base_url={server.url}",
            f"judge={{provider: openai, model: local, base_url: {url}}}",
        ],
        environ={},
    )
    answers = {}
    for component, llm in (
        ("SynthDataGen", config.service_llm),
        ("LLMEvaluator", config.judge_llm),
    ):
        changes = llm.model_dump(include={"provider", "model", "base_url"})
        results, _ = ask(words(2), component=component, **changes)
        answers[component] = [result.value.word for result in results]
    assert answers == {"SynthDataGen": ["word 0", "word 1"], "LLMEvaluator": ["judged"] * 2}
    assert (len(server.bodies), len(other_server.bodies)) == (2, 2)
    assert all(body["model"] == "local" for body in other_server.bodies)


def test_why_a_reply_ended(ask_openai, server):
    server.respond = lambda body, number: openai_reply('{"words": ["a", "b', "length")
    (result,), _ = ask_openai([Request("words", Words)])
    assert (result.value, result.error) == (Words(words=["a"]), "truncated")
    server.respond = lambda body, number: openai_reply("", "content_filter")
    (result,), _ = ask_openai([Request("word", Word)])
    assert result.error == "refused"


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationError), (400, BadRequestError), (503, UnreachableError)],
)
def test_errors(ask_openai, server, status, error):
    server.respond = lambda body, number: (status, {"error": {"message": "no"}})
    with pytest.raises(error):
        ask_openai([Request("word", Word)], give_up_after_seconds=0.2)
    assert (len(server.bodies) > 1) == (status == 503)


def test_a_quota_error_is_waited_for(ask_openai, server):
    server.respond = lambda body, number: (
        (429, {"error": {"message": "slow down"}}) if number == 1 else openai_reply('{"word": "a"}')
    )
    (result,), _ = ask_openai([Request("word", Word)])
    assert result.value == Word(word="a")


def test_a_parameter_that_a_model_does_not_take_is_left_out(ask_openai, server):
    """As with OpenAI's reasoning models."""

    def respond(body, number):
        for name in ("max_tokens", "temperature"):
            if name in body:
                error = {"message": f"no {name}", "code": "unsupported_parameter", "param": name}
                return 400, {"error": error}
        return openai_reply('{"word": "a"}')

    server.respond = respond
    requests = [Request(f"word {n}", Word, max_output_tokens=100) for n in range(5)]
    results, usage = ask_openai(requests, thinking="low")
    assert all(result.value == Word(word="a") for result in results)
    assert usage.calls == 5
    assert len(server.bodies) == 2 + 5, "it is found out once"
    last = server.bodies[-1]
    assert (last["reasoning_effort"], last["max_completion_tokens"]) == ("low", 100 + 8192)


def test_a_parameter_that_is_refused_again_stops_the_run(ask_openai, server):
    error = {"message": "no temperature", "code": "unsupported_value", "param": "temperature"}
    server.respond = lambda body, number: (400, {"error": error})
    with pytest.raises(BadRequestError, match="no temperature"):
        ask_openai([Request("word", Word)])
    assert len(server.bodies) == 2


def test_an_account_without_credit_stops_at_once(ask_openai, server):
    error = {"message": "You exceeded your current quota.", "code": "insufficient_quota"}
    server.respond = lambda body, number: (429, {"error": error})
    with pytest.raises(CreditError, match="credit is used up"):
        ask_openai([Request("word", Word)])
    assert len(server.bodies) == 1


def test_a_prompt_that_a_filter_refuses_is_no_bad_request(ask_openai, server):
    error = {"message": "filtered", "code": "content_filter", "param": "prompt"}
    server.respond = lambda body, number: (400, {"error": error})
    (result,), _ = ask_openai([Request("word", Word)])
    assert (result.value, result.error) == (None, "refused")


def test_a_number_of_tokens_to_think_is_refused():
    with pytest.raises(pydantic.ValidationError, match="minimal, low, medium or high"):
        ServiceLLMSettings(provider="openai", model="m", thinking=512)
