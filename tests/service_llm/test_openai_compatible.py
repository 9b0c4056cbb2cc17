"""The provider of OpenAI-compatible endpoints over real HTTP."""

import asyncio

import pydantic
import pytest

from pipeline.config import load_config
from service_llm.errors import (
    AuthenticationError,
    BadRequestError,
    CreditError,
    TransientError,
    UnreachableError,
)
from service_llm.providers.openai_compatible import OpenAICompatible
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


class Listed(pydantic.BaseModel):
    words: list[Word]


def test_a_schema_is_strict_with_all_its_objects_closed(ask_openai, server):
    server.respond = lambda body, number: openai_reply('{"words": [{"word": "a"}]}')
    (result,), _ = ask_openai([Request("words", Listed)])
    assert result.value == Listed(words=[Word(word="a")])
    sent = server.bodies[0]["response_format"]["json_schema"]
    assert sent["strict"] is True
    for part in (sent["schema"], sent["schema"]["$defs"]["Word"]):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])


@pytest.mark.parametrize(
    "said",
    [
        "Invalid schema for response_format 'Word': In context=(), 'minimum' is not permitted.",
        "response_format.json_schema.strict: Extra inputs are not permitted",
    ],
)
def test_a_server_that_takes_no_strict_schema_gets_it_as_it_is(ask_openai, server, said):
    refusal = (400, {"error": {"message": said, "param": "response_format"}})
    server.respond = lambda body, number: (
        refusal
        if body["response_format"]["json_schema"].get("strict")
        else openai_reply('{"word": "a"}')
    )
    results, _ = ask_openai(words(3))
    assert [result.value for result in results] == [Word(word="a")] * 3
    assert len(server.bodies) == 1 + 3, "it is learned once"
    assert server.bodies[-1]["response_format"]["json_schema"]["schema"]["properties"]


@pytest.mark.parametrize("code", ["context_length_exceeded", "invalid_prompt"])
def test_a_refused_prompt_teaches_nothing_of_what_it_quotes(ask_openai, server, code):
    said = {"message": "No: 'be strict, additionalProperties'", "code": code}
    server.respond = lambda body, number: (
        (400, {"error": said})
        if "word 1" in str(body["messages"])
        else openai_reply('{"word": "a"}')
    )
    results, _ = ask_openai(words(3))
    assert [result.error for result in results] == [None, "refused", None]
    assert all(body["response_format"]["json_schema"]["strict"] for body in server.bodies)


@pytest.mark.parametrize(
    "said",
    [
        "strict: Extra inputs are not permitted",
        "seed: Extra inputs are not permitted",
        "max_tokens is too large: at most 512 completion tokens",
    ],
)
def test_what_is_learned_is_said_in_the_words_of_the_service(
    settings, server, monkeypatch, caplog, said
):
    caplog.set_level("INFO")
    monkeypatch.setenv("A_KEY", "sk-a-key-that-is-secret")
    text = f"{said} (of sk-a-key-that-is-secret)"
    server.respond = lambda body, number: (400, {"error": {"message": text}})
    provider = OpenAICompatible(
        settings(provider="openai", model="local", base_url=f"{server.url}/v1", api_key_env="A_KEY")
    )

    async def send():
        try:
            await provider.send(Request("word", Word, max_output_tokens=2048))
        finally:
            await provider.close()

    with pytest.raises(TransientError) as error:
        asyncio.run(send())
    assert str(error.value) == f"local: {said} (of [key])"
    assert error.value.is_adapted
    assert "sk-a-key" not in caplog.text
    if "tokens" not in said:
        assert said in caplog.text
