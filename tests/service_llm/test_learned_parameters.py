"""What a model refuses is learned for this model, by however many requests were in flight."""

import collections
import threading

import pytest

from service_llm.client import open_service_llm
from service_llm.types import Request
from tests.service_llm.conftest import GOOD, PROVIDERS, Word, gemini_error, words
from tests.service_llm.test_parameters import carries, error

CROWD = 8


def carried(body, what):
    """Whether a request carries a parameter, in either protocol."""
    if what == "strict":
        return body["response_format"].get("json_schema", {}).get("strict", False)
    return what in body["generationConfig"] if "contents" in body else carries(body, what)


UNAVAILABLE = error("This response_format type is unavailable now", None, "invalid_request_error")
NO_TEMPERATURE = gemini_error(400, "INVALID_ARGUMENT", "temperature must be 1 with this model.")
NO_SCHEMA = gemini_error(400, "INVALID_ARGUMENT", "response_schema is not supported.")
NO_JSON = gemini_error(400, "INVALID_ARGUMENT", "Json mode is not enabled for models/gemma-3")
REFUSALS = {
    "seed": ("openai", "seed", error("Unknown parameter: 'seed'.", "seed", "unknown_parameter")),
    "strict": ("openai", "strict", error("strict: Extra inputs are not permitted")),
    # https://github.com/bytedance/deer-flow/issues/545
    "json_schema": ("openai", "json_schema", UNAVAILABLE),
    "Gemini's temperature": ("gemini", "temperature", NO_TEMPERATURE),
    "Gemini's schema": ("gemini", "responseSchema", NO_SCHEMA),
    # https://github.com/google-gemini/deprecated-generative-ai-python/issues/137
    "Gemma's JSON mode": ("gemini", "responseMimeType", NO_JSON),
    "Vertex AI's temperature": ("vertex", "temperature", NO_TEMPERATURE),
    "Vertex AI's schema": ("vertex", "responseSchema", NO_SCHEMA),
}


@pytest.mark.parametrize(("provider", "what", "refusal"), REFUSALS.values(), ids=REFUSALS)
def test_requests_that_were_in_flight_with_the_parameter_are_sent_again(
    ask, server, provider, what, refusal
):
    """The first reply is good, then eight carry what is refused from that moment on."""
    crowd = threading.Barrier(CROWD, timeout=20)

    def respond(body, number):
        if number == 1 or not carried(body, what):
            return GOOD[provider]
        if number <= 1 + CROWD:
            crowd.wait()
        return refusal

    server.respond = respond
    options = {"max_concurrency": CROWD, "max_attempts": 1, **PROVIDERS[provider]}
    results, usage = ask(words(1 + CROWD), **options)
    assert all(result.value == Word(word="a") for result in results)
    assert (usage.calls, len(server.bodies)) == (1 + CROWD, 1 + 2 * CROWD)


@pytest.mark.parametrize(("provider", "what", "refusal"), REFUSALS.values(), ids=REFUSALS)
def test_what_was_learned_is_told_once_in_the_services_own_words(
    ask, server, provider, what, refusal, caplog
):
    caplog.set_level("INFO", "understudy.progress")
    server.respond = lambda body, number: refusal if carried(body, what) else GOOD[provider]
    ask(words(5), model="m", **PROVIDERS[provider])
    (told,) = [text for record in caplog.records if "does not" in (text := record.getMessage())]
    name, done = what, "it is left out"
    if what == "json_schema":
        name, done = "response_format", "response_format json_object is sent instead"
    assert told == f"m does not accept {name}: {done} ({refusal[1]['error']['message']})"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_one_model_of_a_run_refuses_is_still_sent_to_the_other(
    tmp_path, settings, server, provider
):
    refusal = NO_TEMPERATURE if provider != "openai" else error("No.", "temperature")

    def model_of(body, path):
        return body.get("model") or path.rpartition("/")[2].partition(":")[0]

    def respond(body, number):
        is_judge = model_of(body, server.paths[number - 1]) == "a-judge"
        return refusal if is_judge and carried(body, "temperature") else GOOD[provider]

    server.respond = respond
    opened = {
        model: open_service_llm(
            settings(model=model, **PROVIDERS[provider]),
            journal_uri=str(tmp_path),
            component=model,
            round=1,
        )
        for model in ("a-generator", "a-judge")
    }
    with opened["a-generator"] as generator, opened["a-judge"] as judge:
        for number in range(3):
            for llm in (generator, judge):
                (result,) = llm.map([Request(f"word {number}", Word, temperature=0.2)])
                assert result.value == Word(word="a")
    sent = collections.Counter(
        (model_of(body, path), carried(body, "temperature"))
        for body, path in zip(server.bodies, server.paths, strict=True)
    )
    assert sent == {("a-generator", True): 3, ("a-judge", True): 1, ("a-judge", False): 3}
