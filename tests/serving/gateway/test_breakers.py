"""When requests stop going to the service, and how they return to it."""

import httpx
import pytest

from service_llm.settings import ServiceLLMSettings
from serving.gateway import upstream
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    gemini_request,
)


@pytest.fixture
def strict(servers):
    """A gateway whose breaker opens at the third failure."""
    settings = {"failures_to_open": 3, "wait_seconds": 10, "ramp_successes": 3, "jitter": 0}
    servers.start(servers.settings(breakers=settings))
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
    servers.took(1)
    servers.forget()
    return servers


def reasons(servers) -> list[str]:
    return [str(exchange.reason) for exchange in servers.exchanges]


def test_an_open_breaker_spares_the_service_and_real_requests_probe_it(strict):
    strict.service.behavior = fakes.unavailable
    for _ in range(6):
        assert strict.ask("gemini", stream=False) == MODEL_TEXT
    strict.took(6)
    assert len(strict.service.received) == 3
    assert reasons(strict) == ["F6"] * 3 + ["breaker:F6"] * 3
    assert 'understudy_breaker_open{backend="service"} 1.0' in metrics(strict)
    strict.clock.now += 10
    assert strict.ask("gemini", stream=False) == MODEL_TEXT  # the probe fails, and is answered
    assert strict.ask("gemini", stream=False) == MODEL_TEXT
    assert len(strict.service.received) == 4
    strict.service.behavior = fakes.healthy(SERVICE_TEXT)
    strict.clock.now += 20
    for _ in range(3):
        assert strict.ask("openai", stream=True) == SERVICE_TEXT
    strict.wait_until(lambda: 'open{backend="service"} 0.0' in metrics(strict))


def metrics(servers) -> str:
    return httpx.get(f"{servers.url}/understudy/metrics").text


@pytest.mark.parametrize("place", ["header", "body"])
def test_the_wait_that_a_quota_asks_for_is_kept_for_its_key_only(strict, place):
    body = b'{"error": {"code": 429, "details": [{"retryDelay": "37s"}]}}'

    async def quota(request, reply):
        if request.header("x-goog-api-key") != "limited":
            await fakes.healthy(SERVICE_TEXT)(request, reply)
        elif place == "body":
            await reply.whole(body, 429)
        else:
            await reply.whole(b"{}", 429, Retry_After="37")

    strict.service.behavior = quota
    other, strict.key = strict.key, "limited"
    assert strict.ask("gemini", stream=False) == MODEL_TEXT
    strict.clock.now += 36
    assert strict.ask("gemini", stream=False) == MODEL_TEXT
    assert len(strict.service.received) == 1
    strict.key = other
    assert strict.ask("gemini", stream=False) == SERVICE_TEXT
    strict.key = "limited"
    strict.clock.now += 2
    assert strict.ask("gemini", stream=False) == MODEL_TEXT
    assert len(strict.service.received) == 3


def located(servers, monkeypatch, fails):
    """A gateway on Vertex AI whose europe-west4 fails; asks it, and says who answered and why.

    Both locations are the fake service; `localhost` stands for the host of the one that fails.
    """
    away = servers.service.url.replace("127.0.0.1", "localhost")
    places = {"us-central1": servers.service.url, "europe-west4": away}
    monkeypatch.setattr(upstream, "_vertex_host", places.__getitem__)

    async def one_of_two(request, reply):
        is_away = "europe-west4" in request.target
        await (fails if is_away else fakes.healthy(SERVICE_TEXT))(request, reply)

    servers.service.behavior = one_of_two
    service = ServiceLLMSettings(
        provider="gemini", model="gemini-x", vertex_project="p", vertex_location="us-central1"
    )
    breakers = {"failures_to_open": 3, "wait_seconds": 10, "jitter": 0}
    settings = servers.settings(breakers=breakers)
    servers.start(settings.model_copy(update={"service": service}))

    def ask(location):
        path = f"/v1/projects/p/locations/{location}/publishers/google/models/gemini-x"
        reply = servers.post(f"{path}:generateContent", gemini_request())
        return reply.headers["x-understudy-served-by"], reply.headers["x-understudy-reason"]

    return ask


def test_an_outage_of_a_location_of_vertex_ai_is_none_of_another(servers, monkeypatch):
    ask = located(servers, monkeypatch, fakes.unavailable)
    there = [ask("europe-west4") for _ in range(5)]
    assert there == [("model", "F6")] * 3 + [("model", "breaker:F6")] * 2
    assert ask("us-central1") == ("service", "ok")
    told = metrics(servers)
    assert 'backend="service"} 1.0' not in told
    assert 'understudy_breaker_open{backend="service:localhost"} 1.0' in told
    page = httpx.get(f"{servers.url}/understudy/").text
    assert "The tuned model answers: the service in localhost fails (F6)" in page
    assert "service:localhost</strong>" in page  # the alarm
    servers.service.behavior = fakes.healthy(SERVICE_TEXT)
    servers.clock.now += 10
    for _ in range(5):
        assert ask("europe-west4") == ("service", "ok")
    servers.wait_until(lambda: "service:localhost" not in metrics(servers))
    assert httpx.get(f"{servers.url}/understudy/status").json()["alarms"] == []


def test_a_model_that_one_location_has_not_is_told_with_that_location(servers, monkeypatch):
    async def not_found(request, reply):
        await reply.whole(b'{"error": {"code": 404, "status": "NOT_FOUND"}}', 404)

    ask = located(servers, monkeypatch, not_found)
    assert ask("europe-west4") == ("model", "F9")
    assert ask("us-central1") == ("service", "ok")
    [alarm] = httpx.get(f"{servers.url}/understudy/status").json()["alarms"]
    assert alarm["name"] == "model:gemini-x:localhost"


def test_what_is_not_of_the_task_still_reaches_the_service(strict):
    strict.service.behavior = fakes.unavailable
    for _ in range(3):
        strict.ask("gemini", stream=False)
    strict.took(3)
    strict.service.behavior = fakes.healthy(SERVICE_TEXT)
    answer = strict.post(GEMINI_PATH, gemini_request(system="Write a poem."))
    assert answer.headers["x-understudy-served-by"] == "service"


def test_requests_of_no_task_alone_open_the_breaker_and_close_it_again(strict):
    def ask():
        body = gemini_request(system="Write a poem.")
        return strict.post(GEMINI_PATH, body).headers["x-understudy-served-by"]

    strict.service.behavior = fakes.unavailable
    assert [ask() for _ in range(3)] == ["none"] * 3
    assert 'alarm{name="service"} 1.0' in metrics(strict)
    strict.service.behavior = fakes.healthy(SERVICE_TEXT)
    strict.clock.now += 10
    assert [ask() for _ in range(3)] == ["service"] * 3
    strict.wait_until(lambda: 'open{backend="service"} 0.0' in metrics(strict))
    assert 'alarm{name="service"} 0.0' in metrics(strict)


def test_a_probe_of_no_task_whose_client_leaves_makes_room_for_the_next(strict):
    async def silent(request, reply):
        await reply.stall()

    strict.service.behavior = fakes.unavailable
    for _ in range(3):
        strict.ask("gemini", stream=False)
    strict.service.behavior = silent
    strict.clock.now += 10
    body = gemini_request(system="Write a poem.")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(strict.url + GEMINI_PATH, json=body, timeout=0.2)
    strict.took(4)
    strict.service.behavior = fakes.healthy(SERVICE_TEXT)
    assert strict.ask("gemini", stream=False) == SERVICE_TEXT


def test_a_callers_own_deadline_counts_for_nobody(strict):
    async def silent(request, reply):
        await reply.stall()

    strict.service.behavior = silent
    strict.model.behavior = silent
    for _ in range(4):
        answer = strict.post(GEMINI_PATH, gemini_request(), x_server_timeout="0.3")
        assert (answer.status_code, answer.json()["error"]["status"]) == (504, "DEADLINE_EXCEEDED")
        assert answer.headers["x-understudy-reason"] == "deadline"
    assert len(strict.service.received) == 4
    assert 'open{backend="service"} 1.0' not in metrics(strict)


def test_a_client_that_hangs_up_counts_for_nobody(strict):
    async def silent(request, reply):
        await reply.stall()

    strict.service.behavior = silent
    for _ in range(5):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(strict.url + GEMINI_PATH, json=gemini_request(), timeout=0.2)
    strict.took(5)
    assert reasons(strict) == ["client_left"] * 5
    strict.wait_until(lambda: strict.service.left_early == 5)
    strict.service.behavior = fakes.healthy(SERVICE_TEXT)
    assert strict.ask("gemini", stream=False) == SERVICE_TEXT


DEADLINES = [("x-server-timeout", "3"), ("x-stainless-read-timeout", "0.2")]


@pytest.mark.parametrize(("header", "seconds"), DEADLINES)
def test_a_service_too_slow_for_an_impatient_caller_has_not_failed(strict, header, seconds):
    async def silent(request, reply):
        await reply.stall()

    strict.service.behavior = silent
    with httpx.Client(headers={"x-goog-api-key": strict.key, header: seconds}) as client:
        for _ in range(4):
            answer = client.post(strict.url + GEMINI_PATH, json=gemini_request(), timeout=30)
            assert answer.headers["x-understudy-served-by"] == "model"
    strict.took(4)
    assert reasons(strict) == ["F4"] * 4
    assert len(strict.service.received) == 4
    assert 'open{backend="service"} 1.0' not in metrics(strict)
    assert 'alarm{name="service"} 1.0' not in metrics(strict)


@pytest.mark.parametrize("deadline", [{}, {"x_server_timeout": "20"}])
def test_a_service_that_is_silent_for_the_usual_limit_has_failed(servers, deadline):
    async def silent(request, reply):
        await reply.stall()

    breakers = {"failures_to_open": 3, "wait_seconds": 10, "jitter": 0}
    servers.start(servers.settings(breakers=breakers, first_byte_seconds=0.1))
    servers.ask("gemini", stream=False)
    servers.service.behavior = silent
    for _ in range(3):
        servers.post(GEMINI_PATH, gemini_request(), **deadline)
    assert 'open{backend="service"} 1.0' in metrics(servers)
    assert 'alarm{name="service"} 1.0' in metrics(servers)
