"""`understudy check --online` as a command: it would have shown what ended or harmed first runs."""

import pytest

from pipeline.cli.main import main
from service_llm.providers import gemini_schema
from standin.server import serve
from tests.pipeline.test_online_check import good
from tests.service_llm.conftest import ScriptedServer

PRICE = "{prompt_usd_per_million_tokens: 1, output_usd_per_million_tokens: 2}"


@pytest.fixture
def server():
    server = ScriptedServer()
    server.respond = lambda body, number: good(body)
    yield server
    server.close()


def check(capsys, preset, *overrides):
    """The exit status, and what was written to both streams, as words in one line."""
    values = [part for override in overrides for part in ("--set", override)]
    status = main(["check", "--preset", preset, "--online", *values])
    written = capsys.readouterr()
    return status, " ".join(written.out.split()), " ".join(written.err.split())


def of(url):
    return (f"service_llm.base_url={url}", f"service_llm.price={PRICE}")


def test_what_works_is_told_with_its_cost_and_a_reply(capsys, server):
    status, out, _ = check(capsys, "openai-compatible", *of(f"{server.url}/v1"))
    assert status == 0
    assert out.count(": works;") == len(server.bodies) > 3
    assert "7 + 3 tokens, 0.00001 USD" in out
    assert '{"output": "a"}' in out


def test_without_online_nothing_is_sent(capsys, server):
    arguments = [part for value in of(f"{server.url}/v1") for part in ("--set", value)]
    assert main(["check", "--preset", "openai-compatible", *arguments]) == 0
    assert server.bodies == []


@pytest.mark.unpublished
def test_it_would_have_shown_a_schema_that_the_api_does_not_take(capsys, monkeypatch):
    """What google-genai made of `extra="forbid"`: python-genai#1815."""
    as_it_is = gemini_schema.schema_field

    def as_it_was(model):
        name, schema = as_it_is(model)
        forbids = model.model_config.get("extra") == "forbid"
        return name, schema | ({"additional_properties": False} if forbids else {})

    with monkeypatch.context() as patch, serve() as server:
        patch.setattr("service_llm.providers.gemini_parameters.schema_field", as_it_was)
        status, _, err = check(capsys, "offline", f"service_llm.base_url={server.url}")
        assert server.stats()["bad_requests"] > 0
    assert status == 2
    assert "attributes: FAILED, without responseSchema" in err, "the stand-in needs it"
    with serve() as server:
        status, out, _ = check(capsys, "offline", f"service_llm.base_url={server.url}")
        assert server.stats()["bad_requests"] == 0
    assert (status, out.count(": works;")) == (0, 6)


def test_it_would_have_shown_a_parameter_that_the_model_refuses(capsys, server):
    def respond(body, number):
        if "temperature" not in body:
            return good(body)
        message = "Unsupported value: 'temperature' does not support 0.7 with this model."
        return 400, {"error": {"message": message, "param": "temperature", "code": None}}

    server.respond = respond
    status, out, _ = check(capsys, "openai-compatible", *of(f"{server.url}/v1"))
    assert status == 0
    assert out.count(": works, without temperature;") == len(server.bodies) - 1


ADDRESSES = {
    "LM Studio": (200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
    "Ollama": (404, b"404 page not found"),
}


@pytest.mark.parametrize("answer", ADDRESSES.values(), ids=ADDRESSES)
def test_it_would_have_shown_an_address_without_v1(capsys, server, answer):
    server.respond = lambda body, number: answer
    status, _, err = check(capsys, "openai-compatible", *of(server.url))
    assert status == 2
    assert f"like {server.url}/v1." in err
    assert "would fail or lose rows at: attributes, prompts" in err


def test_it_would_have_shown_a_wrong_port(capsys):
    quick = ("service_llm.retry_seconds=0.01", "service_llm.max_attempts=2")
    status, _, err = check(capsys, "openai-compatible", *of("http://127.0.0.1:9/v1"), *quick)
    assert status == 2
    assert "cannot be reached" in err
