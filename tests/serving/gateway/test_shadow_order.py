"""Shadow mode: the copy begins after the last byte of the answer, and changes no figure of it."""

import asyncio
import json
import socket

import httpx
import pytest

from tests.serving.gateway import fakes
from tests.serving.gateway.exposed import families
from tests.serving.gateway.harness import (
    GEMINI_STREAM_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    gemini_request,
    openai_request,
)

SSE = f"{GEMINI_STREAM_PATH}?alt=sse"
PIECE = "x" * 64 * 1024
PIECES = 256  # 16 MB: more than the buffers of two sockets hold
CHANGING = ("understudy_requests", "understudy_request_seconds")


@pytest.fixture
def shadow(servers, tmp_path):
    """A gateway in shadow mode whose model says when it is asked, and answers when it is told."""
    servers.events, servers.may_answer = [], asyncio.Event()
    servers.fails = False

    async def model(request, reply):
        servers.events.append("model asked")
        await servers.may_answer.wait()
        if servers.fails:
            await reply.whole(b"no", 500)
        else:
            await fakes.model(MODEL_TEXT)(request, reply)

    task = servers.task(output_schema=None, samples=())
    servers.start(
        servers.settings(mode="shadow", capture=True, hold_kib=0), [task], state_dir=tmp_path
    )
    servers.model.behavior = model
    servers.lines = lambda: [
        json.loads(line)
        for file in tmp_path.glob("capture/*.jsonl")
        for line in file.read_text().splitlines()
    ]
    yield servers
    servers.loop.call_soon_threadsafe(servers.may_answer.set)


def release(servers, event):
    servers.loop.call_soon_threadsafe(event.set)


def settled(servers):
    """After which the gateway has done all that it does of itself."""
    for _ in range(5):
        assert httpx.get(f"{servers.url}/understudy/status").status_code == 200


def test_while_the_service_still_answers_nothing_is_copied(shadow):
    may_end = asyncio.Event()

    async def service(request, reply):
        await reply.begin_chunks()
        await reply.chunk(fakes.gemini_event("first"))
        await may_end.wait()
        shadow.events.append("service ends")
        await reply.chunk(fakes.gemini_event("last", "STOP"))
        await reply.end_chunks()

    shadow.service.behavior = service
    with httpx.stream("POST", shadow.url + SSE, json=gemini_request()) as reply:
        parts = reply.iter_bytes()
        assert b"first" in next(parts)
        settled(shadow)
        assert shadow.events == []
        release(shadow, may_end)
        assert b"last" in b"".join(parts)
    shadow.wait_until(lambda: len(shadow.events) == 2)
    assert shadow.events == ["service ends", "model asked"]


def test_a_client_that_reads_slowly_has_all_of_its_answer_before_the_copy_begins(shadow):
    is_said = asyncio.Event()

    async def service(request, reply):
        await reply.begin_chunks()
        for _ in range(PIECES):
            await reply.chunk(fakes.gemini_event(PIECE))
        await reply.chunk(fakes.gemini_event("end", "STOP"))
        is_said.set()
        await reply.end_chunks()

    shadow.service.behavior = service
    body = json.dumps(gemini_request()).encode()
    head = f"POST {SSE} HTTP/1.1\r\nHost: g\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", int(shadow.url.rpartition(":")[2])))
        client.sendall(f"{head}\r\n".encode() + body)
        beginning = client.recv(1024)
        settled(shadow)
        assert not is_said.is_set(), "the answer fits into the buffers: make it longer"
        assert shadow.events == []
        read = len(beginning)
        while part := client.recv(1 << 20):
            assert shadow.events == [] or is_said.is_set()
            read += len(part)
    assert read > PIECES * len(PIECE)
    shadow.wait_until(lambda: shadow.events == ["model asked"])


def figures(servers):
    """All that is counted of requests, their seconds included."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(servers)
        for sample in family.samples
        if family.name in CHANGING
    }


@pytest.mark.parametrize("fails", [False, True], ids=["answers", "fails"])
def test_a_copy_changes_no_figure_of_requests_and_no_usage(shadow, fails):
    shadow.fails = fails
    shadow.service.behavior = fakes.healthy(SERVICE_TEXT)
    answer = shadow.post("/v1/chat/completions", openai_request())
    shadow.wait_until(lambda: shadow.events == ["model asked"])
    while_it_runs = figures(shadow)
    release(shadow, shadow.may_answer)
    shadow.wait_until(lambda: len(shadow.lines()) == 1)
    assert figures(shadow) == while_it_runs
    requests = {key: of for key, of in while_it_runs.items() if key[0].endswith("requests_total")}
    assert list(requests.values()) == [1]
    assert {"service", "ok"} <= {*next(iter(requests))}
    status = httpx.get(f"{shadow.url}/understudy/status").json()
    assert status["answered_by"] == {"service": 1}
    # The answer is the service's, byte by byte, and so is the usage that is written down.
    assert answer.content == fakes.openai_body(SERVICE_TEXT)
    [line] = shadow.lines()
    assert line["service"]["usage"] == {"prompt_tokens": 1, "output_tokens": 1}
    assert line["model"]["text"] == ("" if fails else MODEL_TEXT)
    assert "usage" not in line["model"]
