"""Alarms: at every change of state, on stderr, in the metrics and at the webhook."""

import asyncio
import io
import types

import httpx
import pytest

from serving.gateway.alarms import Alarms
from serving.gateway.upstream import open_session, proxy_for
from serving.gateway.webhook import Webhook
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    INSTRUCTION,
    MODEL_TEXT,
    SERVICE_TEXT,
    Clock,
    gemini_request,
)


async def thanks(request, reply):
    await reply.whole(b"ok")


@pytest.fixture
def webhook(servers):
    hook = fakes.FakeServer(thanks, is_service=False)
    servers.run(hook.start())
    yield hook
    servers.run(hook.stop())


@pytest.fixture
def stderr(monkeypatch):
    """What alarms write to standard error; pytest's capture is not made for a server's threads."""
    stream = io.StringIO()
    monkeypatch.setattr("core.terminal.sys", types.SimpleNamespace(stderr=stream))
    return stream


def started(servers, url: str | None):
    breakers = {"failures_to_open": 2, "ramp_successes": 1, "wait_seconds": 10, "jitter": 0}
    return servers.start(servers.settings(alert_url=url, breakers=breakers))


def test_an_outage_is_told_once_and_its_end_too(servers, webhook, stderr):
    started(servers, webhook.url)
    servers.service.behavior = fakes.unavailable
    for _ in range(5):
        servers.ask("gemini", stream=False)
    assert 'understudy_alarm{name="service"} 1.0' in metrics(servers)
    servers.service.behavior = fakes.healthy(SERVICE_TEXT)
    servers.clock.now += 10
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
    servers.wait_until(lambda: len(webhook.received) >= 2)
    told = [request.json for request in webhook.received]
    assert [(it["alarm"], it["state"]) for it in told] == [
        ("service", "raised"),
        ("service", "cleared"),
    ]
    assert "F6" in told[0]["text"]
    assert stderr.getvalue().count("understudy: alarm service") == 2
    assert 'understudy_alarm{name="service"} 0.0' in metrics(servers)


def metrics(servers) -> str:
    return httpx.get(f"{servers.url}/understudy/metrics").text


@pytest.mark.parametrize("hook", ["silent", "failing", "gone"])
def test_a_webhook_that_does_not_answer_blocks_no_request(servers, webhook, hook):
    async def silent(request, reply):
        await reply.stall()

    webhook.behavior = {"silent": silent, "failing": fakes.unavailable, "gone": thanks}[hook]
    url = webhook.url
    if hook == "gone":
        servers.run(webhook.stop())
    started(servers, url)
    servers.service.behavior = fakes.unavailable
    for _ in range(4):
        assert servers.ask("gemini", stream=False) == MODEL_TEXT


@pytest.fixture
def hook(webhook, monkeypatch):
    """Makes a webhook, and counts what it drops."""
    monkeypatch.setattr("serving.gateway.webhook._RETRY_SECONDS", 0.0)

    def make(session, url=webhook.url):
        dropped = []
        return Webhook(url, session, lambda: dropped.append(1)), dropped

    return make


async def posted(make, webhook, changes, is_over, **options):
    """Post changes until a condition holds."""
    session = open_session()
    hook, dropped = make(lambda: session, **options)
    posting = asyncio.create_task(hook.post_forever())
    for change in changes:
        hook.put({"alarm": change, "state": "raised", "text": "t", "time": "now"})
    while not is_over(dropped):
        await asyncio.sleep(0.01)
    posting.cancel()
    await session.close()


@pytest.mark.parametrize(
    ("status", "times"), [(301, 1), (400, 1), (404, 1), (410, 1), (429, 3), (500, 3), (503, 3)]
)
def test_a_change_that_the_webhook_refuses_is_counted_and_said(
    servers, webhook, hook, stderr, status, times
):
    async def refuses_the_first(request, reply):
        await reply.whole(b"no", status if request.json["alarm"] == "first" else 200)

    def is_over(dropped):
        return dropped and [it.json["alarm"] for it in webhook.received][-1:] == ["second"]

    webhook.behavior = refuses_the_first
    servers.run(posted(hook, webhook, ["first", "second"], is_over))
    assert [it.json["alarm"] for it in webhook.received] == ["first"] * times + ["second"]
    told = f"serving.alert_url did not get alarm first raised: it answered {status}"
    assert told in stderr.getvalue()
    assert "alarm second" not in stderr.getvalue()


_APPS_SCRIPT = "https://script.googleusercontent.com/macros/echo?user_content_key=a&lib=b"


@pytest.mark.parametrize(
    ("status", "location", "is_taken"),
    [
        (302, _APPS_SCRIPT, True),
        (302, "https://accounts.google.com/ServiceLogin", False),
        (302, "", False),
        (303, "/thanks", True),
        (307, _APPS_SCRIPT, False),
        (308, "https://h/new", False),
    ],
)
def test_a_redirect_to_what_the_webhook_says_is_no_refusal(
    servers, webhook, hook, stderr, status, location, is_taken
):
    async def redirects_the_first(request, reply):
        is_first = request.json["alarm"] == "first"
        headers = {"Location": location} if is_first else {}
        await reply.whole(b"", status if is_first else 200, **headers)

    def is_over(dropped):
        return [it.json["alarm"] for it in webhook.received][-1:] == ["second"]

    webhook.behavior = redirects_the_first
    servers.run(posted(hook, webhook, ["first", "second"], is_over))
    assert [it.json["alarm"] for it in webhook.received] == ["first", "second"]
    assert ("did not get alarm first" in stderr.getvalue()) == (not is_taken)


def test_a_webhook_that_cannot_be_reached_ends_no_posting_and_its_url_is_not_shown(
    servers, webhook, hook, stderr
):
    def make(session):
        def broken():
            raise ValueError("http://h/secret")

        return hook(broken, "http://h/secret")

    servers.run(posted(make, webhook, ["a", "b"], lambda dropped: len(dropped) == 2))
    told = stderr.getvalue()
    assert "did not get alarm a raised: it cannot be reached (ValueError)" in told
    assert "did not get alarm b raised" in told
    assert "secret" not in told


def test_changes_for_which_the_queue_has_no_room_are_counted_and_said(stderr, monkeypatch):
    monkeypatch.setattr("serving.gateway.webhook._QUEUE", 2)
    dropped = []
    alarms = Alarms(
        Webhook("http://h", lambda: None, lambda: dropped.append(1)), lambda name, is_raised: None
    )
    for number in range(5):
        alarms.set(f"watch:{number}", True, "t")
    assert len(dropped) == 3
    assert "did not get alarm watch:4 raised: 2 changes wait already" in stderr.getvalue()


def test_what_the_webhook_refuses_is_in_the_metrics(servers, webhook, stderr):
    async def refuses(request, reply):
        await reply.whole(b"no", 404)

    webhook.behavior = refuses
    started(servers, webhook.url)
    assert "understudy_alerts_dropped_total 0.0" in metrics(servers)
    servers.service.behavior = fakes.unavailable
    for _ in range(2):
        servers.ask("gemini", stream=False)
    servers.wait_until(lambda: "understudy_alerts_dropped_total 1.0" in metrics(servers))


def test_the_url_of_the_webhook_may_come_from_the_environment(servers, webhook, monkeypatch):
    monkeypatch.setenv("ALERT_URL", webhook.url)
    started(servers, "env:ALERT_URL")
    servers.service.behavior = fakes.unavailable
    for _ in range(2):
        servers.ask("gemini", stream=False)
    servers.wait_until(lambda: len(webhook.received) == 1)


def test_a_webhook_elsewhere_is_reached_by_the_proxy_that_the_environment_names(
    servers, webhook, monkeypatch
):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setenv("http_proxy", webhook.url)
    proxy_for.cache_clear()
    started(servers, "http://hooks.invalid/services/a")
    servers.service.behavior = fakes.unavailable
    for _ in range(2):
        servers.ask("gemini", stream=False)
    servers.wait_until(lambda: webhook.received)
    proxy_for.cache_clear()
    assert webhook.received[0].target == "http://hooks.invalid/services/a"


def test_a_retired_model_is_told_with_its_name(servers, stderr):
    async def not_found(request, reply):
        await reply.whole(b'{"error": {"code": 404, "status": "NOT_FOUND"}}', 404)

    started(servers, None)
    servers.service.behavior = not_found
    assert servers.ask("gemini", stream=False) == MODEL_TEXT
    assert servers.ask("gemini", stream=False) == MODEL_TEXT
    told = stderr.getvalue()
    assert told.count("alarm model:gemini-x raised") == 1
    assert "Check its name and the base URL" in told


def test_an_edited_instruction_raises_the_alarm_with_its_text(servers, stderr):
    started(servers, None)
    with httpx.Client() as client:
        for system in ["Sort the customer's message. Answer with JSON."] * 100 + ["New text."] * 30:
            client.post(servers.url + GEMINI_PATH, json=gemini_request(system=system))
    told = stderr.getvalue()
    assert told.count("alarm match_share:triage raised") == 1
    assert "'New text.'" in told
    assert 'understudy_match_share{task="triage"} 0.4' in metrics(servers)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"match": "template", "template": "Sort this:\n{prompt}"}, "Compare serving.template"),
        ({"match": "model", "model_alias": "gemini-x"}, "Compare serving.model_alias"),
        ({}, "into serving.accepted_instructions, whole"),
    ],
    ids=["template", "model", "system"],
)
def test_what_to_do_about_a_share_that_has_fallen_depends_on_how_requests_are_matched(
    servers, stderr, changes, advice
):
    servers.start(tasks=[servers.task(**changes)])
    path = GEMINI_PATH.replace("gemini-x", "another") if "model_alias" in changes else GEMINI_PATH
    prompt = "Sort this:\nWhere is it?" if "template" in changes else "Where is it?"
    system = INSTRUCTION if "template" in changes else "New text."
    others = {"prompt": "Jane Roe, 12 Oak Street", "system": system}
    with httpx.Client() as client:
        for _ in range(100):
            client.post(servers.url + GEMINI_PATH, json=gemini_request(prompt=prompt))
        for _ in range(30):
            client.post(servers.url + path, json=gemini_request(**others))
    told = stderr.getvalue()
    assert told.count("alarm match_share:triage raised") == 1
    assert advice in told
    assert ("'New text.'" in told) is (not changes)
    assert ("'Jane Roe, '" in told) is ("template" in changes), "as much as the template has"
    assert "Oak Street" not in told, "the rest is what a user wrote"


@pytest.mark.parametrize("mode", ["failover", "private"])
def test_no_personal_data_leaves_by_the_webhook(servers, webhook, stderr, mode):
    servers.start(servers.settings(alert_url=webhook.url, mode=mode))
    with httpx.Client() as client:
        for system in [INSTRUCTION] * 100 + ["About ada.lovelace@example.org."] * 30:
            client.post(servers.url + GEMINI_PATH, json=gemini_request(system=system))
    servers.wait_until(lambda: len(webhook.received) == 1)
    text = webhook.received[0].json["text"]
    assert ("'About [EMAIL_1].'" in text) == (mode == "failover")
    assert "ada" not in text + stderr.getvalue()
    assert len(servers.service.received) == (130 if mode == "failover" else 100)
    assert all(b"ada" not in request.body for request in servers.service.received[-30:]) == (
        mode == "private"
    )


def test_names_of_models_that_callers_make_up_flood_nothing(servers, stderr):
    async def not_found(request, reply):
        await reply.whole(b'{"error": {"code": 404, "status": "NOT_FOUND"}}', 404)

    started(servers, None)
    servers.service.behavior = not_found
    with httpx.Client() as client:
        for number in range(300):
            path = f"/v1beta/models/x%0Aunderstudy%20alarm%20{number}:generateContent"
            assert client.post(servers.url + path, json=gemini_request()).status_code == 200
    lines = [line for line in stderr.getvalue().splitlines() if "alarm" in line]
    assert len(lines) == 256
    assert all(line.startswith("understudy: alarm model:x?understudy?alarm?") for line in lines)


def alarms_of(clock=lambda: 0.0):
    changes = {}
    return Alarms(None, changes.__setitem__, clock), changes


def names(alarms) -> list[str]:
    return [alarm.name for alarm in alarms.raised]


@pytest.mark.parametrize("is_over", [True, False])
def test_names_that_callers_make_up_silence_no_alarm_of_another_kind(stderr, is_over):
    alarms, _ = alarms_of()
    for number in range(300):
        alarms.set(f"model:m{number}", True, "gone")
        if is_over:
            alarms.set(f"model:m{number}", False, "back")
    others = ["service", "capture", "key:1", "project:p", "watch:service_drift", "tuned_model:t"]
    for name in others:
        alarms.set(name, True, "something happened")
    assert names(alarms)[-6:] == others
    assert len(alarms.raised) == 6 + (0 if is_over else 256)


def test_alarms_of_callers_that_no_request_meets_for_an_hour_are_cleared(stderr):
    clock = Clock()
    alarms, changes = alarms_of(clock)
    for name in ("key:expired", "key:refused", "model:renamed", "project:p", "service"):
        alarms.set(name, True, "something happened")
    clock.now += 3000
    alarms.set("key:refused", True, "again")
    clock.now += 700
    alarms.age_out()
    assert names(alarms) == ["key:refused", "service"]
    assert changes["key:expired"] is False
    assert "alarm key:expired cleared: no request has met it for an hour" in stderr.getvalue()


def test_the_metric_of_an_alarm_that_callers_named_ends_with_it(servers, stderr, monkeypatch):
    monkeypatch.setattr("serving.gateway.jobs._LOOK_SECONDS", 0.01)
    started(servers, None)
    alarms = servers.app._gateway.alarms
    alarms.set("model:x", True, "gone")
    assert 'understudy_alarm{name="model:x"} 1.0' in metrics(servers)
    servers.clock.now += 3601
    servers.wait_until(lambda: "model:x" not in metrics(servers))
    assert alarms.raised == []


def test_a_tuned_model_that_fails_under_requests_is_told_and_its_return_too(servers, stderr):
    started(servers, None)
    servers.service.behavior = servers.model.behavior = fakes.unavailable
    for _ in range(3):
        assert servers.post(GEMINI_PATH, gemini_request()).status_code == 503
    assert 'understudy_breaker_open{backend="tuned_model:triage"} 1.0' in metrics(servers)
    assert 'understudy_alarm{name="tuned_model:triage"} 1.0' in metrics(servers)
    servers.model.behavior = fakes.model(MODEL_TEXT)
    servers.wait_until(lambda: servers.post(GEMINI_PATH, gemini_request()).status_code == 200)
    assert 'understudy_breaker_open{backend="tuned_model:triage"} 0.0' in metrics(servers)
    assert 'understudy_alarm{name="tuned_model:triage"} 0.0' in metrics(servers)
    assert stderr.getvalue().count("alarm tuned_model:triage") == 2


def test_that_exchanges_are_dropped_is_told_and_when_they_are_kept_again(servers, stderr):
    servers.start()
    gateway = servers.app._gateway
    gateway._on_capture("the disk is full")
    (alarm,) = gateway.alarms.raised
    assert alarm.text == "the disk is full; answers continue, and exchanges are dropped"
    gateway._on_capture(None)
    assert gateway.alarms.raised == []
    assert stderr.getvalue().rstrip().endswith("exchanges are captured again")
