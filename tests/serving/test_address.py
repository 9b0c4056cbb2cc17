"""Where this machine reaches a gateway: by the address that it listens on."""

import contextlib
import http.server
import re
import socket
import sys
import threading

import pytest

from core.errors import UserError
from serving import probe
from serving.address import url_of, webhook_of
from serving.running import GatewayAwayError, RefusedError, RunningGateway
from serving.settings import ServingSettings

OTHER = "127.0.0.2"  # another address of this machine


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8100"),
        ("10.1.2.3", "http://10.1.2.3:8100"),
        ("0.0.0.0", "http://127.0.0.1:8100"),
        ("::", "http://[::1]:8100"),
        ("fd00::7", "http://[fd00::7]:8100"),
        ("gateway.internal", "http://gateway.internal:8100"),
    ],
)
def test_a_gateway_is_reached_at_its_host_and_where_that_is_any_by_loopback(host, url):
    assert url_of(host, 8100) == url


@contextlib.contextmanager
def served(answer):
    """The port of a server that gives one answer."""
    with socket.create_server((OTHER, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.fixture
def port():
    """Of a gateway that answers on another address only."""
    body = b'{"mode": {"mode": "failover"}}'
    head = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
    with served(head + body) as port:
        yield port


@pytest.fixture
def proxy(monkeypatch):
    """The environment names a proxy for every address, and nobody answers there."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")


def test_commands_reach_a_gateway_on_another_address(port, proxy):
    assert RunningGateway(port, host=OTHER).status()["mode"]["mode"] == "failover"


def test_the_gateway_of_a_preset_is_at_its_port_unless_another_one_is_given(port, proxy):
    settings = ServingSettings(host=OTHER, port=port)
    assert RunningGateway.of(settings).status()["mode"]["mode"] == "failover"
    with pytest.raises(GatewayAwayError, match=f"at http://{OTHER}:9 "):
        RunningGateway.of(settings, 9).status()


def test_a_gateway_that_does_not_answer_is_named_with_its_address():
    with pytest.raises(
        UserError, match=re.escape(f"No gateway answers on port 9, at http://{OTHER}:9 ")
    ):
        RunningGateway(9, host=OTHER).status()


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, GatewayAwayError), (503, GatewayAwayError), (401, RefusedError)],
)
def test_a_gateway_that_fails_is_away_and_one_that_refuses_is_not(status, error):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"error": "its words"}')

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer((OTHER, 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(error, match="its words"):
            RunningGateway(server.server_port, host=OTHER).status()


NOT_HTTP = b"SSH-2.0-OpenSSH_9.9\r\n"
CUT_ERROR = b"HTTP/1.0 500 Oops\r\nContent-Length: 900\r\n\r\n{"
CUT = b"HTTP/1.0 200 OK\r\nContent-Length: 900\r\n\r\n{"
ANOTHER = b"HTTP/1.0 200 OK\r\n\r\n[]"


@pytest.mark.parametrize("answer", [NOT_HTTP, CUT_ERROR, CUT, ANOTHER, b""])
def test_what_answers_otherwise_than_a_gateway_is_none(answer):
    with served(answer) as port, pytest.raises(GatewayAwayError, match=f"port {port}"):
        RunningGateway(port, host=OTHER).status()


@pytest.mark.parametrize("answer", [NOT_HTTP, CUT_ERROR, b""])
def test_what_answers_otherwise_than_a_gateway_is_not_ready(answer, monkeypatch, capsys):
    with served(answer) as port:
        monkeypatch.setattr(sys, "argv", ["probe", str(port), "", OTHER])
        assert probe.main() == 1
    assert "not ready: " in capsys.readouterr().err


def test_the_probe_reaches_a_gateway_on_another_address(port, proxy, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["probe", str(port), "", OTHER])
    assert probe.main() == 0


def test_a_webhook_of_the_environment_has_to_be_there(monkeypatch):
    monkeypatch.delenv("ALERT_URL", raising=False)
    with pytest.raises(UserError, match="ALERT_URL is not set"):
        webhook_of("env:ALERT_URL")
    monkeypatch.setenv("ALERT_URL", " https://hooks.example/a?token=b\n")
    assert webhook_of("env:ALERT_URL") == "https://hooks.example/a?token=b"
    assert webhook_of("https://h") == "https://h"
    assert webhook_of(None) is None


@pytest.mark.parametrize(
    "url", ["hooks.example/secret", "http://[::1/secret", "ftp://h/secret", "https://h:x/secret"]
)
def test_a_webhook_of_the_environment_that_is_none_is_refused_without_repeating_it(
    monkeypatch, url
):
    monkeypatch.setenv("ALERT_URL", url)
    with pytest.raises(UserError, match=r"ALERT_URL, which .* holds no URL") as told:
        webhook_of("env:ALERT_URL")
    assert "secret" not in str(told.value)
