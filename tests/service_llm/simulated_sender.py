"""The sender of a run on a simulated clock: its event loop sleeps in no time."""

import asyncio
import random
import selectors

from service_llm.client import _MAX_WAITING
from service_llm.pacing.limiter import Limiter
from service_llm.sender import Sender
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Finish, Reply, Request
from tests.service_llm.conftest import Word
from tests.service_llm.simulated_time import Clock

_LOOK_SECONDS = 0.25


class _NoWait(selectors.SelectSelector):
    """Lets a clock go on instead of waiting."""

    def __init__(self, clock):
        super().__init__()
        self._clock = clock

    def select(self, timeout=None):
        assert timeout is not None, "nothing will ever happen"
        self._clock.now += max(timeout, 1e-6)  # what takes no time would never end
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock):
        super().__init__(_NoWait(clock))
        self._clock = clock

    def time(self):
        return self._clock.now


class _Provider:
    """Takes `latency` seconds for a reply, and a hundredth for a failure."""

    def __init__(self, failure, latency):
        self._failure = failure
        self._latency = latency

    async def send(self, request):
        if (error := self._failure()) is not None:
            await asyncio.sleep(0.01)
            raise error
        await asyncio.sleep(self._latency * random.uniform(0.8, 1.2))
        return Reply('{"word": "a"}', Finish.STOP, 100, 100)

    async def close(self):
        pass


def simulate_sender(monkeypatch, failure, *, per_minute, latency, seconds, seed=1):
    """Send requests for some time, as many at a time as `ServiceLLM.map` would.

    Args:
        monkeypatch: Brings the provider in.
        failure: Called when a request arrives, with the seconds since the start; returns how it
            fails, None where it is answered.
        per_minute: The limit.
        latency: Seconds of a reply, about.
        seconds: Until the end.
        seed: Of all chance.

    Returns:
        When each request was answered, and how many might be in flight from when on.
    """
    clock = Clock()
    start = clock.now
    random.seed(seed)
    limiter = Limiter(requests_per_minute=per_minute, max_concurrency=2048, clock=clock)
    provider = _Provider(lambda: failure(clock.now - start), latency)
    monkeypatch.setattr("service_llm.sender.open_provider", lambda settings: provider)
    settings = ServiceLLMSettings(
        provider="openai", model="m", base_url="http://127.0.0.1:1", requests_per_minute=per_minute
    )
    sender = Sender(settings, limiter, lambda: None)
    answered, windows = [], []

    async def run():
        tasks, waiting = set(), set()

        async def ask():
            request = Request("word", Word)
            token = object()
            waiting.add(token)
            await sender.send(request, lambda: waiting.discard(token))
            answered.append(clock.now - start)

        while clock.now - start < seconds:
            windows.append((clock.now - start, limiter.concurrency))
            room = limiter.concurrency if answered else 1
            while len(tasks) < room and len(waiting) < _MAX_WAITING:
                task = asyncio.create_task(ask())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await asyncio.sleep(0)
            await asyncio.sleep(_LOOK_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop = _Loop(clock)
    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
    return answered, windows
