"""Addresses and keys that cannot work end with one sentence, before any cost."""

import pydantic
import pytest

from core.errors import UserError
from pipeline.config import ConfigError, load_config
from service_llm.addresses import path_advice
from service_llm.errors import AuthenticationError, BadRequestError, UnreachableError
from service_llm.providers.google_addresses import url_of
from service_llm.secrets import check_environment
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request
from tests.service_llm.conftest import (
    PROVIDERS,
    Word,
    gemini_error,
    openai_reply,
    words,
)

OPENAI = {"provider": "openai", "model": "local"}
GOOD = openai_reply('{"word": "a"}')


@pytest.mark.parametrize(
    "refusal",
    [
        (200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
        (404, b"404 page not found"),
        (404, {"detail": "Not Found"}),
        (404, {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}),
        (404, b""),
        (405, {"detail": "Method Not Allowed"}),
        (404, {"error": {"message": "Invalid URL (POST /chat/completions)", "code": None}}),
        (404, b"<!DOCTYPE html><pre>Cannot POST /chat/completions</pre>"),
    ],
    ids=[
        "LM Studio",
        "Ollama",
        "vLLM",
        "llama.cpp",
        "empty",
        "another method",
        "OpenAI",
        "Express",
    ],
)
def test_an_address_without_v1_is_told_with_the_address_to_set(ask, server, refusal):
    """LM Studio: https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/618"""
    server.respond = lambda body, number: GOOD if server.paths[-1].startswith("/v1/") else refusal
    with pytest.raises(BadRequestError, match=rf"has to end in /v1, like {server.url}/v1\."):
        ask(words(5), base_url=server.url, **OPENAI)
    assert len(server.bodies) == 1
    (result,), _ = ask([Request("word", Word)], base_url=f"{server.url}/v1/", **OPENAI)
    assert result.value == Word(word="a")


def test_the_address_to_set_is_next_to_a_servers_own_api():
    advice = path_advice("http://127.0.0.1:11434/api", "/chat/completions")
    assert advice.endswith("like http://127.0.0.1:11434/v1.")


def test_a_model_that_is_not_there_is_no_wrong_address(ask, server):
    """https://github.com/ollama/ollama/blob/main/docs/openai.md"""
    text = 'model "gemma9" not found, try pulling it first'
    server.respond = lambda body, number: (404, {"error": {"message": text}})
    with pytest.raises(BadRequestError, match=rf"{text}.*Check the model's name"):
        ask(words(1), base_url=server.url, **OPENAI)


GEMINI_404 = {
    # https://github.com/google-gemini/deprecated-generative-ai-python/issues/746
    "gemini": "models/gemini-9 is not found for API version v1beta, or is not supported for "
    "generateContent.",
    # https://github.com/truefoundry/models/pull/946
    "vertex": "Publisher Model `projects/team/locations/global/publishers/google/models/gemini-9` "
    "was not found or your project does not have access to it.",
}


@pytest.mark.parametrize(("provider", "text"), GEMINI_404.items(), ids=GEMINI_404)
def test_a_gemini_model_that_is_not_there_is_told_by_its_name(ask, server, provider, text):
    server.respond = lambda body, number: gemini_error(404, "NOT_FOUND", text)
    with pytest.raises(BadRequestError, match=r"404 .*gemini-9.*Check the model's name"):
        ask(words(5), model="gemini-9", **PROVIDERS[provider])
    assert len(server.bodies) == 1


@pytest.mark.parametrize("provider", GEMINI_404)
@pytest.mark.parametrize("body", [b"", b"404 page not found"], ids=["empty", "a text"])
def test_an_address_with_geminis_version_is_told_where_it_has_to_end(ask, server, provider, body):
    server.respond = lambda _, number: (404, body)
    with pytest.raises(
        BadRequestError, match=r"base_url, where it is set, has to end before /v1beta"
    ):
        ask(words(5), **PROVIDERS[provider])
    assert len(server.bodies) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_wrong_port_ends_after_a_few_attempts(ask, provider):
    options = {"base_url": "http://127.0.0.1:9", "max_attempts": 2, "give_up_after_seconds": 600}
    with pytest.raises(UnreachableError, match=r"cannot be reached.*sent 2 times.*base_url"):
        ask(words(1), **options, **PROVIDERS[provider])


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://anna:s3cret@127.0.0.1:8000/v1", "user name or password"),
        ("https://s3cret@model.example/v1", "user name or password"),
        ("127.0.0.1:8000/v1", "http://"),
        ("ftp://model.example", "http://"),
        ("http:///v1", "name a host"),
        ("http://model.example:eighty/v1", "port cannot be read"),
        ("http://model.example:0/v1", "port 0"),
        ("http://[::1/v1", "cannot be read"),
        ("http://s3cret.example:99999/v1", "cannot be read"),
        ("http://s3cret.☃.example/v1", "cannot be read"),
        ("http://s3cret..example/v1", "cannot be read"),
        ("http://s3cret model.example/v1", "cannot be read"),
        ("http://s3cret\x01.example/v1", "cannot be read"),
        ("http://model.example/v1?key=s3cret", "query"),
        ("http://model.example/v1/chat/completions", "before /chat/completions"),
    ],
)
@pytest.mark.parametrize("from_environment", [False, True], ids=["set", "environment"])
def test_an_address_that_is_none_is_refused_and_a_password_never_shown(
    monkeypatch, url, hint, from_environment
):
    if from_environment:
        monkeypatch.setenv("MODEL_URL", url)
        settings = ServiceLLMSettings(base_url="env:MODEL_URL", **OPENAI)
        with pytest.raises(UserError, match=hint) as raised:
            check_environment(settings)
    else:
        with pytest.raises(ConfigError, match=hint) as raised:
            load_config("openai-compatible", [f"service_llm.base_url={url}"], environ={})
        with pytest.raises(pydantic.ValidationError, match=hint) as shown:
            ServiceLLMSettings(base_url=url, **OPENAI)
        assert "s3cret" not in str(shown.value)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "key", ["ключ", "\u201cAIzaSy\u201d", "AIza\nSy", "AIza\tSy", "AIza\u200bSy", "AIza\x7f"]
)
@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_a_key_that_no_header_can_hold_is_told_by_its_place(
    ask, server, monkeypatch, provider, key
):
    monkeypatch.setenv("A_KEY", key)
    changes = {"provider": provider, "api_key_env": "A_KEY"}
    with pytest.raises(
        AuthenticationError, match=r"A_KEY contains at position \d+ of \d+"
    ) as raised:
        ask(words(1), **changes)
    assert server.bodies == []
    assert key not in str(raised.value)


@pytest.mark.parametrize("url", ["http://a\0b.example/v1", "http://[::1]:80\0/v1"])
def test_an_address_with_a_nul_is_refused_by_the_setting(url):
    with pytest.raises(pydantic.ValidationError, match=r"base_url\s.*cannot be read") as raised:
        ServiceLLMSettings(base_url=url, **OPENAI)
    assert url not in str(raised.value)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("us", "https://aiplatform.us.rep.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_vertex_ai_has_an_address_for_each_location(location, url):
    settings = ServiceLLMSettings(
        provider="gemini", model="m", vertex_project="team", vertex_location=location
    )
    assert url_of(settings) == url


def test_the_space_and_the_slash_around_an_address_go():
    settings = ServiceLLMSettings(provider="openai", model="m", base_url=" http://m.example/v1/ ")
    assert settings.resolved_base_url() == "http://m.example/v1"
