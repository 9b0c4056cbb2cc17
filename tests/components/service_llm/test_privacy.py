"""Keys and prompts go to the configured endpoint, and are found nowhere else."""

import sys
import threading

import pydantic
import pytest

from components.service_llm.errors import ServiceLLMError
from components.service_llm.settings import ServiceLLMSettings
from components.service_llm.types import Request
from pipeline.config import ConfigError, load_config
from tests.components.service_llm.conftest import (
    Word,
    gemini_error,
    gemini_reply,
    openai_reply,
    words,
)

KEY = "s3cret-key-0123456789"
HEADERS = {"gemini": "x-goog-api-key", "openai": "Authorization"}
GOOD = {"gemini": gemini_reply('{"word": "said"}'), "openai": openai_reply('{"word": "said"}')}

_connected = []  # (thread, address)


def _note_connections(event, args):
    if event == "socket.connect":
        _connected.append((threading.current_thread(), args[1]))


sys.addaudithook(_note_connections)


@pytest.fixture(params=["gemini", "openai"])
def provider(request, server, monkeypatch):
    monkeypatch.setenv("A_KEY", f" {KEY}\n")
    server.respond = lambda body, number: GOOD[request.param]
    return request.param


@pytest.fixture
def left(tmp_path, caplog, capfd):
    """What is found in files, logs and on the terminal."""
    caplog.set_level("DEBUG")

    def left():
        files = b"\n".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        return files.decode() + caplog.text + "".join(capfd.readouterr())

    return left


def test_the_key_is_sent_and_left_nowhere(ask, server, provider, left):
    ask(words(3), provider=provider, api_key_env="A_KEY")
    headers = {name.lower(): value for name, value in server.headers[0].items()}
    assert headers[HEADERS[provider].lower()].removeprefix("Bearer ") == KEY
    assert KEY not in left()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_key_that_a_server_quotes_in_an_error_is_left_out(ask, server, provider, left, status):
    message = f"Incorrect API key provided: {KEY}."
    server.respond = lambda body, number: gemini_error(status, "NO", message)
    with pytest.raises(ServiceLLMError, match=r"provided: \[key\]") as caught:
        ask(words(2), provider=provider, api_key_env="A_KEY", max_attempts=1)
    chain, error = [], caught.value
    while error is not None:
        chain.append(str(error))
        error = error.__cause__
    assert KEY not in "".join(chain) + left()


def test_prompts_and_replies_are_not_logged(ask, provider, caplog):
    caplog.set_level("DEBUG")
    ask([Request("a very private prompt", Word, system="secret rules")], provider=provider)
    assert not any(text in caplog.text for text in ("private", "secret rules", "said"))


def test_prompts_and_replies_are_logged_where_that_is_asked_for(ask, provider, caplog):
    caplog.set_level("INFO")
    request = Request("a very private prompt", Word, system="secret rules")
    ask([request], provider=provider, log_prompts=True)
    assert all(text in caplog.text for text in ("private", "secret rules", "said"))


def test_nothing_but_the_endpoint_is_connected_to(ask, server, provider):
    # Cloud Storage's client looks up buckets in threads that may outlive an earlier test.
    others = set(threading.enumerate()) - {threading.current_thread()}
    _connected.clear()
    ask(words(5), provider=provider, api_key_env="A_KEY")
    addresses = [address for thread, address in _connected if thread not in others]
    ports = {address[1] for address in addresses if isinstance(address, tuple)}
    assert ports == {int(server.url.rpartition(":")[2])}


def test_a_key_that_is_not_there(ask, server, monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(ServiceLLMError, match="Export A_KEY="):
        ask(words(1), api_key_env="A_KEY")
    assert server.bodies == []


@pytest.mark.parametrize("key", ["AIzaSyD_0123456789abcdefghijklmnopqrstu", "sk-proj-0123456789"])
@pytest.mark.parametrize("setting", ["api_key_env", "api_key_secret"])
def test_a_key_in_place_of_its_name_is_refused_and_not_shown(key, setting):
    values = {"provider": "gemini", "model": "m", "base_url": "http://x"}
    with pytest.raises(pydantic.ValidationError):
        ServiceLLMSettings(**values, **{setting: key})
    with pytest.raises(ConfigError, match=rf"service_llm\.{setting}") as caught:
        load_config("gemini", [f"service_llm.{setting}={key}"], environ={})
    assert key not in str(caught.value)
