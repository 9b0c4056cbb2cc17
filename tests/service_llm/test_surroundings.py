"""What the environment says changes nothing but what a preset takes from it, and proxies work."""

import http.server
import json
import threading

import pytest

from core.errors import UserError
from pipeline.config import load_config
from service_llm.client import open_service_llm
from service_llm.embedding import Embedder
from service_llm.errors import UnreachableError
from service_llm.proxies import proxy_for
from service_llm.secrets import check_environment
from service_llm.settings import EmbedderSettings
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, words

OPENAI = {"provider": "openai", "model": "local"}

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


# By provider; Vertex AI's is a token of the default credentials.
KEYS = {
    "gemini": "the-key-of-the-preset",
    "openai": "Bearer the-key-of-the-preset",
    "vertex": "Bearer token-1",
}


@pytest.fixture
def misleading(monkeypatch, other_server):
    for name in ELSEWHERE:
        monkeypatch.setenv(name, f"{other_server.url}/v1")
    for name, value in IDENTITIES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_environment_changes_nothing_that_the_preset_does_not_say(
    ask, server, other_server, misleading, monkeypatch, provider
):
    server.respond = lambda body, number: GOOD[provider]
    monkeypatch.setenv("A_KEY", "the-key-of-the-preset")
    ask(words(1), base_url=server.url, api_key_env="A_KEY", **PROVIDERS[provider])
    assert KEYS[provider] in json.dumps(server.headers)
    assert (len(server.bodies), other_server.bodies) == (1, [])
    assert "elsewhere" not in json.dumps([server.headers, server.paths])
    if provider == "vertex":
        assert "/projects/team/locations/global/" in server.paths[0]


FROM_ENVIRONMENT = {
    "gemini": "GOOGLE_GEMINI_BASE_URL",
    "openai": "OPENAI_BASE_URL",
    "vertex": "GOOGLE_VERTEX_BASE_URL",
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_variable_is_read_where_the_preset_says_so(
    ask, server, other_server, misleading, monkeypatch, provider
):
    """And no other: neither the organization nor the key next to it."""
    variable = FROM_ENVIRONMENT[provider]
    url = f"{other_server.url}/v1" if provider == "openai" else other_server.url
    monkeypatch.setenv(variable, url)
    monkeypatch.setenv("A_KEY", "the-key-of-the-preset")
    other_server.respond = lambda body, number: GOOD[provider]
    overrides = [f"service_llm.base_url=env:{variable}"]
    preset = load_config("openai-compatible", overrides, environ={}).service_llm
    options = {"base_url": preset.base_url, "api_key_env": "A_KEY", **PROVIDERS[provider]}
    (result,), _ = ask(words(1), **options)
    assert result.value == Word(word="a")
    assert (server.bodies, len(other_server.bodies)) == ([], 1)
    assert KEYS[provider] in json.dumps(other_server.headers)
    assert "elsewhere" not in json.dumps([other_server.headers, other_server.paths])


def test_a_variable_that_the_preset_says_and_that_is_not_set_is_named(ask, server, no_proxy_known):
    no_proxy_known.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UserError, match=r"^OPENAI_BASE_URL is not set.*Set OPENAI_BASE_URL to"):
        ask(words(1), base_url="env:OPENAI_BASE_URL", **OPENAI)
    assert server.bodies == []


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


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_proxy_with_brackets_breaks_no_client(ask, server, no_proxy_known, provider):
    """https://github.com/encode/httpx/issues/3221"""
    no_proxy_known.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    no_proxy_known.setenv("NO_PROXY", "127.0.0.1,[::1]")
    server.respond = lambda body, number: GOOD[provider]
    (result,), _ = ask(words(1), **PROVIDERS[provider])
    assert result.value == Word(word="a")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
def test_a_proxy_of_another_kind_is_told_without_its_password(
    ask, server, no_proxy_known, settings, scheme, provider
):
    server.respond = lambda body, number: GOOD[provider]
    changes = PROVIDERS[provider]
    no_proxy_known.setenv("ALL_PROXY", f"{scheme}://anna:s3cret@127.0.0.1:1080")
    for act in (lambda: check_environment(settings(**changes)), lambda: ask(words(1), **changes)):
        with pytest.raises(UserError, match=rf"ALL_PROXY names a {scheme}:// proxy") as raised:
            act()
        assert "s3cret" not in str(raised.value)
    assert server.bodies == []
    no_proxy_known.setenv("NO_PROXY", "127.0.0.1")
    ask(words(1), **changes)
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


VECTORS = {
    "gemini": {"embeddings": [{"values": [1.0]}]},
    "openai": {"object": "list", "model": "m", "data": [
        {"object": "embedding", "index": 0, "embedding": [1.0]},
    ], "usage": {"prompt_tokens": 1, "total_tokens": 1}},
    "vertex": {"predictions": [{"embeddings": {"values": [1.0]}}]},
}  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_environment_changes_nothing_about_embeddings_either(
    tmp_path, request, server, other_server, misleading, no_proxy_known, provider
):
    if provider == "vertex":
        request.getfixturevalue("cloud")
    server.respond = lambda body, number: (200, VECTORS[provider])
    no_proxy_known.setenv("A_KEY", "the-key-of-the-preset")
    no_proxy_known.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    no_proxy_known.setenv("NO_PROXY", "[::1],127.0.0.1")
    values = {
        "provider": "gemini",
        "model": "text-embedding-005",
        "base_url": f"{server.url}/v1" if provider == "openai" else server.url,
        "api_key_env": "A_KEY",
    }
    settings = EmbedderSettings(**values | PROVIDERS[provider])
    journal = str(tmp_path / "journal")
    with open_service_llm(settings, journal_uri=journal, component="c", round=1) as service:
        assert Embedder(service, settings)(["a kettle"]).tolist() == [[1.0]]
    assert KEYS[provider] in json.dumps(server.headers)
    assert (len(server.bodies), other_server.bodies) == (1, [])
    assert "elsewhere" not in json.dumps([server.headers, server.paths])
