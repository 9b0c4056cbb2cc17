"""What a canary's request was to the tuned model is said, however the service's part ends."""

import asyncio
import concurrent.futures
from types import SimpleNamespace

import httpx
import pytest

from serving.gateway import asked
from serving.gateway.reasons import Reason, after
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    gemini_request,
)


async def refused(request, reply):
    await reply.whole(b'{"error": {"code": 401, "status": "UNAUTHENTICATED"}}', 401)


async def cut_late(request, reply):
    await reply.begin_chunks("text/event-stream")
    for _ in range(3):
        await reply.chunk(fakes.gemini_event("x" * 700))
    reply.reset()


async def hang(request, reply):
    await reply.stall()


@pytest.fixture
def canary(servers):
    def start(**changes):
        values = {"mode": "canary", "canary_percent": 100, "hold_kib": 1}
        return servers.start(servers.settings(**{**values, **changes}))

    return start


def how(servers, number=1):
    """Who answered, and why, the latest of that many requests."""
    exchange = servers.took(number)[-1]
    return exchange.served_by, exchange.reason


@pytest.mark.parametrize(
    ("service", "path", "reason"),
    [
        (fakes.healthy(SERVICE_TEXT), GEMINI_PATH, ("service", "model_failed")),
        (fakes.healthy("no JSON"), GEMINI_PATH, ("service", "model_failed:F11")),
        (cut_late, f"{GEMINI_STREAM_PATH}?alt=sse", ("service", "model_failed:F13")),
        (refused, GEMINI_PATH, ("service", "model_failed:F8")),
        (fakes.unavailable, GEMINI_PATH, ("none", "model_failed:F6")),
    ],
    ids=["well", "breaks the contract", "cut", "key refused", "fails"],
)
def test_a_failure_of_the_model_is_said_however_the_service_answers(canary, service, path, reason):
    servers = canary()
    servers.model.behavior, servers.service.behavior = fakes.unavailable, service
    try:
        servers.post(path, gemini_request())
    except httpx.RemoteProtocolError:
        assert service is cut_late
    assert how(servers) == reason


@pytest.mark.parametrize("model", [fakes.unavailable, hang], ids=["fails", "hangs"])
def test_a_failure_of_the_model_is_said_where_the_callers_deadline_passes(canary, model):
    servers = canary()
    servers.model.behavior, servers.service.behavior = model, hang
    reply = servers.post(GEMINI_PATH, gemini_request(), x_server_timeout="0.4")
    assert reply.status_code == 504
    assert how(servers) == ("none", "model_failed:deadline")


@pytest.mark.parametrize(
    ("model", "reason"),
    [(fakes.unavailable, "model_failed:client_left"), (hang, "model:client_left")],
    ids=["fails", "hangs"],
)
def test_a_client_that_leaves_says_whom_it_waited_for(canary, model, reason):
    servers = canary()
    servers.model.behavior, servers.service.behavior = model, hang
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(servers.url + GEMINI_PATH, json=gemini_request(), timeout=0.3)
    assert how(servers) == ("none", reason)


@pytest.mark.parametrize("behavior", ["service hangs", "service fails, model hangs"])
def test_a_client_of_the_service_says_nothing_of_the_model(canary, behavior):
    servers = canary(mode="failover")
    servers.service.behavior = hang if behavior == "service hangs" else fakes.unavailable
    servers.model.behavior = hang
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(servers.url + GEMINI_PATH, json=gemini_request(), timeout=0.3)
    assert how(servers) == ("none", "client_left")


def test_a_model_without_room_has_failed_and_the_service_answers(servers):
    is_free = asyncio.Event()

    async def wait(request, reply):
        await is_free.wait()
        await fakes.model(MODEL_TEXT)(request, reply)

    settings = servers.settings(mode="canary", canary_percent=100, model={"queue_length": 0})
    servers.start(settings, [servers.task(slots=1)])
    servers.model.behavior = wait
    with concurrent.futures.ThreadPoolExecutor() as threads:
        first = threads.submit(servers.post, GEMINI_PATH, gemini_request())
        servers.wait_until(lambda: servers.model.received)
        reply = servers.post(GEMINI_PATH, gemini_request())
        servers.loop.call_soon_threadsafe(is_free.set)
        assert first.result().headers["x-understudy-reason"] == "canary"
    assert reply.headers["x-understudy-served-by"] == "service"
    assert reply.headers["x-understudy-reason"] == "model_failed"


def test_a_prompt_beyond_the_context_says_nothing_of_the_model(servers):
    settings = servers.settings(mode="canary", canary_percent=100)
    servers.start(settings, [servers.task(context_length=70)])
    servers.service.behavior = hang
    long = gemini_request("A long story. " * 20)
    assert servers.post(GEMINI_PATH, long, x_server_timeout="0.3").status_code == 504
    assert how(servers) == ("none", "deadline")


def test_a_gateway_that_stops_makes_no_failure_of_a_request_in_flight(canary):
    servers = canary()
    servers.model.behavior = hang

    async def ask():
        async with httpx.AsyncClient() as client:
            url = servers.url + GEMINI_PATH
            return (await client.post(url, json=gemini_request(), timeout=30)).status_code

    asking = asyncio.run_coroutine_threadsafe(ask(), servers.loop)
    servers.wait_until(lambda: servers.model.received)
    servers._server.config.timeout_graceful_shutdown = 0
    servers.stop_gateway()
    assert how(servers) == ("none", "gateway_stopped")
    assert asking.result(10) == 500  # uvicorn's


@pytest.mark.parametrize("headers", [{}, {"X-Server-Timeout": "20"}], ids=["", "with a deadline"])
def test_a_gateway_that_fails_at_the_model_is_no_client_that_left(servers, capfd, headers):
    """Nor does uvicorn print the error, whose text may hold a key."""

    def fail(messages):
        raise RuntimeError("AIza-secret")

    settings = servers.settings(mode="canary", canary_percent=100)
    servers.start(settings, [servers.task(count_tokens=fail, samples=())], is_ready=False)
    answer = servers.post(GEMINI_PATH, gemini_request(), **headers)
    assert answer.status_code == 500
    assert answer.json()["error"] == {
        "code": 500,
        "message": "The gateway failed; its log says where.",
        "status": "INTERNAL",
    }
    assert how(servers) == ("none", "model:gateway_failed")
    said = capfd.readouterr()
    assert "secret" not in said.err + said.out


def test_the_model_takes_as_long_as_its_tokens_are_counted_too(servers, monkeypatch):
    now = [100.0]

    def count(messages):
        now[0] += 2
        return fakes.count_words([message.text for message in messages])

    settings = servers.settings(mode="canary", canary_percent=100)
    servers.start(settings, [servers.task(count_tokens=count)])
    monkeypatch.setattr(asked, "time", SimpleNamespace(monotonic=lambda: now[0]))
    servers.post(GEMINI_PATH, gemini_request())
    [exchange] = servers.took(1)
    assert exchange.content.model.seconds == 4  # before it was asked, and of what it read


def test_an_answer_of_the_model_needs_no_more_words(canary):
    servers = canary()
    assert servers.ask("gemini", stream=True) == MODEL_TEXT
    assert how(servers) == ("model", "canary")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("canary", ("", "canary")),
        ("mode:model", ("", "mode:model")),
        ("unmatched:too_long", ("", "unmatched:too_long")),
        ("breaker:F6", ("", "breaker:F6")),
        ("model_failed", ("model_failed", "")),
        ("model_failed:breaker:F6", ("model_failed", "breaker:F6")),
        ("model:client_left", ("model", "client_left")),
    ],
)
def test_a_reason_is_taken_apart(text, parts):
    assert Reason.of(text) == parts
    assert after(parts[0] or "ok", parts[1]) in (text, f"{text}:")
