"""What a gateway does beside its requests goes on, whatever fails."""

import asyncio
import concurrent.futures
import threading

import httpx
import pytest

from serving.gateway.jobs import kept_up
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import GEMINI_PATH, MODEL_TEXT, gemini_request


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("serving.gateway.jobs._AGAIN_SECONDS", 0.01)


class Counter:
    """Counts tokens, and fails at it where it is told to."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self, messages) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise RuntimeError("AIza-secret: nobody has seen this before")
        return fakes.count_words([message.text for message in messages])


def test_a_job_that_fails_is_begun_again_until_it_ends(capsys):
    begun = []

    async def job():
        begun.append(1)
        if len(begun) < 4:
            raise RuntimeError("AIza-secret")

    asyncio.run(kept_up(job))
    assert len(begun) == 4
    said = capsys.readouterr().err
    assert said.count("understudy: RuntimeError at ") == 3
    assert "secret" not in said


def test_a_gateway_gets_ready_although_its_first_look_at_the_model_fails(servers):
    counter = Counter(failures=10**9)
    servers.start(tasks=[servers.task(count_tokens=counter)], is_ready=False)
    ready = f"{servers.url}/understudy/ready"
    servers.wait_until(lambda: "its log says where" in httpx.get(ready).text)
    assert httpx.get(ready).status_code == 503
    counter.failures = 0
    servers.wait_until(lambda: httpx.get(ready).status_code == 200)


def test_the_model_is_kept_warm_after_any_failure(servers):
    counter = Counter(failures=0)
    servers.start(
        servers.settings(model={"keep_warm_seconds": 0.02}),
        [servers.task(count_tokens=counter)],
    )
    counter.failures = counter.calls + 2
    asked = len(servers.model.received)
    servers.wait_until(lambda: len(servers.model.received) >= asked + 5)


def test_the_alarm_of_a_model_that_answers_again_ends_while_it_is_busy(servers):
    servers.start(servers.settings(model={"keep_warm_seconds": 0.02}))
    gateway = servers.app._gateway
    servers.model.behavior = fakes.model("")
    servers.wait_until(lambda: gateway.alarms.is_raised("tuned_model:triage"))
    gateway.served.models["triage"].in_use = 1
    servers.model.behavior = fakes.model(MODEL_TEXT)
    servers.wait_until(lambda: not gateway.alarms.is_raised("tuned_model:triage"))


def test_a_tokenizer_that_hangs_takes_no_threads_of_the_event_loop(servers):
    answers, waiting = threading.Event(), threading.Semaphore(0)
    is_hanging = False

    def count(messages) -> int:
        if is_hanging:
            waiting.release()
            answers.wait(30)
        return fakes.count_words([message.text for message in messages])

    servers.start(tasks=[servers.task(count_tokens=count)])
    servers.service.behavior = fakes.unavailable
    is_hanging = True

    async def look_up():  # as for a host's name
        return await asyncio.get_running_loop().run_in_executor(None, lambda: "found")

    with concurrent.futures.ThreadPoolExecutor(40) as clients:
        asking = [clients.submit(servers.post, GEMINI_PATH, gemini_request()) for _ in range(40)]
        try:
            for _ in range(4):  # or more, as many as the machine gives the event loop
                assert waiting.acquire(timeout=30)
            servers.wait_until(lambda: len(servers.service.received) == 40)
            assert servers.run(look_up()) == "found"
        finally:
            answers.set()
    assert {reply.result().status_code for reply in asking} == {200}


def test_the_gateway_looks_around_again_and_again(servers, monkeypatch):
    monkeypatch.setattr("serving.gateway.jobs._LOOK_SECONDS", 0.01)
    servers.start()
    looks = []
    look = servers.app._gateway.look_around

    async def counted():
        looks.append(1)
        await look()

    monkeypatch.setattr(servers.app._gateway, "look_around", counted)
    servers.wait_until(lambda: len(looks) >= 3)
