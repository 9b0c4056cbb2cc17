"""The healthy path: bytes, headers and keys, to the service and back."""

import asyncio
import gzip
import json
import os
import random
import socket
import sys

import aiohttp
import aiohttp.web
import httpx
import pytest

from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    KEY,
    MODEL_TEXT,
    SERVICE_TEXT,
    gemini_request,
    harness,
    openai_request,
)


def echo(body: bytes = b"{}", **headers: str) -> fakes.Behavior:
    async def behave(request, reply):
        await reply.whole(body, **headers)

    return behave


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", path, marks=pytest.mark.unpublished)
        for path in (
            "/v1beta/models/gemini-x:countTokens",
            "/v1beta/models/e:batchEmbedContents?key=k",
            "/v1beta/cachedContents",
            "/v1beta/models/gemini-x:batchGenerateContent",
        )
    ]
    + [
        ("GET", "/v1beta/files?pageSize=10&pageToken=a%2Fb%20c"),
        ("DELETE", "/v1beta/files/abc"),
        ("PATCH", "/v1beta/cachedContents/1?updateMask=ttl"),
        ("PUT", "/upload/v1beta/files"),
        ("GET", "/a/path/not%2Fknown?x=%C3%A9"),
        ("OPTIONS", "/v1beta/models"),
    ],
)
def test_everything_else_passes_through_untouched(well, method, path):
    well.service.behavior = echo(b'{"a":  1 }', X_Odd="1")
    body = b'{"any" : "thing"}' if method in ("POST", "PATCH", "PUT") else None
    answer = httpx.request(method, well.url + path, content=body, headers={"x-a": "1, 2"})
    assert (answer.status_code, answer.content) == (200, b'{"a":  1 }')
    assert answer.headers["x-odd"] == "1"
    assert answer.headers["x-understudy-served-by"] == "service"
    [seen] = well.service.received
    assert (seen.method, seen.target, seen.body) == (method, path, body or b"")
    assert seen.header("x-a") == "1, 2"


@pytest.mark.unpublished
def test_unread_fields_and_headers_go_both_ways_as_they_are(well):
    said = b'{ "candidates": [ {"content": {"parts": [{"text": "{\\"category\\": \\"billing\\"}"'
    said += b'}]}, "finishReason":"STOP", "newField": [1.0, 1e3, "\\u00e9"]} ],   "x": null}'

    async def behave(request, reply):
        await reply.head(
            200,
            {
                "Content-Type": "application/json",
                "X-Request-Id": "abc",
                "Set-Cookie": "a=1",
                "set-cookie": "b=2",
                "Content-Length": str(len(said)),
                "Connection": "keep-alive, X-Hop",
                "X-Hop": "not for the client",
                "X-Understudy-Served-By": "an impostor",
            },
        )
        await reply.raw(said)

    well.service.behavior = behave
    asked = json.dumps(gemini_request(unknownField={"a": [1, 2]}), indent=3).encode()
    answer = httpx.post(
        well.url + GEMINI_PATH,
        content=asked,
        headers={"user-agent": "app/1", "x-goog-api-client": "gl", "x-understudy-odd": "1"},
    )
    assert answer.content == said
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-request-id"] == "abc"
    assert answer.headers.get_list("x-understudy-served-by") == ["service"]
    assert answer.headers["x-understudy-reason"] == "ok"
    assert "x-hop" not in answer.headers
    [seen] = well.service.received
    assert seen.body == asked
    assert seen.header("user-agent") == "app/1"
    assert not [name for name, _ in seen.headers if name.lower().startswith("x-understudy")]
    assert seen.header("host") == f"127.0.0.1:{well.service.port}"


def test_a_client_that_sends_few_headers_sends_no_more_of_them_on(well):
    async def ask() -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(well.url.rpartition(":")[2])
        )
        body = json.dumps(gemini_request()).encode()
        writer.write(f"POST {GEMINI_PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: ".encode())
        writer.write(str(len(body)).encode() + b"\r\n\r\n" + body)
        assert b"200" in await reader.readline()
        writer.close()

    asyncio.run(ask())
    assert {name.lower() for name, _ in well.service.received[0].headers} == {
        "host",
        "content-length",
    }


@pytest.mark.parametrize(
    "path", [f"{GEMINI_STREAM_PATH}?alt=sse", GEMINI_STREAM_PATH, "/v1/chat/completions"]
)
def test_a_stream_goes_through_byte_by_byte(well, path):
    sent = []

    async def behave(request, reply):
        await reply.begin_chunks(fakes.stream_kind(request))
        for part in fakes.stream_parts(request, SERVICE_TEXT):
            sent.append(part)
            await reply.chunk(part)
        await reply.end_chunks()

    well.service.behavior = behave
    body = openai_request(stream=True) if "chat" in path else gemini_request()
    answer = well.post(path, body)
    assert answer.content == b"".join(sent)
    assert b"\n:" not in answer.content
    assert not answer.content.startswith(b":")
    assert answer.headers["content-type"] == fakes.stream_kind(well.service.received[0])


def test_lines_have_no_limit(well):
    long = json.dumps({"category": "billing", "note": "x" * 3_000_000})

    async def behave(request, reply):
        await reply.begin_chunks()
        event = fakes.gemini_event(long, "STOP")
        for at in range(0, len(event), 50_000):
            await reply.chunk(event[at : at + 50_000])
        await reply.end_chunks()

    well.service.behavior = behave
    assert well.ask("gemini", stream=True) == long


@pytest.mark.unpublished
def test_large_bodies_pass_through(well):
    big = os.urandom(20 * 1024 * 1024)
    well.service.behavior = echo(big, Content_Type="application/octet-stream")
    answer = httpx.post(f"{well.url}/upload/v1beta/files", content=big, timeout=60)
    assert answer.content == big
    assert well.service.received[0].body == big


def test_a_large_request_for_an_answer_goes_to_the_service_alone(well):
    image = {"inlineData": {"mimeType": "image/png", "data": "A" * 20_000_000}}
    body = gemini_request()
    body["contents"][0]["parts"].append(image)
    answer = well.post(GEMINI_PATH, body)
    assert answer.headers["x-understudy-served-by"] == "service"
    assert answer.headers["x-understudy-reason"] == "unmatched:size"
    assert well.service.received[0].json == body


@pytest.mark.parametrize(
    ("sent", "served_by"),
    [
        (gzip.compress(json.dumps(gemini_request()).encode()), "model"),
        *(
            pytest.param(sent, "none", marks=pytest.mark.unpublished)
            for sent in (
                gzip.compress(json.dumps(gemini_request()).encode())[:-9],
                gzip.compress(b"[" + b" " * 2**21 + b"]"),
                b"no gzip",
            )
        ),
    ],
    ids=["whole", "cut", "too large", "none"],
)
def test_a_compressed_request_is_read_and_goes_on_as_it_came(well, sent, served_by):
    well.service.behavior = fakes.unavailable
    headers = {"content-encoding": "gzip", "x-goog-api-key": KEY}
    answer = httpx.post(f"{well.url}{GEMINI_PATH}", content=sent, headers=headers)
    assert answer.headers["x-understudy-served-by"] == served_by
    assert well.service.received[0].body == sent


def test_requests_on_one_connection_are_answered_in_their_order(well):
    """Pipelined, chunked, and after `Expect: 100-continue`."""
    body = json.dumps(gemini_request()).encode()
    start = f"POST {GEMINI_PATH} HTTP/1.1\r\nHost: x\r\nx-goog-api-key: k\r\n".encode()
    whole = start + b"Content-Length: %d\r\n" % len(body)
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (9, body[:9], len(body) - 9, body[9:])
    requests = [
        whole + b"\r\n" + body,
        start + b"Transfer-Encoding: chunked\r\n\r\n" + chunks,
        whole + b"Expect: 100-continue\r\nConnection: close\r\n\r\n" + body,
    ]
    with socket.create_connection(("127.0.0.1", int(well.url.rpartition(":")[2]))) as client:
        client.settimeout(30)
        client.sendall(b"".join(requests))
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert received.count(b"x-understudy-reason: ok") == 3
    assert [request.json for request in well.service.received] == [gemini_request()] * 3
    assert not any(request.header("expect") for request in well.service.received)


def test_compressed_streams_stay_compressed(well):
    packed = gzip.compress(b"".join(fakes.gemini_event(p) for p in ("{}",)))

    async def behave(request, reply):
        await reply.begin_chunks(Content_Encoding="gzip")
        await reply.chunk(packed)
        await reply.end_chunks()

    well.service.behavior = behave
    path = f"{well.url}{GEMINI_STREAM_PATH}?alt=sse"
    other = gemini_request(system="not of the task")
    with httpx.stream("POST", path, json=other) as answer:
        assert b"".join(answer.iter_raw()) == packed


@pytest.mark.parametrize("encoding", ["br", "zstd"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("size", [10, 20_000])  # within and beyond what is held back
def test_an_encoding_that_cannot_be_read_here_goes_through_whole(
    well, monkeypatch, encoding, stream, size
):
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    packed = random.Random(0).randbytes(size)

    async def behave(request, reply):
        kind = "text/event-stream" if stream else "application/json"
        await reply.begin_chunks(kind, Content_Encoding=encoding)
        for at in range(0, size, 5000):
            await reply.chunk(packed[at : at + 5000])
        await reply.end_chunks()

    well.service.behavior = behave
    path = f"{GEMINI_STREAM_PATH}?alt=sse" if stream else GEMINI_PATH
    with httpx.stream("POST", well.url + path, json=gemini_request()) as answer:
        assert answer.headers["content-encoding"] == encoding
        assert b"".join(answer.iter_raw()) == packed
    assert [(it.served_by, str(it.reason)) for it in well.took(1)] == [("service", "ok")]
    assert not well.model.received


def test_a_cut_answer_that_cannot_be_read_here_does_not_end_as_if_whole(well, monkeypatch):
    monkeypatch.setitem(sys.modules, "brotli", None)

    async def behave(request, reply):
        await reply.begin_chunks(Content_Encoding="br")
        await reply.chunk(b"x" * 100)
        reply.close()

    well.service.behavior = behave
    path = f"{well.url}{GEMINI_STREAM_PATH}?alt=sse"
    with (
        httpx.stream("POST", path, json=gemini_request()) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        list(answer.iter_raw())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nothing_is_sent_twice_where_a_kept_connection_drops(well, method):
    well.service.received.clear()

    async def behave(request, reply):
        if len(well.service.received) == 1:
            await reply.whole(b"{}")
        else:
            reply.close()

    well.service.behavior = behave
    path = f"{well.url}/v1beta/files/f"
    assert httpx.request(method, path).status_code == 200
    assert httpx.request(method, path).status_code == 503
    assert len(well.service.received) == 2


# ---- the live API, and services of OpenAI's protocol -------------------------------------------


def test_websockets_pass_through(well):
    async def talk() -> None:
        seen = []
        app = aiohttp.web.Application()

        async def handle(request):
            seen.append((request.raw_path, request.headers.get("x-goog-api-key")))
            socket = aiohttp.web.WebSocketResponse(protocols=["json", "binary"])
            await socket.prepare(request)
            async for message in socket:
                if message.data == "bye":
                    await socket.close(code=4001)
                elif message.type is aiohttp.WSMsgType.TEXT:
                    await socket.send_str(message.data.upper())
                else:
                    await socket.send_bytes(message.data * 2)
            return socket

        app.router.add_get("/{path:.*}", handle)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        with harness() as servers:
            servers.start(servers.settings(base_url=f"http://127.0.0.1:{port}"))
            path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(
                    f"{servers.url}{path}?key=k",
                    headers={"x-goog-api-key": KEY},
                    protocols=["cbor", "binary"],
                ) as socket,
            ):
                assert socket.protocol == "binary", "what the service chose"
                await socket.send_str("hello")
                assert (await socket.receive()).data == "HELLO"
                await socket.send_bytes(b"x" * 2_000_000)
                assert (await socket.receive()).data == b"x" * 4_000_000
                await socket.send_str("bye")
                assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
                assert socket.close_code == 4001
            assert seen == [(f"{path}?key=k", KEY)]
            await runner.cleanup()

    asyncio.run(talk())


def test_a_websocket_at_which_the_gateway_fails_shows_no_key(servers, monkeypatch, capfd):
    async def fails(*arguments, **options):
        raise ValueError(f"https://host/ws?key={KEY}")

    async def connect() -> int:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{servers.url}/ws/live?key={KEY}")
            return refused.value.status

    monkeypatch.setattr("serving.gateway.websocket.relay", fails)
    servers.start()
    assert asyncio.run(connect()) == 403
    said = capfd.readouterr()
    assert "understudy: ValueError at " in said.err
    assert KEY not in said.err + said.out


def test_a_service_of_openais_protocol(servers):
    servers.start(servers.settings(provider="openai"))
    assert servers.ask("openai", stream=True) == SERVICE_TEXT
    servers.post("/v1/embeddings", {"model": "e", "input": "a"})
    assert [seen.target for seen in servers.service.received] == [
        "/v1/chat/completions",
        "/v1/embeddings",
    ]
    servers.service.behavior = fakes.unavailable
    assert servers.ask("openai", stream=True) == MODEL_TEXT
    answer = servers.post(GEMINI_PATH, gemini_request())
    assert answer.status_code == 400
    assert "speaks OpenAI's protocol" in answer.json()["error"]["message"]


def test_no_answer_to_what_is_only_passed_through(servers):
    servers.start(servers.settings(base_url="http://no-such-service.invalid"))
    answer = servers.post("/v1beta/models/gemini-x:countTokens", {})
    assert answer.status_code == 503
    assert answer.json()["error"]["status"] == "UNAVAILABLE"
    assert "F2" in answer.json()["error"]["message"]
    assert servers.model.received == []


@pytest.mark.unpublished
@pytest.mark.parametrize("number", ["1e400", "1" + "0" * 400, "-1e400"])
def test_a_number_beyond_any_is_the_services_to_judge(well, number):
    body = json.dumps(gemini_request(generationConfig={"maxOutputTokens": 7}))
    content = body.replace(": 7}", f": {number}}}")
    answer = httpx.post(well.url + GEMINI_PATH, content=content)
    assert answer.headers["x-understudy-served-by"] == "service"
    assert number in well.service.received[-1].body.decode()


def test_a_request_without_a_path_is_refused(well):
    port = int(well.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"OPTIONS * HTTP/1.1\r\nHost: gateway\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 400")
    assert well.service.received == []


@pytest.mark.parametrize("upgrade", [b"Upgrade: h2c", b"upgrade:h2c "])
def test_javas_offer_of_http2_loses_no_body(well, upgrade):
    port = int(well.url.rpartition(":")[2])
    body = json.dumps(gemini_request(prompt="\r\nUpgrade: h2c\r\n")).encode()
    head = [
        b"POST %s HTTP/1.1" % GEMINI_PATH.encode(),
        b"Host: gateway",
        b"Connection: Upgrade, HTTP2-Settings",
        upgrade,
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        b"x-goog-api-key: a-key",
        b"Content-Length: %d" % len(body),
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        for _ in range(2):  # on the same connection
            client.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
            answer = b""
            while not answer.endswith(b'"gemini-x"}'):
                part = client.recv(65536)
                assert part, answer
                answer += part
            assert b"x-understudy-reason: ok" in answer
    for received in well.service.received:
        assert received.body == body
        assert not received.header("http2-settings")
