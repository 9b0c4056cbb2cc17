"""Shadow mode: the tuned model answers later what the service has answered, and nobody waits."""

import asyncio
import json
import random
import time
import types
from collections.abc import Callable

import httpx
import pytest

from serving.gateway.breaker import Breaker
from serving.gateway.exchange import Content, Exchange, ServiceAnswer
from serving.gateway.local_model import LocalModel
from serving.gateway.protocols.base import ModelAnswer
from serving.gateway.shadow import Shadow
from serving.gateway.task import Message, ServedTask
from serving.mode_settings import ShadowSettings
from serving.settings import BreakerSettings, ModelServerSettings
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    Clock,
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
    text = httpx.get(f"{servers.url}/understudy/metrics").text
    for name in ("understudy_requests_total{", "understudy_request_seconds_count{"):
        [counted] = [found for found in text.splitlines() if found.startswith(name)]
        assert 'served_by="service"' in counted
        assert counted.endswith(" 1.0")


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


def exchange(text: str = "Hello.") -> Exchange:
    content = Content(
        task=None, system="", messages=(Message("user", text),), session="",
        service=ServiceAnswer("s", 200, 1.0), model=None, ask=object(),
    )  # fmt: skip
    return Exchange("triage", "gemini", False, "service", "ok", 200, 1.0, "e", 0.0, content)


def local_model(
    generate, slots: int = 1, clock: Callable[[], float] = time.monotonic
) -> LocalModel:
    """A model whose server is a function."""
    task = ServedTask(
        name="triage", model="m", round=1, hash="abc", base_url="http://127.0.0.1:1/v1",
        api_model="m", context_length=64, max_output_tokens=16, slots=slots,
        count_tokens=lambda messages: sum(len(each.text.split()) for each in messages),
    )  # fmt: skip
    model = LocalModel(task, lambda: None, ModelServerSettings(queue_length=0), BreakerSettings())
    settings = BreakerSettings(jitter=0, failures_to_open=1, ramp_successes=2)
    model.breaker = Breaker(settings, 1, clock=clock)
    model._generate = generate
    return model


def test_a_model_that_fails_is_asked_again_within_seconds_whatever_the_service_is_given():
    of_service = BreakerSettings(wait_seconds=60.0, max_wait_seconds=600.0, jitter=0.2)
    task = local_model(None).task
    model = LocalModel(task, lambda: None, ModelServerSettings(), of_service)
    waits = []
    for _ in range(8):
        while (permit := model.breaker.permit()) is not None:
            permit.failure("F6")
        waits.append(model.breaker.seconds_left())
        model.breaker._until = 0.0
    assert 0 < min(waits) <= max(waits) <= 1.0 * 1.2


def copies(
    model: LocalModel, number: int = 1, text: str = "Hello."
) -> tuple[list[str | None], int]:
    """The texts of the model's answers to copies, None for none, and how many were dropped."""

    async def run():
        done, dropped = asyncio.Queue(), []
        shadow = Shadow(
            ShadowSettings(), lambda name: model, done.put_nowait, lambda: dropped.append(1)
        )
        running = asyncio.create_task(shadow.run_forever())
        texts = []
        for _ in range(number):
            assert shadow.offer(exchange(text))
            answer = (await asyncio.wait_for(done.get(), 30)).content.model
            texts.append(answer.answer.text if answer else None)
        running.cancel()
        return texts, len(dropped)

    return asyncio.run(run())


async def answers(ask, messages):
    return ModelAnswer("a", (), is_cut=False, prompt_tokens=1, output_tokens=1)


def test_copies_continue_once_the_breaker_of_the_model_has_waited():
    clock = Clock()
    model = local_model(answers, clock=clock)
    model.breaker.record_failure("503", None)
    assert copies(model, 2) == ([None, None], 2)
    clock.now += 10
    assert copies(model, 3) == (["a", "a", "a"], 0)
    assert model.breaker.state == "closed"


def test_a_copy_that_is_not_asked_is_dropped_and_no_wrong_answer():
    """On the ramp, while the probe of another request is in flight."""
    clock = Clock()
    model = local_model(answers, clock=clock)
    model.breaker.record_failure("503", None)
    clock.now += 10
    probe = model.breaker.permit()
    assert copies(model) == ([None], 1)
    probe.success()
    assert copies(model) == (["a"], 0)


def test_copies_continue_after_any_failure(capsys):
    async def once(ask, messages):
        model._generate = answers
        raise RuntimeError("a fault of its own")

    model = local_model(once)
    assert copies(model, 2) == ([None, "a"], 1)
    assert "a request was not copied: RuntimeError" in capsys.readouterr().err


def test_a_prompt_beyond_the_context_is_no_pair():
    model = local_model(answers)
    assert copies(model, text="word " * 49) == ([None], 0)
    assert copies(model, text="word " * 48) == (["a"], 0)


@pytest.mark.parametrize(
    ("status", "expected"), [(503, ([None], 1)), (429, ([None], 1)), (500, ([""], 0))]
)
def test_a_server_of_the_model_without_room_says_nothing_about_the_model(shadow, status, expected):
    async def refuses(request, reply):
        await reply.whole(b"no", status)

    servers = shadow()
    servers.model.behavior = refuses
    servers.post(GEMINI_PATH, gemini_request())
    servers.wait_until(lambda: len(servers.lines()) == 1)
    texts = [line["model"] and line["model"]["text"] for line in servers.lines()]
    assert (texts, value(servers, "understudy_shadow_dropped_total")) == expected


def test_a_copy_waits_for_a_free_slot_and_takes_no_place_in_the_queue():
    """A copy that was refused would count as an answer that the model got wrong."""

    async def copied():
        model, done = local_model(answers), asyncio.Queue()
        shadow = Shadow(ShadowSettings(), lambda name: model, done.put_nowait, lambda: None)
        async with model.slots.slot():
            assert shadow.offer(exchange())
            running = asyncio.create_task(shadow.run_forever())
            for _ in range(5):
                await asyncio.sleep(0)
            assert (model.slots.waiting, done.empty()) == (0, True)
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
