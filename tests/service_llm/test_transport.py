"""Many requests at once over the transport's small pools, over real HTTP."""

import asyncio
import threading

import httpx
import pytest

from service_llm.providers import transport
from service_llm.providers.transport import PooledTransport
from tests.service_llm.conftest import gemini_reply


@pytest.fixture(autouse=True)
def small_pools(monkeypatch):
    monkeypatch.setattr(transport, "_POOL_CONNECTIONS", 4)


def post_all(pooled, url, count):
    url, body = f"{url}/v1/embeddings", {"model": "m", "input": "a"}

    async def run():
        async with httpx.AsyncClient(transport=pooled, timeout=20) as client:
            first = await asyncio.gather(*(client.post(url, json=body) for _ in range(count)))
            again = await client.post(url, json=body)
            return [reply.status_code for reply in (*first, again)]

    return asyncio.run(run())


def test_as_many_requests_are_in_flight_as_there_are_connections(server):
    everyone = threading.Barrier(10)

    def respond(body, number):
        if number <= 10:
            everyone.wait(timeout=20)  # is answered only when all ten have come
        return gemini_reply("x")

    server.respond = respond
    pooled = PooledTransport(12)
    assert post_all(pooled, server.url, 10) == [200] * 11
    assert len(pooled._pools) == 3
    assert pooled._in_flight == [0, 0, 0]


def test_further_requests_wait_for_a_connection(server):
    server.respond = lambda body, number: gemini_reply("x")
    pooled = PooledTransport(8)
    assert post_all(pooled, server.url, 30) == [200] * 31
    assert len(pooled._pools) == 2


def test_a_failed_request_leaves_its_place_to_others():
    pooled = PooledTransport(4)
    for _ in range(6):
        with pytest.raises(httpx.ConnectError):
            post_all(pooled, "http://127.0.0.1:1", 1)
    assert pooled._in_flight == [0]
