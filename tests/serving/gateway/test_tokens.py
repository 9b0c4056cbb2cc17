"""Tokens that change every hour: whom the tuned model covers when the service refuses one."""

import httpx
import pytest

from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    SERVICE_TEXT,
    gemini_request,
    openai_request,
)
from tests.serving.gateway.refused import denied

VERTEX_PATH = "/v1/projects/{}/locations/europe-west4/publishers/google/models/gemini-x"


OWN_KEY = "open sesame"


@pytest.fixture
def with_own_key(servers, monkeypatch):
    """A gateway with a key of its own on this machine, whose service refuses most tokens."""
    monkeypatch.setenv("GATEWAY_KEY", OWN_KEY)
    healthy = fakes.healthy(SERVICE_TEXT)
    servers.good_tokens = {"first"}

    async def behave(request, reply):
        is_good = request.header("authorization").removeprefix("Bearer ") in servers.good_tokens
        await (healthy if is_good else denied)(request, reply)

    servers.service.behavior = behave
    return servers.start(servers.settings(key_env="GATEWAY_KEY"))


def ask_vertex(servers, token, *, own_key=OWN_KEY, project="shop", openai=False):
    path = f"{VERTEX_PATH.format(project)}:generateContent"
    body = gemini_request()
    if openai:
        path = f"/v1/projects/{project}/locations/global/endpoints/openapi/chat/completions"
        body = openai_request()
    headers = {"authorization": f"Bearer {token}"}
    if own_key:
        headers["x-understudy-key"] = own_key
    answer = httpx.post(servers.url + path, json=body, headers=headers)
    return answer.headers["x-understudy-served-by"]


@pytest.mark.parametrize("openai", [False, True])
def test_a_new_token_is_covered_where_its_caller_brings_the_gateways_key(
    with_own_key, openai, capfd
):
    servers = with_own_key
    assert ask_vertex(servers, "first") == "service"
    servers.good_tokens.clear()
    assert ask_vertex(servers, "second", openai=openai) == "model"
    assert "alarm project:shop raised" in capfd.readouterr().err
    assert "x-understudy-key" not in str(servers.service.received[-1].headers)


@pytest.mark.parametrize(
    "stranger",
    [
        {"own_key": ""},
        {"own_key": "guessed"},
        {"project": "another"},
        {"project": "shop%2F..%2Fshop"},
        {"project": "SHOP"},
    ],
)
def test_a_project_in_a_path_proves_nothing(with_own_key, stranger):
    servers = with_own_key
    assert ask_vertex(servers, "first") == "service"
    servers.good_tokens.clear()
    for token in ("second", "third"):
        assert ask_vertex(servers, token, **stranger) == "service"
    assert servers.model.received == []


def test_the_gateways_key_alone_covers_no_project_that_never_worked(with_own_key):
    with_own_key.good_tokens.clear()
    assert ask_vertex(with_own_key, "first") == "service"
    assert with_own_key.model.received == []


def test_an_api_key_is_not_covered_for_a_project(with_own_key):
    assert ask_vertex(with_own_key, "first") == "service"
    with_own_key.good_tokens.clear()
    url = with_own_key.url + VERTEX_PATH.format("shop") + ":generateContent"
    headers = {"x-goog-api-key": "new", "x-understudy-key": OWN_KEY}
    answer = httpx.post(url, json=gemini_request(), headers=headers)
    assert answer.headers["x-understudy-served-by"] == "service"


def test_a_project_that_worked_is_known_after_a_restart(with_own_key, tmp_path):
    servers = with_own_key
    settings = servers.settings(key_env="GATEWAY_KEY")
    servers.restart(settings, state_dir=tmp_path)
    assert ask_vertex(servers, "first") == "service"
    servers.good_tokens.clear()
    servers.restart(settings, state_dir=tmp_path)
    assert ask_vertex(servers, "second") == "model"
    assert "shop" not in (tmp_path / "keys.json").read_text()


def test_an_outage_in_which_no_new_token_is_covered_raises_the_alarm(with_own_key, capfd):
    servers = with_own_key
    assert ask_vertex(servers, "first", own_key="") == "service"
    servers.good_tokens.clear()
    assert ask_vertex(servers, "second", own_key="") == "service"
    assert "alarm" not in capfd.readouterr().err  # one caller's token may be wrong
    servers.clock.now += 61
    assert ask_vertex(servers, "third", own_key="") == "service"
    assert "its caller is not covered: send the gateway's own key" in capfd.readouterr().err


def test_one_callers_wrong_token_raises_the_alarm_once(with_own_key, capfd):
    servers = with_own_key
    for _ in range(3):
        assert ask_vertex(servers, "first") == "service"
        assert ask_vertex(servers, "wrong") == "model"
    assert capfd.readouterr().err.count("alarm project:shop") == 1
    servers.clock.now += 61
    assert ask_vertex(servers, "first") == "service"
    servers.took(7)
    assert "alarm project:shop cleared" in capfd.readouterr().err
