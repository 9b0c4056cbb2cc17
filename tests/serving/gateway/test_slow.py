"""Slow is not dead: the limit for the first byte, and who wins past it."""

import asyncio
import threading
import types

import httpx
import pytest

from serving.gateway.first_byte import FirstByteLimits, Kind
from serving.settings import FirstByteBounds
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    gemini_request,
    openai_request,
)

CHAT = "/v1/chat/completions"
BOUNDS = FirstByteBounds(min_seconds=2, unlearned_seconds=20, max_seconds=100)
PLAIN = Kind("flash", "", is_stream=False)
THINKING = Kind("flash", "high", is_stream=False)


def learned(*seconds: float, kind: Kind = PLAIN) -> FirstByteLimits:
    limits = FirstByteLimits("auto", BOUNDS)
    for value in seconds:
        limits.record(kind, value)
    return limits


def test_the_limit_is_learned_from_healthy_answers_of_the_same_kind():
    limits = learned(*[3.0] * 30)
    assert limits.limit(PLAIN) == 6.0
    assert limits.limit(THINKING) == 20
    assert limits.limit(Kind("flash", "", is_stream=True)) == 20
    for _ in range(30):
        limits.record(THINKING, 45.0)
    assert (limits.limit(PLAIN), limits.limit(THINKING)) == (6.0, 90.0)


@pytest.mark.parametrize(
    ("seconds", "limit"),
    [([0.1] * 30, 2), ([80.0] * 30, 100), ([3.0] * 5, 20), ([1.0] * 197 + [10.0] * 3, 20.0)],
)
def test_the_limit_stays_within_its_bounds_and_follows_the_slowest(seconds, limit):
    assert learned(*seconds).limit(PLAIN) == limit


def test_a_service_that_became_faster_is_learned_again():
    assert learned(*[9.0] * 200, *[1.5] * 200).limit(PLAIN) == 3.0


def test_a_fixed_limit_is_kept():
    limits = FirstByteLimits(7.5, BOUNDS)
    limits.record(PLAIN, 1.0)
    assert limits.limit(PLAIN) == 7.5


def test_half_of_the_callers_own_deadline_is_left_to_the_tuned_model():
    assert learned().limit(PLAIN, deadline_seconds=10) == 5
    assert learned().limit(PLAIN, deadline_seconds=600) == 20


# ---- the race ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def idle_connections_are_closed(monkeypatch):
    """At once: the tests wait until a late answer is over, and its connection may be kept."""
    monkeypatch.setattr("serving.gateway.upstream._SHORT_KEEP_ALIVE_SECONDS", 0.1)


class Gate:
    """Holds an answer back until a test lets it go."""

    def __init__(self, servers, behavior: fakes.Behavior) -> None:
        self._servers = servers
        self._behavior = behavior
        self._open = servers.run(self._event())
        self.has_left = False

    async def _event(self) -> asyncio.Event:
        return asyncio.Event()

    async def __call__(self, request, reply) -> None:
        waiting = {
            asyncio.ensure_future(self._open.wait()),
            asyncio.ensure_future(reply.left.wait()),
        }
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        self.has_left = reply.left.is_set()
        for task in waiting:
            task.cancel()
        if not self.has_left:
            await self._behavior(request, reply)

    def open(self) -> None:
        self._servers.loop.call_soon_threadsafe(self._open.set)


@pytest.fixture
def slow(servers):
    """A gateway that starts the tuned model after a tenth of a second."""
    return servers.start(servers.settings(first_byte_seconds=0.1))


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_tuned_model_wins_where_the_service_stays_silent(slow, protocol, stream):
    slow.service.behavior = gate = Gate(slow, fakes.healthy(SERVICE_TEXT))
    assert slow.ask(protocol, stream=stream) == MODEL_TEXT
    assert [it.reason for it in slow.took(1)] == ["F4"]
    assert len(slow.service.received) == 1
    gate.open()  # its late first byte is learned from, and its answer left
    slow.wait_until(lambda: slow.service.open_connections == 0)


def test_the_read_timeout_that_openais_client_sends_is_a_deadline_for_the_first_byte(servers):
    servers.start(servers.settings(first_byte_seconds=120.0))
    with servers.openai().with_options(timeout=60) as client:
        client.chat.completions.create(**openai_request())
    header = "x-stainless-read-timeout"
    assert servers.service.received[0].header(header) == "60"
    servers.service.behavior = Gate(servers, fakes.healthy(SERVICE_TEXT))
    answer = servers.post(CHAT, openai_request(), **{header: "0.2"})
    assert answer.json()["choices"][0]["message"]["content"] == MODEL_TEXT
    assert [it.reason for it in servers.took(2)] == ["ok", "F4"]


def test_of_a_silent_service_one_request_of_a_kind_is_left_open_at_most(slow):
    slow.service.behavior = Gate(slow, fakes.healthy(SERVICE_TEXT))
    for _ in range(5):
        assert slow.ask("gemini", stream=False) == MODEL_TEXT
    slow.wait_until(lambda: slow.service.left_early == 4)


def test_a_service_that_became_slower_is_not_given_up_for_good(servers):
    bounds = {"min_seconds": 0.05, "unlearned_seconds": 0.1, "max_seconds": 30}
    servers.start(servers.settings(first_byte_seconds="auto", first_byte_bounds=bounds))

    async def slower(request, reply):
        await asyncio.sleep(0.5)
        await fakes.healthy(SERVICE_TEXT)(request, reply)

    servers.service.behavior = slower
    assert servers.ask("gemini", stream=False) == MODEL_TEXT
    servers.wait_until(lambda: servers.service.open_connections == 0)
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT


def test_a_late_answer_raises_the_limit_at_once_until_it_is_learned_again():
    limits = learned(*[3.0] * 100)
    limits.record_late(PLAIN, 20.0)
    assert limits.limit(PLAIN) == 40.0
    for _ in range(10):
        limits.record(PLAIN, 3.0)
    assert limits.limit(PLAIN) == 6.0


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_service_wins_where_its_answer_is_whole_first(slow, protocol, stream):
    slow.service.behavior = answers = Gate(slow, fakes.healthy(SERVICE_TEXT))
    slow.model.behavior = gate = Gate(slow, fakes.model(MODEL_TEXT))

    async def open_when_both_are_asked() -> None:
        while not (slow.service.received and slow.model.received):
            await asyncio.sleep(0.005)
        answers.open()

    asyncio.run_coroutine_threadsafe(open_when_both_are_asked(), slow.loop)
    assert slow.ask(protocol, stream=stream) == SERVICE_TEXT
    assert [(it.served_by, it.reason) for it in slow.took(1)] == [("service", "ok")]
    slow.wait_until(lambda: gate.has_left)  # the model's generation is stopped


def test_a_service_that_fails_late_is_replaced_by_the_model_that_has_started(slow):
    async def late_failure(request, reply):
        await reply.whole(b'{"error": {"code": 503}}', 503)

    slow.service.behavior = service = Gate(slow, late_failure)
    slow.model.behavior = model = Gate(slow, fakes.model(MODEL_TEXT))

    async def one_after_the_other() -> None:
        while not (slow.service.received and slow.model.received):
            await asyncio.sleep(0.005)
        service.open()
        await asyncio.sleep(0.05)
        model.open()

    asyncio.run_coroutine_threadsafe(one_after_the_other(), slow.loop)
    assert slow.ask("gemini", stream=False) == MODEL_TEXT
    assert len(slow.model.received) == 1


def test_a_slow_service_is_waited_for_where_the_model_fails(slow):
    async def broken(request, reply):
        answers.open()
        await reply.whole(b"{}", 500)

    slow.service.behavior = answers = Gate(slow, fakes.healthy(SERVICE_TEXT))
    slow.model.behavior = broken
    assert slow.ask("gemini", stream=False) == SERVICE_TEXT


def test_a_service_that_says_nothing_at_all_is_given_up(servers):
    async def silent(request, reply):
        await reply.stall()

    async def broken(request, reply):
        await reply.whole(b"{}", 500)

    bounds = {"min_seconds": 0.05, "unlearned_seconds": 0.1, "max_seconds": 0.3}
    settings = servers.settings(first_byte_seconds="auto", first_byte_bounds=bounds)
    servers.start(settings)
    servers.service.behavior, servers.model.behavior = silent, broken
    answer = servers.post(GEMINI_PATH, gemini_request())
    assert answer.status_code == 503
    assert "no byte within 0.1 s" in answer.json()["error"]["message"]
    servers.wait_until(lambda: servers.service.left_early == 1)


@pytest.mark.parametrize("by", ["service", "model"])
def test_the_callers_deadline_ends_when_its_answer_has_begun(servers, monkeypatch, by):
    limits: list[asyncio.Timeout] = []
    has_begun = threading.Event()

    def timeout(seconds: float | None) -> asyncio.Timeout:
        limits.append(asyncio.timeout(seconds))
        return limits[-1]

    async def slow(request, reply):
        await reply.begin_chunks("text/event-stream")
        first, *rest = fakes.stream_parts(request, SERVICE_TEXT)
        await reply.chunk(first)
        await asyncio.to_thread(has_begun.wait)
        for part in rest:
            await reply.chunk(part)
        await reply.end_chunks()

    monkeypatch.setattr("serving.gateway.failover.asyncio", types.SimpleNamespace(timeout=timeout))
    servers.start(servers.settings(hold_kib=0, mode="failover" if by == "service" else "model"))
    servers.service.behavior = slow
    path, headers = f"{GEMINI_STREAM_PATH}?alt=sse", {"x-server-timeout": "20"}
    url = servers.url + path
    with httpx.stream("POST", url, json=gemini_request(), headers=headers) as answer:
        parts = answer.iter_bytes()
        got = [next(parts)]
        assert limits[0].when() is None
        has_begun.set()
        got += parts
    assert answer.headers["x-understudy-served-by"] == by
    assert b'"finishReason"' in b"".join(got)


def test_a_deadline_that_passes_before_the_answer_is_told(servers):
    async def silent(request, reply):
        await reply.stall()

    servers.start()
    servers.service.behavior = servers.model.behavior = silent
    answer = servers.post(GEMINI_PATH, gemini_request(), x_server_timeout="0.1")
    assert answer.status_code == 504
    assert "within the deadline of X-Server-Timeout" in answer.text
