"""The gateway's own key: who may reach it from elsewhere."""

import base64
import socket

import httpx
import pytest

from core.errors import UserError
from serving.gateway.app import create_app
from serving.settings import ServingSettings
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    gemini_request,
)


def own_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has loopback alone")
        return probe.getsockname()[0]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "gateway.internal"])
def test_others_may_reach_the_gateway_only_with_a_key(host):
    with pytest.raises(ValueError, match="there is no key_env"):
        ServingSettings(host=host)
    assert ServingSettings(host=host, key_env="GATEWAY_KEY").key_env == "GATEWAY_KEY"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "::ffff:127.0.0.1"])
def test_this_machine_needs_no_key(host):
    assert ServingSettings(host=host).is_local


def test_a_key_that_is_not_set_is_said_at_the_start(servers, monkeypatch):
    monkeypatch.delenv("GATEWAY_KEY", raising=False)
    with pytest.raises(UserError, match="GATEWAY_KEY, which is not set"):
        create_app(servers.settings(key_env="GATEWAY_KEY"), [servers.task()])


@pytest.mark.parametrize("key", ["p\u00e4ssword", "\u043a\u043b\u044e\u0447"])
def test_a_key_that_clients_send_in_different_bytes_is_refused(servers, monkeypatch, key):
    monkeypatch.setenv("GATEWAY_KEY", key)
    with pytest.raises(UserError, match="GATEWAY_KEY, whose value has characters") as raised:
        create_app(servers.settings(key_env="GATEWAY_KEY"), [servers.task()])
    assert key not in str(raised.value)


def test_strangers_are_turned_away_and_the_key_stays_here(servers, monkeypatch):
    monkeypatch.setenv("GATEWAY_KEY", "open sesame")
    servers.start(servers.settings(host="0.0.0.0", key_env="GATEWAY_KEY"), is_ready=False)
    for url in (servers.url, servers.url.replace("127.0.0.1", own_address())):
        for path in (GEMINI_PATH, "/v1beta/models", "/understudy/metrics", "/understudy/"):
            answer = httpx.post(url + path, json=gemini_request())
            assert answer.status_code == 401, path
            assert "x-understudy-key" in answer.json()["error"]["message"]
        assert servers.service.received == []
        headers = {"x-understudy-key": "open sesame"}
        answer = httpx.post(url + GEMINI_PATH, json=gemini_request(), headers=headers)
        assert answer.status_code == 200
        assert not servers.service.received[0].header("x-understudy-key")
        servers.forget()


@pytest.mark.parametrize(
    ("given", "is_let_in"),
    [
        ("Bearer open sesame", True),
        (f"Basic {base64.b64encode(b'anybody:open sesame').decode()}", True),
        (f"basic {base64.b64encode(b':open sesame').decode()}", True),
        ("Bearer closed", False),
        ("Basic open sesame", False),
        (f"Basic {base64.b64encode(b'open sesame').decode()}", False),
        ("Basic x", False),
        ("", False),
    ],
)
def test_browsers_and_prometheus_bring_the_key_in_their_own_ways(
    servers, monkeypatch, given, is_let_in
):
    monkeypatch.setenv("GATEWAY_KEY", "open sesame")
    servers.start(servers.settings(host="0.0.0.0", key_env="GATEWAY_KEY"), is_ready=False)
    headers = {"Authorization": given}
    for page in ("", "status", "metrics"):
        answer = httpx.get(f"{servers.url}/understudy/{page}", headers=headers)
        assert answer.status_code == (200 if is_let_in else 401)
        if not is_let_in:
            assert answer.headers["www-authenticate"].startswith('Basic realm="Understudy"')
    # With requests for answers, Authorization holds the service's key.
    answer = httpx.post(servers.url + GEMINI_PATH, json=gemini_request(), headers=headers)
    assert answer.status_code == 401
    assert "www-authenticate" not in answer.headers
    assert servers.service.received == []


def test_without_a_key_only_this_machine_is_let_in(servers):
    servers.start()
    app = servers.app
    sent = []

    async def ask() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/understudy/",
            "query_string": b"",
            "headers": [],
            "client": ("10.0.0.9", 1234),
        }

        async def send(message):
            sent.append(message)

        await app(scope, None, send)

    servers.run(ask())
    assert sent[0]["status"] == 401
    assert b"www-authenticate" not in dict(sent[0]["headers"]), "there is nothing to log in with"
