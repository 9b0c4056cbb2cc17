"""Models come and go: shutdown days, other models that answer, and what Gemini 3 asks for."""

import datetime

import pytest

from pipeline.check import check_task
from pipeline.config import load_config
from service_llm.cost import listed_price
from service_llm.served import other_model, service_warnings, shutdown_warning
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request, Usage
from tests.service_llm.conftest import Word, gemini_reply, words

TODAY = datetime.date(2026, 11, 29)


def settings(model, **changes):
    return ServiceLLMSettings(
        **{"provider": "gemini", "model": model, "api_key_env": "A_KEY"} | changes
    )


@pytest.mark.parametrize("preset", ["gemini", "gemini-vertex"])
def test_the_presets_name_models_that_are_served(preset):
    overrides = ["service_llm.vertex_project=p"] if preset == "gemini-vertex" else []
    config = load_config(preset, overrides, environ={})
    for llm in config.services.values():
        assert listed_price(llm.model, TODAY) is not None, "its dates are known"
        assert shutdown_warning(llm, datetime.date(2027, 3, 1)) is None
    assert config.service_llm.thinking == "minimal", "a level, as Gemini 3 takes it"


@pytest.mark.parametrize(
    ("changes", "words_of_it"),
    [
        ({}, "will be shut down by its provider on 2026-12-01. Requests for it may be answered by"),
        ({"vertex_project": "p", "api_key_env": None}, "was shut down by Vertex AI on 2026-10-20"),
    ],
    ids=["AI Studio", "Vertex AI"],
)
def test_a_model_with_a_shutdown_day_is_warned_of_with_its_successor(changes, words_of_it):
    warning = shutdown_warning(settings("gemini-2.5-flash", **changes), TODAY)
    assert words_of_it in warning
    assert "Change to gemini-3.5-flash-lite." in warning


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("gemini-3.5-flash-lite", {}),
        ("gemini-2.5-flash-lite", {}),
        ("gemini-2.5-flash", {"base_url": "http://127.0.0.1:8000"}),
        ("a-model-of-ours", {}),
    ],
    ids=["served", "served on AI Studio alone", "at another address", "unknown"],
)
def test_no_other_model_is_warned_of(model, changes):
    assert shutdown_warning(settings(model, **changes), TODAY) is None


def test_check_warns_before_anything_is_sent(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "a-key")
    config = load_config("gemini", ["service_llm.model=gemini-2.5-flash"], environ={})
    assert check_task(config).count("Warning: gemini-2.5-flash w") == 1


@pytest.mark.parametrize(
    ("asked", "answered", "is_other"),
    [
        ("gemini-2.5-flash", "gemini-3.5-flash-lite", True),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite", True),
        ("gemini-2.5-flash", "gemini-2.5-flash-preview-09-2025", False),
        ("models/gemini-2.5-flash", "gemini-2.5-flash-001", False),
        ("gpt-5-mini", "gpt-5-mini-2025-08-07", False),
        ("openai/gpt-5-mini", "openai/gpt-5-nano", True),
        ("gemini-2.0-flash", "gemini-3.1-flash-lite", True),
        ("claude-sonnet-4-5", "gpt-4o-mini", True),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", False),
        ("gemini-flash-latest", "gemini-3.8-flash", False),
        ("default", "/models/gemma-3-4b.gguf", False),
        ("stand-in-demo", "stand-in-1", False),
        ("gemini-2.5-flash", "", False),
    ],
)
def test_another_model_is_told_by_its_name(asked, answered, is_other):
    assert other_model(asked, answered, TODAY) == is_other


def test_what_answered_is_in_the_usage_and_warned_of(ask, server):
    def respond(body, number):
        status, reply = gemini_reply('{"word": "a"}')
        return status, reply | {"modelVersion": f"gemini-2.5-flash-00{1 + (number > 3)}"}

    server.respond = respond
    _, usage = ask(words(6))
    assert usage.model_versions == ("gemini-2.5-flash-001", "gemini-2.5-flash-002")
    (changed,) = service_warnings(settings("gemini-2.5-flash", base_url=server.url), usage, TODAY)
    assert "answered as gemini-2.5-flash-001 and as gemini-2.5-flash-002 within this run" in changed


def test_a_rerouted_model_and_unknown_counts_are_warned_of():
    usage = Usage(9, 1, 1, 0.1, unknown_calls=4, model_versions=("gemini-3.5-flash-lite",))
    shutdown, other, unknown = service_warnings(settings("gemini-2.5-flash"), usage, TODAY)
    assert "2026-12-01" in shutdown
    assert "gemini-2.5-flash was asked for, and gemini-3.5-flash-lite answered" in other
    assert "4 of 9 calls" in unknown


def test_the_model_of_another_configured_service_is_not_warned_of():
    versions = ("a-model-of-ours", "gpt-5-mini-2025-08-07")
    usage = Usage(9, 1, 1, 0.1, model_versions=versions)
    generator, judge = settings("gpt-5-mini"), settings("a-model-of-ours")
    for asked in (generator, judge):
        assert service_warnings(asked, usage, TODAY, (generator, judge)) == []


@pytest.mark.parametrize(
    ("model", "sends_it"),
    [("gemini-2.5-flash", True), ("gemini-3.5-flash-lite", False), ("models/gemini-3-pro", False)],
)
def test_gemini_3_keeps_its_own_temperature(ask, server, model, sends_it):
    """https://ai.google.dev/gemini-api/docs/gemini-3: strongly recommended to keep at 1."""
    server.respond = lambda body, number: gemini_reply('{"word": "a"}')
    ask([Request("word", Word, temperature=0.2)], model=model, thinking="minimal")
    config = server.bodies[0]["generationConfig"]
    assert ("temperature" in config) == sends_it
    assert config["thinkingConfig"] in (
        {"thinkingLevel": "MINIMAL"},
        {"thinking_level": "MINIMAL"},
    )
