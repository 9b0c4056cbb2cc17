"""Every way in which a service refuses a key: covered and told, for a key that worked before."""

import json
import uuid

import httpx
import pytest

from tests.serving.gateway import fakes
from tests.serving.gateway.faulty import FAULTS, FORMS, error_json, reason, status
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    gemini_request,
    openai_request,
)


def refusal(code: int, name: str, message: str = "no", why: str = "") -> tuple:
    body = error_json(code, name, message, reason(why) if why else None)
    return body, status(code, body)


# https://ai.google.dev/gemini-api/docs/troubleshooting and google/api/error_reason.proto
REFUSALS = {
    "401": refusal(401, "UNAUTHENTICATED"),
    "key as 400": refusal(400, "INVALID_ARGUMENT", why="API_KEY_INVALID"),
    "key as 400 without a reason": refusal(
        400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."
    ),
    "key expired": refusal(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."),
    "billing as 403": refusal(403, "PERMISSION_DENIED", why="BILLING_DISABLED"),
    "billing as 400": refusal(400, "FAILED_PRECONDITION", why="BILLING_DISABLED"),
    "billing as 400 without a reason": refusal(
        400,
        "FAILED_PRECONDITION",
        "Gemini API free tier is not available in your country. Please enable billing on your "
        "project in Google AI Studio.",
    ),
    "402": refusal(402, "FAILED_PRECONDITION"),
    "region as 400": refusal(
        400, "FAILED_PRECONDITION", "User location is not supported for the API use."
    ),
    "region as 403": refusal(403, "PERMISSION_DENIED", why="LOCATION_POLICY_VIOLATED"),
    "suspended": refusal(403, "PERMISSION_DENIED", why="CONSUMER_SUSPENDED"),
}


# What the caller wrote stands in the service's message.
@pytest.mark.parametrize(
    "text",
    ["How do I enable billing?", "API key not valid", "billing account", "API key expired"],
)
def test_an_error_that_quotes_the_caller_says_nothing_of_the_key(servers, text):
    servers.start()
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
    message = f"Invalid value at 'contents[0].parts[0]' (text), \"{text}\""
    body, servers.service.behavior = refusal(400, "INVALID_ARGUMENT", message)
    answer = servers.post(GEMINI_PATH, gemini_request())
    assert (answer.status_code, answer.content) == (400, body)
    servers.service.behavior = fakes.healthy(SERVICE_TEXT)
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
    assert servers.model.received == []


def alarms(servers) -> dict[str, str]:
    told = httpx.get(f"{servers.url}/understudy/status").json()["alarms"]
    return {it["name"]: it["text"] for it in told}


@pytest.fixture
def fresh(well):
    """The same for a key that the service has not met yet."""
    well.key = f"a-key-{uuid.uuid4()}"
    for name in alarms(well):
        well.app._gateway.alarms.set(name, False, "of another test")
    return well


@pytest.mark.parametrize("way", REFUSALS)
@pytest.mark.parametrize(("protocol", "stream"), FORMS)
def test_a_key_that_worked_is_covered_and_its_refusal_told(fresh, way, protocol, stream):
    assert fresh.ask(protocol, stream=stream) == SERVICE_TEXT
    fresh.service.behavior = REFUSALS[way][1]
    assert fresh.ask(protocol, stream=stream) == MODEL_TEXT
    assert [(it.served_by, it.reason) for it in fresh.took(2)] == [
        ("service", "ok"),
        ("model", "F8"),
    ]
    [(name, text)] = alarms(fresh).items()
    assert name.startswith("key:")
    assert "to a key that worked before. Check the key, its billing and its region" in text
    metric = f'understudy_alarm{{name="{name}"}}'
    assert f"{metric} 1.0" in httpx.get(f"{fresh.url}/understudy/metrics").text
    assert fresh.key not in text + name


@pytest.mark.parametrize("way", REFUSALS)
@pytest.mark.parametrize("path", [GEMINI_PATH, "/v1/chat/completions"])
def test_a_key_that_never_worked_gets_the_services_word_and_raises_nothing(fresh, way, path):
    body, fresh.service.behavior = REFUSALS[way]
    answer = fresh.post(path, openai_request() if "chat" in path else gemini_request())
    assert answer.content.strip(b"[]") == body
    assert answer.status_code == json.loads(body)["error"]["code"]
    assert answer.headers["x-understudy-served-by"] == "service"
    assert fresh.model.received == []
    assert alarms(fresh) == {}


def test_a_key_that_met_another_fault_only_has_not_worked(fresh):
    for fault in ("F6 503", "F10 no candidate"):
        fresh.service.behavior = FAULTS[fault][1]
        assert fresh.ask("gemini", stream=False) == MODEL_TEXT
    fresh.service.behavior = REFUSALS["401"][1]
    assert fresh.post(GEMINI_PATH, gemini_request()).status_code == 401
    assert alarms(fresh) == {}


def test_how_many_keys_are_refused_is_in_the_status(servers):
    servers.start()

    def refused():
        status_url = f"{servers.url}/understudy/status"
        return httpx.get(status_url).json()["keys_refused_or_limited"]

    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
    assert refused() == 0
    servers.service.behavior = REFUSALS["401"][1]
    for _ in range(10):
        assert servers.ask("gemini", stream=False) == MODEL_TEXT
    assert refused() == 1
