"""On Vertex AI, too: refused parameters, other models, and outages."""

import pytest

from service_llm.errors import BadRequestError, UnreachableError
from service_llm.served import other_model, shutdown_warning
from service_llm.settings import ServiceLLMSettings
from tests.service_llm.conftest import VERTEX, Word, gemini_error, gemini_reply, words
from tests.service_llm.test_replies import WORD
from tests.service_llm.test_served import TODAY

GOOD = gemini_reply(WORD)


def refused(message):
    """As Vertex AI words it: https://github.com/deepset-ai/haystack-core-integrations/issues/2845"""
    return gemini_error(400, "INVALID_ARGUMENT", f"Unable to submit request because {message}")


REFUSALS = {
    "thinkingConfig": "thinking_budget is out of range; supported values are from 512 to 24576.",
    "seed": "seed is not supported by this model.",
    "temperature": "temperature must be 1 with this model.",
}


@pytest.mark.parametrize(("name", "message"), REFUSALS.items())
def test_a_parameter_that_a_model_refuses_is_left_out(ask, server, cloud, name, message):
    server.respond = lambda body, number: (
        refused(message) if name in body["generationConfig"] else GOOD
    )
    results, usage = ask(words(3), thinking=0, max_attempts=1, **VERTEX)
    assert all(result.value == Word(word="a") for result in results)
    assert (len(server.bodies), usage.calls) == (1 + 3, 3), "it is learned once"


def test_an_output_limit_is_kept_to(ask, server, cloud):
    """https://github.com/BerriAI/litellm/pull/10548"""
    message = (
        "it has a maxOutputTokens value of 10240 but the supported range is from 1 (inclusive) to "
        "8193 (exclusive). Update the value and try again."
    )
    server.respond = lambda body, number: (
        GOOD if body["generationConfig"]["maxOutputTokens"] <= 8192 else refused(message)
    )
    results, _ = ask(words(2), max_attempts=1, **VERTEX)
    assert all(result.value == Word(word="a") for result in results)
    assert len(server.bodies) == 1 + 2


def test_an_error_about_what_was_not_sent_shows_its_own_words(ask, server, cloud):
    server.respond = lambda body, number: refused("temperature must be 1 with this model.")
    with pytest.raises(BadRequestError, match="400 Unable to submit request because temperature"):
        ask(words(1), **VERTEX)
    assert len(server.bodies) == 2


def test_a_reply_of_another_model_is_seen_in_the_usage(ask, server, cloud):
    server.respond = lambda body, number: (
        GOOD[0], GOOD[1] | {"modelVersion": "gemini-3.5-flash-lite" if number == 2 else "x"}
    )  # fmt: skip
    results, usage = ask(words(2), max_concurrency=1, **VERTEX)
    assert usage.model_versions == ("gemini-3.5-flash-lite", "x")
    assert [other_model("gemini-2.5-flash", r.model_version, TODAY) for r in results] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("model", "is_warned_of"),
    [
        ("gemini-2.5-flash", True),
        ("google/gemini-2.5-flash", True),
        ("gemini-3.5-flash-lite", False),
    ],
)
def test_the_shutdown_day_of_vertex_ai_counts(model, is_warned_of):
    settings = ServiceLLMSettings(provider="gemini", model=model, **VERTEX)
    warning = shutdown_warning(settings, TODAY)
    assert (warning is not None) == is_warned_of
    if is_warned_of:
        assert "by Vertex AI on 2026-10-20" in warning


def test_gemini_3_is_asked_with_a_level_of_thinking_and_its_own_temperature(ask, server, cloud):
    """https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking"""
    server.respond = lambda body, number: GOOD
    ask(words(1), model="gemini-3.5-flash-lite", thinking="minimal", **VERTEX)
    config = server.bodies[0]["generationConfig"]
    assert "temperature" not in config
    assert config["thinkingConfig"] in (
        {"thinkingLevel": "MINIMAL"}, {"thinking_level": "MINIMAL"},
    )  # fmt: skip


# https://github.com/firebase/firebase-js-sdk/issues/8232
UNAVAILABLE = gemini_error(503, "UNAVAILABLE", "The service is currently unavailable.")


def test_an_overload_is_sat_out_whatever_the_number_of_attempts(ask, server, cloud):
    server.respond = lambda body, number: UNAVAILABLE if number <= 5 else GOOD
    results, usage = ask(words(4), max_attempts=1, give_up_after_seconds=30, **VERTEX)
    assert all(result.value == Word(word="a") for result in results)
    assert usage.calls == 4


def test_an_overload_that_lasts_ends_the_run_with_its_own_words(ask, server, cloud):
    server.respond = lambda body, number: UNAVAILABLE
    with pytest.raises(UnreachableError, match=r"503 The service is currently unavailable.*sent"):
        ask(words(4), max_attempts=1, give_up_after_seconds=0.05, **VERTEX)
    assert len(server.bodies) > 1


def test_an_overload_in_a_200_and_a_page_are_sat_out_too(ask, server, cloud):
    answers = [GOOD, (200, UNAVAILABLE[1]), (200, b"<html>Sign in</html>")]
    server.respond = lambda body, number: answers[number - 1] if number <= 3 else GOOD
    results, _ = ask(
        words(3), max_attempts=1, max_concurrency=1, give_up_after_seconds=30, **VERTEX
    )
    assert all(result.value == Word(word="a") for result in results)
    assert len(server.bodies) == 3 + 2
