"""Shadow mode: the tuned model answers later what the service has answered, and nobody waits."""

import asyncio
import json
import random
import types

import httpx
import pytest

from serving.gateway.capacity import Slots
from serving.gateway.exchange import Content, Exchange, ServiceAnswer
from serving.gateway.protocols.base import ModelAnswer
from serving.gateway.shadow import Shadow
from serving.mode_settings import ShadowSettings
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    Harness,
    gemini_request,
)


@pytest.fixture
def shadow(servers, tmp_path):
    def start(task: dict | None = None, **settings: object) -> Harness:
        settings = {"mode": "shadow", "capture": True, **settings}
        tasks = [servers.task(**(task or {}))]
        servers.start(servers.settings(**settings), tasks, state_dir=tmp_path)
        servers.lines = lambda: [
            json.loads(line)
            for file in sorted(tmp_path.glob("capture/*.jsonl"))
            for line in file.read_text().splitlines()
        ]
        return servers

    return start


def value(servers: Harness, name: str) -> float:
    text = httpx.get(f"{servers.url}/understudy/metrics").text
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
def test_pairs_are_captured_and_the_copy_counts_nowhere(shadow, protocol):
    servers = shadow()
    assert servers.ask(protocol, stream=True) == SERVICE_TEXT
    servers.wait_until(lambda: len(servers.lines()) == 1)
    [line] = servers.lines()
    assert line["service"]["text"] == SERVICE_TEXT
    assert (line["model"]["text"], line["model"]["round"]) == (MODEL_TEXT, 3)
    assert (line["served_by"], line["reason"]) == ("service", "ok")
    assert len(servers.model.received) == 1
    status = httpx.get(f"{servers.url}/understudy/status").json()
    assert status["answered_by"] == {"service": 1}


def test_an_answer_that_breaks_the_contract_is_a_pair_too(shadow):
    servers = shadow()
    servers.model.behavior = fakes.model("not JSON at all")
    servers.post(GEMINI_PATH, gemini_request())
    servers.wait_until(lambda: len(servers.lines()) == 1)
    assert servers.lines()[0]["model"]["text"] == "not JSON at all"


@pytest.mark.parametrize("queue_length", [0, 16])
def test_a_request_of_the_application_takes_the_slot_of_a_copy(shadow, queue_length):
    model = {"queue_length": queue_length, "keep_warm_seconds": 0}
    servers = shadow({"slots": 1}, model=model)
    asked = asyncio.Event()

    async def stall(request, reply):
        asked.set()
        await reply.stall()

    servers.model.behavior = stall
    servers.post(GEMINI_PATH, gemini_request())
    servers.wait_until(asked.is_set)

    async def unavailable(request, reply):
        servers.model.behavior = fakes.model(MODEL_TEXT)
        await reply.whole(b'{"error": {"code": 503}}', 503)

    servers.service.behavior = unavailable
    reply = servers.post(GEMINI_PATH, gemini_request())
    assert reply.headers["x-understudy-served-by"] == "model"
    assert value(servers, "understudy_shadow_dropped_total") == 1
    servers.wait_until(lambda: len(servers.lines()) == 2)
    assert [line["model"] is None for line in servers.lines()] == [True, False]


def test_a_copy_waits_for_a_free_slot_and_takes_no_place_in_the_queue():
    """A copy that was refused would count as an answer that the model got wrong."""

    async def copied():
        slots, done = Slots(1, 0, 1.0), asyncio.Queue()
        answer = ModelAnswer("a", (), is_cut=False, prompt_tokens=1, output_tokens=1)

        async def answer_unchecked(ask, messages, *, is_copy):
            async with slots.slot(is_copy=is_copy):
                return answer

        model = types.SimpleNamespace(
            slots=slots,
            breaker=types.SimpleNamespace(state="closed"),
            task=types.SimpleNamespace(round=1, model_version="triage/round-1@00000000"),
            answer_unchecked=answer_unchecked,
        )
        content = Content(
            task=None, system="", messages=(), session="", service=ServiceAnswer("s", 200, 1.0),
            model=None, ask=object(),
        )  # fmt: skip
        exchange = Exchange("triage", "gemini", False, "service", "ok", 200, 1.0, "e", 0.0, content)
        shadow = Shadow(ShadowSettings(), lambda name: model, done.put_nowait, lambda: None)
        async with slots.slot():
            assert shadow.offer(exchange)
            running = asyncio.create_task(shadow.run_forever())
            for _ in range(5):
                await asyncio.sleep(0)
            assert (slots.waiting, done.empty()) == (0, True)
        got = await done.get()
        running.cancel()
        return got.content.model.answer.text

    assert asyncio.run(copied()) == "a"


def test_the_queue_is_bounded_and_what_waits_at_the_end_is_captured(shadow):
    servers = shadow(shadow={"queue_length": 2})

    async def stall(request, reply):
        await reply.stall()

    servers.model.behavior = stall
    for _ in range(5):  # one is asked, two wait, two are dropped
        servers.post(GEMINI_PATH, gemini_request())
        servers.wait_until(lambda: len(servers.model.received) == 1)
    servers.took(5)
    assert value(servers, "understudy_shadow_dropped_total") == 2
    assert len(servers.lines()) <= 2
    servers.stop_gateway()
    assert len(servers.lines()) == 5


@pytest.mark.parametrize(("percent", "least", "most"), [(30, 2850, 3150), (100, 10_000, 10_000)])
def test_the_share_of_copied_requests_is_that_of_the_settings(percent, least, most):
    """At 30 % the bounds are more than three standard deviations away."""
    settings = ShadowSettings(percent=percent, queue_length=100_000)

    async def count():
        shadow = Shadow(settings, lambda name: None, print, print, random.Random(1))
        content = types.SimpleNamespace(
            ask=object(), model=None, service=types.SimpleNamespace(text="s")
        )
        exchange = types.SimpleNamespace(content=content, served_by="service")
        return sum(shadow.offer(exchange) for _ in range(10_000))

    assert least <= asyncio.run(count()) <= most


def test_a_request_that_is_not_copied_is_captured_all_the_same(shadow):
    servers = shadow(shadow={"percent": 0.0001})
    for _ in range(5):
        servers.post(GEMINI_PATH, gemini_request())
    servers.wait_until(lambda: len(servers.lines()) == 5)
    assert servers.model.received == []
