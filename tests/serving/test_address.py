"""Where this machine reaches a gateway: by the address that it listens on."""

import re
import socket
import sys
import threading

import pytest

from core.errors import UserError
from serving import probe
from serving.address import url_of
from serving.running import RunningGateway

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


@pytest.fixture
def port():
    """Of a gateway that answers on another address only."""
    body = b'{"mode": {"mode": "failover"}}'
    head = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
    with socket.create_server((OTHER, 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head + body)

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        yield listener.getsockname()[1]


def test_commands_reach_a_gateway_on_another_address(port):
    assert RunningGateway(port, host=OTHER).status()["mode"]["mode"] == "failover"


def test_a_gateway_that_does_not_answer_is_named_with_its_address():
    with pytest.raises(
        UserError, match=re.escape(f"No gateway answers on port 9, at http://{OTHER}:9 ")
    ):
        RunningGateway(9, host=OTHER).status()


def test_the_probe_reaches_a_gateway_on_another_address(port, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["probe", str(port), "", OTHER])
    assert probe.main() == 0
