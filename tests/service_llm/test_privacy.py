"""Keys and prompts go to the configured endpoint, and are found nowhere else."""

import sys
import threading

import pydantic
import pytest

from core.secret_text import without
from pipeline.config import ConfigError, load_config
from service_llm.errors import ServiceLLMError
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request
from tests.service_llm.conftest import (
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
    with pytest.raises(ServiceLLMError, match=r"A_KEY is not set.*Run: export A_KEY="):
        ask(words(1), api_key_env="A_KEY")
    assert server.bodies == []


KEYS = {
    "Google": "AIzaSyD_0123456789abcdefghijklmnopqrstu",
    "OpenAI": "sk-proj-0123456789",
    "Groq": "gsk_abcdefghijklmnopqrstuvwxyz",
    "Hugging Face": "hf_abcdefghijklmnopqrstuvwxyzabcdef",
    "hexadecimal": "a3f5c1d2e4b6978812345678deadbeef",
    "random": "Zx81kQwPl0aVbNm72Ghs",
    "random in parts": "key_Zx81kQwPl0aVbNm72Ghs",
}
NAMES = ("service_llm.api_key_env", "push.token_env", "serving.key_env",
         "serving.model.api_key_env", "service_llm.api_key_secret",
         "push.token_secret")  # fmt: skip
ADDRESSES = ("service_llm.base_url", "serving.model.url", "serving.alert_url")


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_in_place_of_its_name_is_refused_and_not_shown(key):
    values = {"provider": "gemini", "model": "m", "base_url": "http://x"}
    for setting in ("api_key_env", "api_key_secret"):
        with pytest.raises(pydantic.ValidationError) as refused:
            ServiceLLMSettings(**values, **{setting: key})
        assert key not in str(refused.value)
    places = [*NAMES, *(f"{address}=env:" for address in ADDRESSES)]
    for place in places:
        name, _, prefix = place.partition("=")
        with pytest.raises(ConfigError, match=name.replace(".", r"\.")) as caught:
            load_config("gemini", [f"{name}={prefix}{key}"], environ={})
        assert key not in str(caught.value)


@pytest.mark.parametrize("name", ["GEMINI_API_KEY", "my_key", "OPENAI_KEY_2026", "HF_TOKEN",
                                  "OPENROUTER_API_KEY_OF_THE_SECOND_ACCOUNT"])  # fmt: skip
def test_names_of_variables_are_no_keys(name):
    assert ServiceLLMSettings(provider="openai", model="m", api_key_env=name).api_key_env == name


def test_a_key_in_place_of_the_models_name_is_refused_and_not_shown():
    key = KEYS["Hugging Face"]
    with pytest.raises(ConfigError, match=r"service_llm\.model") as caught:
        load_config("gemini", [f"service_llm.model={key}"], environ={})
    assert key not in str(caught.value)
    for name in ("hf_small", "sk-model", "hf_models/gemma-3-27b-instruct-quantized"):
        ServiceLLMSettings(provider="openai", model=name)


@pytest.mark.parametrize("address", [*ADDRESSES, "push.endpoint"])
@pytest.mark.parametrize("user", ["anna:s3cret", "s3cret", "anna:s3c@ret"])
def test_a_password_in_an_address_is_refused_and_not_shown(address, user):
    with pytest.raises(ConfigError, match="user name or password") as caught:
        load_config("gemini", [f"{address}=https://{user}@model.example/v1"], environ={})
    assert "s3c" not in str(caught.value)


def test_no_key_of_a_run_with_several_providers_is_left_anywhere(
    ask, server, other_server, left, monkeypatch
):
    """Each service refuses once, and quotes what it was sent."""
    keys = {"ONE": "AIza-one-0123456789", "TWO": "sk-two-0123456789", "THREE": "gsk_three-01234"}
    for name, key in keys.items():
        monkeypatch.setenv(name, key)
    for target in (server, other_server):
        target.respond = lambda body, number, target=target: (
            gemini_error(503, "BUSY", f"Busy: {target.headers[number - 1]}")
            if number == 1
            else openai_reply('{"word": "a"}')
            if "messages" in body
            else gemini_reply('{"word": "a"}')
        )
    ask(words(2), provider="gemini", api_key_env="ONE")
    ask(words(2), provider="openai", api_key_env="TWO", base_url=other_server.url)
    ask(words(2), provider="openai", api_key_env="THREE", base_url=other_server.url, model="m")
    sent = str(server.headers + other_server.headers)
    assert all(key in sent for key in keys.values())
    found = left()
    assert not [key for key in keys.values() if key in found]


def test_every_occurrence_of_a_key_is_left_out():
    assert without(KEY, f"{KEY} is wrong, not {KEY}; {KEY}{KEY}") == (
        "[key] is wrong, not [key]; [key][key]"
    )
    assert without(None, "as it is") == "as it is"
