"""Modes: who answers while the service is well, over real HTTP."""

import json
import random

import httpx
import pytest

from core.errors import UserError
from serving.gateway.kept_mode import ModeState
from serving.gateway.plan import in_canary
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    Harness,
    gemini_request,
    openai_request,
)

CHAT = "/v1/chat/completions"


def served(reply: httpx.Response) -> tuple[str, str]:
    return reply.headers["x-understudy-served-by"], reply.headers["x-understudy-reason"]


def change(servers: Harness, mode: str, **values: object) -> httpx.Response:
    return httpx.post(f"{servers.url}/understudy/mode", json={"mode": mode, **values})


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
def test_in_model_mode_the_tuned_model_answers_and_the_service_covers_it(servers, protocol):
    servers.start(servers.settings(mode="model"))
    assert servers.ask(protocol, stream=True) == MODEL_TEXT
    assert servers.service.received == []
    servers.model.behavior = fakes.unavailable
    assert servers.ask(protocol, stream=False) == SERVICE_TEXT
    assert [(e.served_by, e.reason) for e in servers.took(2)] == [
        ("model", "mode:model"),
        ("service", "model_failed"),
    ]


def test_with_the_service_off_nothing_goes_to_it(servers):
    servers.start(servers.settings(mode="model", model_failover="off"))
    servers.model.behavior = fakes.unavailable
    failed = servers.post(GEMINI_PATH, gemini_request())
    assert failed.status_code == 503
    assert "tuned model's server answered 503" in failed.text
    foreign = servers.post(GEMINI_PATH, gemini_request(system="Another task."))
    other = servers.post("/v1beta/models/gemini-x:countTokens", gemini_request())
    assert (foreign.status_code, other.status_code) == (503, 503)
    off = servers.post(GEMINI_PATH, gemini_request(), x_understudy_fallback="off")
    assert off.status_code == 503
    assert servers.service.received == []


def test_a_canary_is_sticky_and_grows(servers):
    servers.start(servers.settings(mode="canary", canary_percent=30, sticky_header="x-session-id"))

    def by_model() -> set[int]:
        return {
            user
            for user in range(40)
            if served(servers.post(GEMINI_PATH, gemini_request(), x_session_id=f"user {user}"))
            == ("model", "canary")
        }

    first = by_model()
    assert first == {user for user in range(40) if in_canary(f"user {user}", 30)}
    assert 4 <= len(first) <= 22
    assert by_model() == first
    assert change(servers, "canary", canary_percent=60).status_code == 200
    assert first < by_model()
    assert change(servers, "failover").status_code == 200
    assert by_model() == set()


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_canary_whose_model_fails_is_answered_by_the_service(servers, protocol, stream):
    servers.start(servers.settings(mode="canary", canary_percent=100))
    assert servers.ask(protocol, stream=stream) == MODEL_TEXT
    servers.model.behavior = fakes.unavailable
    assert servers.ask(protocol, stream=stream) == SERVICE_TEXT
    assert [(e.served_by, e.reason) for e in servers.took(2)] == [
        ("model", "canary"),
        ("service", "model_failed"),
    ]


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
@pytest.mark.parametrize("is_open", [False, True], ids=["service fails", "its breaker is open"])
def test_a_model_that_fails_first_is_the_reason_where_the_service_fails_too(
    servers, protocol, is_open
):
    breakers = {"failures_to_open": 1 if is_open else 1000, "jitter": 0}
    servers.start(servers.settings(mode="canary", canary_percent=100, breakers=breakers))
    servers.model.behavior = servers.service.behavior = fakes.unavailable
    path, body = {
        "gemini": (GEMINI_PATH, gemini_request()),
        "openai": (CHAT, openai_request()),
    }[protocol]
    for _ in range(2):
        assert served(servers.post(path, body)) == ("none", "model_failed:F6")
    assert change(servers, "failover").status_code == 200
    assert "model_failed" not in served(servers.post(path, body))[1]


@pytest.mark.parametrize("mode", ["canary", "cascade", "model"])
def test_a_prompt_beyond_the_context_is_the_services_and_no_failure_of_the_model(servers, mode):
    task = servers.task(measures_confidence=True, min_confidence=-0.2, context_length=70)
    servers.start(servers.settings(mode=mode, canary_percent=100), [task])
    reply = servers.post(GEMINI_PATH, gemini_request("A long story. " * 20))
    assert served(reply) == ("service", "unmatched:too_long")
    assert servers.model.received == []


def test_a_canary_sticks_to_the_user_of_openai_and_to_a_conversation(servers):
    servers.start(servers.settings(mode="canary", canary_percent=50))
    for user in ("ada", "bob", "eve", "joe"):
        reply = servers.post(CHAT, openai_request(user=user))
        assert (served(reply)[0] == "model") == in_canary(user, 50)
    for prompt in ("My kettle", "Where is my parcel", "I was charged twice", "It leaks"):
        reply = servers.post(GEMINI_PATH, gemini_request(prompt))
        assert (served(reply)[0] == "model") == in_canary(prompt, 50)


def test_a_canary_has_about_its_share():
    generator = random.Random(1)
    users = [f"{generator.random()}" for _ in range(20_000)]
    for percent in (0, 1, 25, 100):
        share = 100 * sum(in_canary(user, percent) for user in users) / len(users)
        assert share == pytest.approx(percent, abs=1)


def sure(log: float) -> fakes.Behavior:
    async def behave(request, reply):
        assert request.json["logprobs"] is True
        tokens = [{"token": "a", "logprob": log}, {"token": "b", "logprob": 0.0}]
        choice = {"index": 0, "delta": {"content": MODEL_TEXT}, "logprobs": {"content": tokens}}
        usage = {"prompt_tokens": 99, "completion_tokens": 2}
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
        await reply.begin_chunks()
        for part in ({"choices": [choice]}, end):
            await reply.chunk(b"data: " + json.dumps(part).encode() + b"\n\n")
        await reply.end_chunks()

    return behave


def test_a_cascade_gives_unsure_requests_to_the_service(servers):
    servers.model.behavior = sure(-0.1)
    task = servers.task(measures_confidence=True, min_confidence=-0.2)
    servers.start(servers.settings(mode="cascade"), [task])
    reply = servers.post(GEMINI_PATH, gemini_request())
    assert served(reply) == ("model", "confident")
    assert "x-understudy-confidence" not in reply.headers
    reply = servers.post(f"{GEMINI_STREAM_PATH}?alt=sse", gemini_request())
    assert served(reply) == ("model", "confident")
    servers.model.behavior = sure(-1.0)
    assert served(servers.post(GEMINI_PATH, gemini_request())) == ("service", "unsure")
    for protocol in ("gemini", "openai"):  # no piece of an unsure answer is streamed
        assert servers.ask(protocol, stream=True) == SERVICE_TEXT
    # An unsure answer is better than none, and is asked for once.
    servers.service.behavior = fakes.unavailable
    servers.forget()
    reply = servers.post(GEMINI_PATH, gemini_request())
    assert served(reply) == ("model", "F6")
    assert reply.headers["x-understudy-confidence"] == "low"
    assert len(servers.model.received) == 1


@pytest.mark.parametrize("mode", ["model", "canary"])
@pytest.mark.parametrize("protocol", ["gemini", "openai"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_unsure_answer_is_marked_in_every_form(servers, mode, protocol, stream):
    task = servers.task(measures_confidence=True, min_confidence=-0.2)
    servers.start(servers.settings(mode=mode, canary_percent=100), [task])
    paths = {"gemini": f"{GEMINI_STREAM_PATH}?alt=sse" if stream else GEMINI_PATH, "openai": CHAT}
    body = gemini_request() if protocol == "gemini" else openai_request(stream=stream)
    for log, mark in ((-1.0, "low"), (-0.1, None)):
        servers.model.behavior = sure(log)
        reply = servers.post(paths[protocol], body)
        assert (reply.status_code, reply.headers["x-understudy-served-by"]) == (200, "model")
        assert reply.headers.get("x-understudy-confidence") == mark


def test_without_a_threshold_no_answer_is_called_unsure(servers):
    servers.model.behavior = sure(-1.0)
    servers.start(servers.settings(mode="model"), [servers.task(measures_confidence=True)])
    assert "x-understudy-confidence" not in servers.post(GEMINI_PATH, gemini_request()).headers


def test_a_walk_of_one_task_moves_no_users_of_another(servers, tmp_path):
    capture = {"enabled": True, "folder": str(tmp_path)}
    tasks = [servers.task(), servers.task(name="billing", match="model", model_alias="billing")]
    servers.start(servers.settings(capture=capture), tasks)
    refused = change(servers, "canary", canary_percent=1, set_by="cutover")
    assert refused.status_code == 409
    assert "the gateway serves triage, billing. Start a gateway of its own" in refused.text
    assert change(servers, "failover", set_by="cutover").status_code == 200
    assert change(servers, "canary", canary_percent=1).status_code == 200


def test_a_mode_is_changed_only_from_the_one_that_was_expected(servers):
    servers.start(servers.settings(mode="canary", canary_percent=5))
    expected = {"mode": "canary", "canary_percent": 1}
    refused = change(servers, "canary", canary_percent=25, expected=expected)
    assert (refused.status_code, "was expected to be canary (1 %)" in refused.text) == (409, True)
    expected["canary_percent"] = 5
    assert change(servers, "canary", canary_percent=25, expected=expected).status_code == 200


@pytest.mark.parametrize("name", ["mode", "alarm", "sample", "reload"])
def test_a_page_of_another_site_changes_nothing(servers, name):
    servers.start()
    body = b'{"mode": "model", "name": "x", "raised": true, "text": "", "task": "triage"}'
    answer = httpx.post(
        f"{servers.url}/understudy/{name}", content=body, headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 415
    assert httpx.get(f"{servers.url}/understudy/status").json()["mode"]["mode"] == "failover"


def test_a_damaged_mode_is_no_other_mode(servers, tmp_path):
    (tmp_path / "mode.json").write_text('{"mode": "priv')
    with pytest.raises(UserError, match=r"mode\.json.*is damaged. Delete it to start with"):
        servers.start(state_dir=tmp_path)


def test_a_mode_that_needs_more_is_refused_at_the_start(servers):
    with pytest.raises(UserError, match=r"'shadow' needs captured exchanges"):
        servers.start(servers.settings(mode="shadow"))


def test_a_state_is_read_as_it_was_written():
    state = ModeState(mode="canary", canary_percent=1, since="2026-01-01T00:00:00+00:00")
    assert ModeState.model_validate_json(state.model_dump_json()) == state


@pytest.mark.slow
def test_axe_finds_nothing_on_the_live_page_with_an_alarm_and_requests(servers, browser):
    servers.start()
    servers.ask("gemini", stream=False)
    httpx.post(
        f"{servers.url}/understudy/alarm", json={"name": "drift", "raised": True, "text": "Drift."}
    )
    assert browser.audit(f"{servers.url}/understudy/") == []


@pytest.mark.slow
def test_the_live_page_shows_new_requests_without_being_loaded_again(servers, browser):
    servers.start()
    browser.open(f"{servers.url}/understudy/", 390)
    assert browser.overflow() == 0
    browser.run("window.kept = true; document.querySelector('[tabindex]').scrollLeft = 0")
    rows = "document.querySelectorAll('[aria-label=\"Latest requests\"] td.service').length"
    assert browser.run(f"return {rows}") == 0
    for asked in (1, 2):
        servers.ask("gemini", stream=False)
        browser.wait_for(f"{rows} === {asked}")
    assert browser.run("return window.kept"), "what the reader did on the page stays"
    assert browser.complaints() == []


async def hang(request, reply):
    await reply.stall()


@pytest.mark.parametrize("mode", ["canary", "cascade", "model"])
@pytest.mark.parametrize("header", ["x_server_timeout", "x_stainless_read_timeout"])
def test_a_model_that_hangs_leaves_the_service_the_time_to_answer(servers, mode, header):
    task = servers.task(measures_confidence=True, min_confidence=-0.2)
    servers.start(servers.settings(mode=mode, canary_percent=100), [task])
    servers.model.behavior = hang
    reply = servers.post(GEMINI_PATH, gemini_request(), **{header: "2"})
    assert served(reply) == ("service", "model_failed")
    assert len(servers.service.received) == 1


def test_callers_with_a_deadline_find_out_a_model_that_hangs(servers):
    servers.start(
        servers.settings(
            mode="canary", canary_percent=100, breakers={"failures_to_open": 2, "jitter": 0}
        )
    )
    for _ in range(5):
        assert servers.ask("gemini", stream=False) == MODEL_TEXT
    servers.model.behavior = hang
    for _ in range(2):
        reply = servers.post(GEMINI_PATH, gemini_request(), x_server_timeout="4")
        assert served(reply) == ("service", "model_failed")
    alarm = 'understudy_alarm{name="tuned_model:triage"} 1.0'
    assert alarm in httpx.get(f"{servers.url}/understudy/metrics").text


def test_impatient_callers_open_no_breaker(servers):
    servers.start(
        servers.settings(
            mode="canary", canary_percent=100, breakers={"failures_to_open": 2, "jitter": 0}
        )
    )
    for _ in range(5):
        assert servers.ask("gemini", stream=False) == MODEL_TEXT
    servers.model.behavior = hang
    for _ in range(4):
        reply = servers.post(GEMINI_PATH, gemini_request(), x_server_timeout="0.3")
        assert served(reply) in [("service", "model_failed"), ("none", "model_failed:deadline")]
    alarm = 'understudy_alarm{name="tuned_model:triage"} 1.0'
    assert alarm not in httpx.get(f"{servers.url}/understudy/metrics").text
