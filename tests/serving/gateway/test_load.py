"""Many requests at once, clients that leave, and a queue with bounds."""

import asyncio
import gc
import os

import aiohttp
import pytest

from serving.gateway.capacity import BusyError, Slots
from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    SERVICE_TEXT,
    gemini_request,
)


def test_a_queue_that_is_full_says_so_at_once():
    async def run() -> None:
        slots = Slots(slots=1, queue_length=1, queue_seconds=60)
        held = asyncio.Event()

        async def hold() -> None:
            async with slots.slot():
                await held.wait()

        first = asyncio.create_task(hold())
        second = asyncio.create_task(hold())
        await asyncio.sleep(0)
        assert (slots.answering, slots.waiting) == (1, 1)
        with pytest.raises(BusyError, match="is full") as raised:
            async with slots.slot():
                pass
        assert raised.value.retry_after_seconds >= 1
        held.set()
        await asyncio.gather(first, second)
        async with slots.slot():
            assert (slots.answering, slots.waiting) == (1, 0)

    asyncio.run(run())


def test_a_request_that_leaves_the_queue_makes_room_in_it():
    async def run() -> None:
        slots = Slots(slots=1, queue_length=1, queue_seconds=0.05)
        async with slots.slot():
            with pytest.raises(BusyError, match=r"within 0.05 s"):
                async with slots.slot():
                    pass
            assert slots.waiting == 0
        async with slots.slot():
            pass

    asyncio.run(run())


async def silent(request, reply):
    await reply.stall()


def at_once(servers, number: int) -> list[tuple[int, dict]]:
    """The status and headers of that many requests that are sent at the same time."""

    async def run() -> list[tuple[int, dict]]:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

            async def ask() -> tuple[int, dict]:
                url = servers.url + GEMINI_PATH
                async with session.post(url, json=gemini_request()) as answer:
                    await answer.read()
                    return answer.status, dict(answer.headers)

            return await asyncio.gather(*(ask() for _ in range(number)))

    return asyncio.run(run())


def test_two_thousand_requests_at_once_are_all_answered(servers, monkeypatch):
    # The machine is slow, not the service.
    monkeypatch.setattr("serving.gateway.upstream._CONNECT_SECONDS", 600.0)
    servers.start(servers.settings(first_byte_seconds=600.0, between_bytes_seconds=600.0))
    answers = at_once(servers, 2000)
    assert {status for status, _ in answers} == {200}
    assert {headers["x-understudy-served-by"] for _, headers in answers} == {"service"}
    assert len(servers.service.received) == 2000


def test_what_the_model_has_no_room_for_gets_503_with_a_time(servers):
    model = {"slots": 2, "queue_length": 10, "queue_seconds": 60, "keep_warm_seconds": 0}
    servers.start(servers.settings(model=model), [servers.task(slots=2)])
    servers.service.behavior = fakes.unavailable
    answers = at_once(servers, 100)
    served = [headers for status, headers in answers if status == 200]
    turned_away = [headers for status, headers in answers if status == 503]
    assert len(served) + len(turned_away) == 100
    assert len(served) >= 12
    assert turned_away
    assert all(int(headers["Retry-After"]) >= 1 for headers in turned_away)
    assert {headers["x-understudy-served-by"] for headers in served} == {"model"}


def leave_early(servers, number: int, path: str) -> None:
    """Send that many requests, and leave before their answers."""

    async def one(limit: asyncio.Semaphore, body: bytes) -> None:
        async with limit:
            port = int(servers.url.rpartition(":")[2])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.close()

    async def run() -> None:
        import json

        limit = asyncio.Semaphore(100)
        body = json.dumps(gemini_request()).encode()
        await asyncio.gather(*(one(limit, body) for _ in range(number)))

    asyncio.run(run())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def tasks(servers) -> int:
    async def count() -> int:
        return len(asyncio.all_tasks())

    return servers.run(count())


@pytest.mark.parametrize(
    "number",
    [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.soak])],
    ids=["300", "10000"],
)
@pytest.mark.parametrize("path", [GEMINI_PATH, f"{GEMINI_STREAM_PATH}?alt=sse"])
@pytest.mark.parametrize("waits_for", ["service", "model"])
def test_clients_that_leave_early_leave_nothing_behind(servers, number, path, waits_for):
    servers.start()
    at_once(servers, 1)
    before = (tasks(servers), open_files())
    if waits_for == "service":
        servers.service.behavior = silent
    else:
        servers.service.behavior, servers.model.behavior = fakes.unavailable, silent
    leave_early(servers, number, path)
    servers.wait_until(lambda: len(servers.exchanges) == number + 1)
    assert {it.reason for it in servers.exchanges[1:]} <= {"client_left"}
    gc.collect()
    idle = 2 * 4  # connections that the gateway keeps for the next requests, both their ends
    servers.wait_until(lambda: tasks(servers) <= before[0] + idle)
    servers.wait_until(lambda: open_files() <= before[1] + 2 * idle)
    servers.service.behavior = fakes.healthy(SERVICE_TEXT)
    assert servers.ask("gemini", stream=False) == SERVICE_TEXT
