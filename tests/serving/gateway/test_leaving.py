"""A client that leaves cancels what runs for it at the tuned model, and makes room for the next."""

import asyncio
import json
import socket

import pytest

from tests.serving.gateway import fakes
from tests.serving.gateway.faulty import OVERLOADED, silent, status
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    MODEL_TEXT,
    Harness,
    gemini_request,
    openai_request,
)

REQUESTS = {
    "gemini-whole": (GEMINI_PATH, gemini_request()),
    "gemini-stream": (f"{GEMINI_STREAM_PATH}?alt=sse", gemini_request()),
    "openai-whole": ("/v1/chat/completions", openai_request()),
    "openai-stream": ("/v1/chat/completions", openai_request(stream=True)),
}


async def generates_without_end(request, reply):
    await reply.begin_chunks()
    while not reply.left.is_set():
        await reply.chunk(fakes.openai_chunk("word "))
        await asyncio.sleep(0.005)


def started(servers: Harness, **changes: object) -> Harness:
    """A gateway whose tuned model does one thing at a time, and whose service is down."""
    model = {"slots": 1, "queue_length": 1, "queue_seconds": 600, "timeout_seconds": 600}
    model["keep_warm_seconds"] = 0
    servers.start(servers.settings(model=model, **changes), [servers.task(slots=1)])
    servers.service.behavior = status(503, OVERLOADED)
    return servers


def client(servers: Harness, path: str, body: dict) -> socket.socket:
    """A client that has asked, and may leave."""
    content = json.dumps(body).encode()
    connected = socket.create_connection(("127.0.0.1", int(servers.url.rpartition(":")[2])))
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(content)}\r\n\r\n"
    connected.sendall(head.encode() + content)
    return connected


def model_of(servers: Harness):
    return servers.app._gateway.served.models["triage"]


def is_idle(servers: Harness) -> bool:
    """Whether nothing is left at the model's server, nor in the queue before it."""
    model = model_of(servers)
    used = (model.slots.answering, model.slots.waiting, model.in_use)
    return used == (0, 0, 0) and servers.model.open_connections == 0


def assert_the_next_is_answered(servers: Harness) -> None:
    servers.model.behavior = fakes.model(MODEL_TEXT)
    servers.service.behavior = status(503, OVERLOADED)
    assert servers.ask("gemini", stream=False) == MODEL_TEXT


@pytest.mark.parametrize("mode", ["failover", "model"])
@pytest.mark.parametrize("behavior", [silent, generates_without_end])
@pytest.mark.parametrize("asked", REQUESTS)
def test_the_models_work_for_a_client_that_leaves_is_cancelled(servers, mode, behavior, asked):
    started(servers, mode=mode)
    servers.model.behavior = behavior
    with client(servers, *REQUESTS[asked]):
        servers.wait_until(lambda: len(servers.model.received) == 1)
        assert model_of(servers).slots.answering == 1
    servers.wait_until(lambda: servers.model.left_early == 1)
    servers.wait_until(lambda: is_idle(servers))
    [exchange] = servers.took(1)
    assert (exchange.served_by, exchange.status) == ("none", 0)
    assert exchange.reason.endswith("client_left")
    assert len(servers.model.received) == 1, "it is not asked again for nobody"
    assert model_of(servers).breaker.state == "closed"
    assert_the_next_is_answered(servers)


def test_both_that_work_for_a_client_that_leaves_are_cancelled(servers):
    started(servers, first_byte_seconds=0.05)
    servers.service.behavior, servers.model.behavior = silent, generates_without_end
    with client(servers, *REQUESTS["gemini-stream"]):
        servers.wait_until(lambda: len(servers.model.received) == 1)
        assert servers.service.open_connections == 1, "slow is not dead"
    servers.wait_until(lambda: (servers.service.left_early, servers.model.left_early) == (1, 1))
    servers.wait_until(lambda: servers.service.open_connections == 0)
    servers.wait_until(lambda: is_idle(servers))
    assert_the_next_is_answered(servers)


def test_a_client_that_leaves_the_queue_costs_the_model_nothing(servers):
    started(servers)
    servers.model.behavior = generates_without_end
    with client(servers, *REQUESTS["gemini-whole"]):
        servers.wait_until(lambda: len(servers.model.received) == 1)
        with client(servers, *REQUESTS["openai-stream"]):
            servers.wait_until(lambda: model_of(servers).slots.waiting == 1)
        servers.wait_until(lambda: model_of(servers).slots.waiting == 0)
        assert model_of(servers).slots.answering == 1, "the other's work goes on"
    servers.wait_until(lambda: is_idle(servers))
    assert (len(servers.model.received), servers.model.left_early) == (1, 1)
    assert_the_next_is_answered(servers)
