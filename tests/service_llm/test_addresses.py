"""Addresses, keys and surroundings that cannot work end with one sentence, before any cost."""

import http.server
import json
import threading

import pydantic
import pytest

from core.errors import UserError
from pipeline.config import ConfigError, load_config
from service_llm.addresses import path_advice
from service_llm.errors import AuthenticationError, BadRequestError, UnreachableError
from service_llm.providers.proxies import proxy_for
from service_llm.secrets import check_environment
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request
from tests.service_llm.conftest import Word, gemini_reply, openai_reply, words

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


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_a_wrong_port_ends_after_a_few_attempts(ask, provider):
    with pytest.raises(UnreachableError, match=r"cannot be reached.*sent 2 times.*base_url"):
        ask(
            words(1),
            provider=provider,
            base_url="http://127.0.0.1:9",
            max_attempts=2,
            give_up_after_seconds=600,
        )


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
    with pytest.raises(AuthenticationError, match=r"A_KEY holds at place \d+ of \d+") as raised:
        ask(words(1), **changes)
    assert server.bodies == []
    assert key not in str(raised.value)


ELSEWHERE = (
    "OPENAI_BASE_URL",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
)
IDENTITIES = {
    "OPENAI_ORG_ID": "org-elsewhere",
    "OPENAI_PROJECT_ID": "proj-elsewhere",
    "OPENAI_API_KEY": "sk-elsewhere",
    "OPENAI_ADMIN_KEY": "sk-admin-elsewhere",
    "GOOGLE_API_KEY": "AIza-elsewhere",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "GOOGLE_GENAI_USE_ENTERPRISE": "true",
    "GOOGLE_GENAI_API_VERSION": "elsewhere",
    "GOOGLE_CLOUD_PROJECT": "elsewhere",
    "GOOGLE_CLOUD_LOCATION": "elsewhere",
    "GOOGLE_GENAI_HTTP_CLIENT": "httpx2",
    "OPENAI_CUSTOM_HEADERS": "X-From: elsewhere\nAuthorization: Bearer elsewhere",
}


@pytest.fixture
def misleading(monkeypatch, other_server):
    for name in ELSEWHERE:
        monkeypatch.setenv(name, f"{other_server.url}/v1")
    for name, value in IDENTITIES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_the_environment_changes_nothing_that_the_preset_does_not_say(
    ask, server, other_server, misleading, monkeypatch, provider
):
    server.respond = lambda body, number: (
        GOOD if provider == "openai" else gemini_reply('{"word": "a"}')
    )
    monkeypatch.setenv("A_KEY", "the-key-of-the-preset")
    ask(words(1), provider=provider, base_url=server.url, api_key_env="A_KEY")
    assert "the-key-of-the-preset" in json.dumps(server.headers)
    assert (len(server.bodies), other_server.bodies) == (1, [])
    assert "elsewhere" not in json.dumps([server.headers, server.paths])


@pytest.mark.parametrize(
    ("changes", "host"),
    [
        ({"provider": "openai", "model": "gpt-5"}, "api.openai.com"),
        ({"api_key_env": "A_KEY"}, "generativelanguage.googleapis.com"),
        ({"vertex_project": "team"}, "aiplatform.googleapis.com"),
        (
            {"vertex_project": "team", "vertex_location": "europe-west4"},
            "europe-west4-aiplatform.googleapis.com",
        ),
        (
            {"vertex_project": "team", "vertex_location": "eu"},
            "aiplatform.eu.rep.googleapis.com",
        ),
    ],
    ids=["OpenAI", "AI Studio", "Vertex global", "Vertex region", "Vertex multi-region"],
)
def test_without_an_address_requests_go_to_the_provider_and_nowhere_else(
    ask, cloud, other_server, misleading, monkeypatch, changes, host
):
    """Seen at a proxy, which is asked to connect to the host."""
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self):
            asked.append(self.path)
            self.send_error(502)

        def log_message(self, *args):
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("A_KEY", "a-key")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(UnreachableError):
        ask(words(1), base_url=None, max_attempts=1, give_up_after_seconds=0.01, **changes)
    proxy.shutdown()
    proxy.server_close()
    assert asked
    assert set(asked) == {f"{host}:443"}
    assert other_server.bodies == []


@pytest.fixture
def no_proxy_known(monkeypatch):
    for scheme in ("http", "https", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_exempt"),
    [
        ("http://[::1]:8000/v1", "[::1]", True),
        ("http://[::1]:8000/v1", "localhost,::1", True),
        ("http://[::1]:8000/v1", "[::1]:8000", True),
        ("http://[::1]:8000/v1", "[::1]:9", False),
        ("http://127.0.0.1:8000/v1", "127.0.0.0/8", True),
        ("http://127.0.0.1:8000/v1", "[::1]", False),
        ("http://api.model.example/v1", ".model.example", True),
        ("http://api.model.example/v1", "model.example", True),
        ("http://model.example:80/v1", "model.example:80", True),
        ("http://othermodel.example/v1", "model.example", False),
        ("http://model.example/v1", "*", True),
        ("http://model.example/v1", "", False),
    ],
)
def test_no_proxy_is_read_in_all_its_forms(no_proxy_known, url, no_proxy, is_exempt):
    no_proxy_known.setenv("HTTP_PROXY", "proxy.example:3128")
    no_proxy_known.setenv("NO_PROXY", no_proxy)
    assert proxy_for(url) == (None if is_exempt else "http://proxy.example:3128")


@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_no_proxy_with_brackets_breaks_no_client(ask, server, no_proxy_known, provider):
    """https://github.com/encode/httpx/issues/3221"""
    no_proxy_known.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    no_proxy_known.setenv("NO_PROXY", "127.0.0.1,[::1]")
    server.respond = lambda body, number: (
        GOOD if provider == "openai" else gemini_reply('{"word": "a"}')
    )
    (result,), _ = ask(words(1), provider=provider)
    assert result.value == Word(word="a")


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
def test_a_proxy_of_another_kind_is_told_without_its_password(
    ask, server, no_proxy_known, settings, scheme
):
    no_proxy_known.setenv("ALL_PROXY", f"{scheme}://anna:s3cret@127.0.0.1:1080")
    for act in (lambda: check_environment(settings()), lambda: ask(words(1))):
        with pytest.raises(UserError, match=rf"ALL_PROXY names a {scheme}:// proxy") as raised:
            act()
        assert "s3cret" not in str(raised.value)
    assert server.bodies == []
    no_proxy_known.setenv("NO_PROXY", "127.0.0.1")
    ask(words(1))
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "rest",
    ["127.0.0.1:eighty", "127.0.0.1:99999", "[bad", "☃.example:3128", "a..b:3128", ":3129",
     "127.0.0.1\x01:3128"],
)  # fmt: skip
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_read_is_told_without_its_password(
    ask, server, no_proxy_known, settings, variable, rest
):
    no_proxy_known.setenv(variable, f"http://anna:s3cret@{rest}")
    for act in (lambda: check_environment(settings()), lambda: ask(words(1))):
        with pytest.raises(UserError, match=f"{variable} is not the URL of a proxy") as raised:
            act()
        assert not any(part in str(raised.value) for part in ("s3cret", "anna", rest))
    assert server.bodies == []


@pytest.mark.parametrize("url", ["http://a\0b.example/v1", "http://[::1]:80\0/v1"])
def test_an_address_with_a_nul_is_refused_by_the_setting(url):
    with pytest.raises(pydantic.ValidationError, match=r"base_url\s.*cannot be read") as raised:
        ServiceLLMSettings(base_url=url, **OPENAI)
    assert url not in str(raised.value)
