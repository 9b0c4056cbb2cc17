"""Modes: who answers while the service is well, over real HTTP."""

import json
import os
import random
import re
import shutil
import sys

import httpx
import pytest

from core.errors import UserError
from serving.commands import _mode
from serving.gateway.kept_mode import ModeState
from serving.gateway.modes import Modes, in_canary
from serving.running import RefusedError, RunningGateway
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


async def unavailable(request, reply):
    await reply.whole(b'{"error": {"code": 503, "status": "UNAVAILABLE"}}', 503)


def served(reply: httpx.Response) -> tuple[str, str]:
    return reply.headers["x-understudy-served-by"], reply.headers["x-understudy-reason"]


def change(servers: Harness, mode: str, **values: object) -> httpx.Response:
    return httpx.post(f"{servers.url}/understudy/mode", json={"mode": mode, **values})


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
def test_in_model_mode_the_tuned_model_answers_and_the_service_covers_it(servers, protocol):
    servers.start(servers.settings(mode="model"))
    assert servers.ask(protocol, stream=True) == MODEL_TEXT
    assert servers.service.received == []
    servers.model.behavior = unavailable
    assert servers.ask(protocol, stream=False) == SERVICE_TEXT
    assert [(e.served_by, e.reason) for e in servers.took(2)] == [
        ("model", "mode:model"),
        ("service", "model_failed"),
    ]


def test_with_the_service_off_nothing_goes_to_it(servers):
    servers.start(servers.settings(mode="model", model_failover="off"))
    servers.model.behavior = unavailable
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
    servers.model.behavior = unavailable
    assert servers.ask(protocol, stream=stream) == SERVICE_TEXT
    assert [(e.served_by, e.reason) for e in servers.took(2)] == [
        ("model", "canary"),
        ("service", "model_failed"),
    ]


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
    servers.service.behavior = unavailable
    servers.forget()
    reply = servers.post(GEMINI_PATH, gemini_request())
    assert served(reply) == ("model", "F6")
    assert reply.headers["x-understudy-confidence"] == "low"
    assert len(servers.model.received) == 1


def test_the_mode_is_kept_over_restarts(servers, tmp_path):
    servers.start(state_dir=tmp_path)
    port = int(servers.url.rpartition(":")[2])
    gateway = RunningGateway(port)
    assert gateway.status()["mode"]["mode"] == "failover"
    assert gateway.post("mode", {"mode": "canary", "canary_percent": 12.5})["mode"] == "canary"
    for mode, problem in (
        ("quick", "choose one of failover, shadow"),
        ("shadow", "serving.capture"),
    ):
        with pytest.raises(RefusedError, match=problem):
            gateway.post("mode", {"mode": mode})
    with pytest.raises(RefusedError, match="run `understudy confidence`"):
        gateway.post("mode", {"mode": "cascade"})
    text = httpx.get(f"{servers.url}/understudy/metrics").text
    assert 'understudy_mode{mode="canary"} 1.0' in text
    assert "12.5 % of the users" in httpx.get(f"{servers.url}/understudy/").text
    servers.restart(state_dir=tmp_path)
    status = httpx.get(f"{servers.url}/understudy/status").json()["mode"]
    assert (status["mode"], status["canary_percent"]) == ("canary", 12.5)


def full_disk(folder):
    (folder / f"mode.{os.getpid()}.part").symlink_to("/dev/full")


def no_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.touch()


@pytest.mark.parametrize("breaks", [full_disk, no_folder])
def test_the_way_back_to_the_service_needs_no_disk(servers, tmp_path, breaks):
    state = tmp_path / "state"
    settings = servers.settings(mode="canary", canary_percent=100)
    servers.start(settings, state_dir=state)
    assert change(servers, "canary", canary_percent=100).json()["warning"] == ""
    for mode in ("canary", "private"):  # nobody is told that these hold
        breaks(state)
        refused = change(servers, mode, canary_percent=50)
        assert (refused.status_code, "cannot be written" in refused.text) == (409, True)
    assert served(servers.post(GEMINI_PATH, gemini_request())) == ("model", "canary")

    breaks(state)
    port = int(servers.url.rpartition(":")[2])
    said = _mode(RunningGateway(port), "failover", None)
    assert re.search(r"mode is failover, .* Warning: .*state.*until the gateway restarts", said)
    assert served(servers.post(GEMINI_PATH, gemini_request())) == ("service", "ok")
    [alarm] = httpx.get(f"{servers.url}/understudy/status").json()["alarms"]
    assert (alarm["name"], "until the gateway restarts" in alarm["text"]) == ("mode", True)

    if state.is_file():
        state.unlink()
    assert change(servers, "failover").json()["warning"] == ""
    assert httpx.get(f"{servers.url}/understudy/status").json()["alarms"] == []


def modes_of(servers, folder, **settings) -> Modes:
    return Modes(servers.settings(**settings), lambda: [servers.task()], folder)


def test_gateways_of_one_folder_have_one_mode(servers, tmp_path):
    one, other = (modes_of(servers, tmp_path) for _ in range(2))
    seen = []
    other.watch(lambda state: seen.append(state.mode))
    for mode, percent in (("canary", 25), ("canary", 100), ("failover", 0)):
        one.change(mode, percent)
        assert other.is_outdated()
        other.refresh()
        assert (other.current, other.is_outdated()) == (one.current, False)
    assert seen == ["failover", "canary", "canary", "failover"]
    assert not one.is_outdated()


def test_a_gateway_follows_the_mode_that_another_one_has_set(servers, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.gateway.app._LOOK_SECONDS", 0.01)
    servers.start(state_dir=tmp_path)
    another = modes_of(servers, tmp_path)
    another.change("canary", 100)
    servers.wait_until(
        lambda: served(servers.post(GEMINI_PATH, gemini_request())) == ("model", "canary")
    )


def test_what_another_gateway_has_set_counts_at_once_where_the_mode_is_changed(servers, tmp_path):
    servers.start(state_dir=tmp_path)
    modes_of(servers, tmp_path).change("canary", 25)
    refused = change(
        servers, "canary", canary_percent=100, expected={"mode": "canary", "canary_percent": 5}
    )
    assert (refused.status_code, "The mode is canary (25 %)" in refused.text) == (409, True)


def test_a_mode_that_this_gateway_cannot_use_is_a_warning(servers, tmp_path):
    one = modes_of(servers, tmp_path, mode="canary")
    modes_of(servers, tmp_path, capture=True).change("shadow")
    one.refresh()
    assert one.current.mode == "canary"
    assert "serving.capture to true. This gateway stays in the mode canary" in one.warning


@pytest.mark.parametrize(("mode", "then"), [("canary", "failover"), ("private", "private")])
def test_without_its_file_a_gateway_goes_back_but_never_out_of_private(
    servers, tmp_path, mode, then
):
    one, other = (modes_of(servers, tmp_path) for _ in range(2))
    one.change(mode)
    other.refresh()
    (tmp_path / "mode.json").unlink()
    other.refresh()
    assert other.current.mode == then


def test_the_way_back_that_could_not_be_written_is_not_undone_by_the_file(servers, tmp_path):
    one = modes_of(servers, tmp_path, mode="canary")
    one.change("canary", 100)
    full_disk(tmp_path)
    one.change("failover")
    one.refresh()
    assert (one.current.mode, bool(one.warning)) == ("failover", True)


@pytest.mark.parametrize(
    ("edited", "mode"),
    [
        ({}, "canary of 25 %"),
        ({"canary_percent": 10}, "canary of 25 %"),
        ({"mode": "private"}, "private"),
        ({"mode": "canary", "canary_percent": 10}, "canary of 10 %"),
    ],
)
def test_an_edited_preset_is_the_later_word(servers, tmp_path, edited, mode):
    modes_of(servers, tmp_path).change("canary", 25)
    again = modes_of(servers, tmp_path, **edited)
    assert (str(again.current), again.warning) == (mode, "")
    assert again.said.startswith(f"The mode is {mode}, ")


def test_the_mode_says_who_has_set_it(servers, tmp_path):
    modes = modes_of(servers, tmp_path)
    assert modes.said == "The mode is failover, the preset's."
    state = modes.change("canary", 25)
    said = f"canary of 25 %, set by serve mode at {state.since}; the preset's is failover."
    assert modes_of(servers, tmp_path).said == f"The mode is {said}"


def test_a_kept_mode_that_cannot_be_used_any_more_starts_in_failover(servers, tmp_path):
    """As a cascade whose threshold belonged to the model before."""
    sure = servers.task(measures_confidence=True, min_confidence=-0.2)
    Modes(servers.settings(), lambda: [sure], tmp_path).change("cascade")
    servers.start(state_dir=tmp_path)
    status = httpx.get(f"{servers.url}/understudy/status").json()
    assert status["mode"]["mode"] == "failover"
    [alarm] = status["alarms"]
    assert (alarm["name"], "failover, not cascade" in alarm["text"]) == ("mode", True)
    assert Modes(servers.settings(), lambda: [sure], tmp_path).current.mode == "cascade"


def test_private_that_cannot_be_used_any_more_is_no_other_mode(servers, tmp_path, monkeypatch):
    modes_of(servers, tmp_path).change("private")
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    with pytest.raises(UserError, match="'private' needs the package phonenumbers"):
        modes_of(servers, tmp_path)


def test_on_a_full_disk_the_presets_mode_is_kept_by_no_file(servers, tmp_path):
    servers.start(state_dir=tmp_path)
    assert change(servers, "canary", canary_percent=100).status_code == 200
    full_disk(tmp_path)
    assert change(servers, "failover").json()["warning"] == ""
    servers.restart(state_dir=tmp_path)
    assert httpx.get(f"{servers.url}/understudy/status").json()["mode"]["mode"] == "failover"


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
        assert served(reply) in [("service", "model_failed"), ("none", "deadline")]
    alarm = 'understudy_alarm{name="tuned_model:triage"} 1.0'
    assert alarm not in httpx.get(f"{servers.url}/understudy/metrics").text
