"""The healthy path: bytes, headers and keys, to the service and back."""

import asyncio
import gzip
import json
import os
import pathlib
import random
import socket
import sys

import httpx
import openai
import pytest
from google import genai
from google.genai import types

from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    INSTRUCTION,
    KEY,
    MODEL_TEXT,
    PROMPT,
    SERVICE_TEXT,
    gemini_request,
    harness,
    openai_request,
)

VERTEX = "/v1/projects/p-1/locations/europe-west4/publishers/google/models/gemini-x"


@pytest.fixture(scope="module")
def shared():
    with harness() as servers:
        yield servers.start()


@pytest.fixture
def well(shared):
    shared.service.behavior = fakes.healthy(SERVICE_TEXT)
    shared.model.behavior = fakes.model(MODEL_TEXT)
    shared.forget()
    return shared


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


@pytest.mark.parametrize("path", [f"{GEMINI_STREAM_PATH}?alt=sse", "/v1/chat/completions"])
def test_a_stream_of_events_goes_through_byte_by_byte(well, path):
    sent = []

    async def behave(request, reply):
        await reply.begin_chunks()
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
    assert answer.headers["content-type"] == "text/event-stream"


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
    async def unavailable(request, reply):
        await reply.whole(b"{}", 503)

    well.service.behavior = unavailable
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


# ---- clients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("stream", [False, True])
def test_google_genai_works_with_either_version(well, version, stream):
    client = well.gemini(api_version=version)
    config = types.GenerateContentConfig(system_instruction=INSTRUCTION)
    arguments = {"model": "gemini-x", "contents": PROMPT, "config": config}
    if stream:
        text = "".join(p.text for p in client.models.generate_content_stream(**arguments))
    else:
        text = client.models.generate_content(**arguments).text
    assert text == SERVICE_TEXT
    assert well.service.received[0].target.startswith(f"/{version}/models/gemini-x:")
    assert well.service.received[0].header("x-goog-api-key") == KEY


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("down", [False, True])
def test_the_asynchronous_clients_work_too(well, stream, down):
    if down:
        well.service.behavior = unavailable
    text = MODEL_TEXT if down else SERVICE_TEXT

    async def ask_gemini() -> str:
        client = well.gemini().aio
        config = types.GenerateContentConfig(system_instruction=INSTRUCTION)
        arguments = {"model": "gemini-x", "contents": PROMPT, "config": config}
        try:
            if not stream:
                return (await client.models.generate_content(**arguments)).text
            parts = await client.models.generate_content_stream(**arguments)
            return "".join([part.text or "" async for part in parts])
        finally:
            await client.aclose()

    async def ask_openai() -> str:
        messages = openai_request()["messages"]
        async with openai.AsyncOpenAI(
            base_url=f"{well.url}/v1", api_key=KEY, max_retries=0
        ) as client:
            create = client.chat.completions.create
            if not stream:
                answer = await create(model="gemini-x", messages=messages)
                return answer.choices[0].message.content
            parts = await create(model="gemini-x", messages=messages, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in parts if c.choices])

    assert asyncio.run(ask_gemini()) == text
    assert asyncio.run(ask_openai()) == text


async def unavailable(request, reply):
    await reply.whole(b'{"error": {"code": 503, "status": "UNAVAILABLE"}}', 503)


@pytest.mark.parametrize("down", [False, True])
def test_structured_output_works(well, down):
    from pydantic import BaseModel

    class Sorted(BaseModel):
        category: str

    if down:
        well.service.behavior = unavailable
        well.model.behavior = fakes.model('{"category": "billing"}')
    config = types.GenerateContentConfig(
        system_instruction=INSTRUCTION,
        response_mime_type="application/json",
        response_schema=Sorted,
    )
    client = well.gemini()
    found = client.models.generate_content(model="gemini-x", contents=PROMPT, config=config)
    assert found.parsed == Sorted(category="billing")
    parsed = well.openai().chat.completions.parse(
        model="gemini-x", messages=openai_request()["messages"], response_format=Sorted
    )
    assert parsed.choices[0].message.parsed == Sorted(category="billing")


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("path", [VERTEX, VERTEX.replace("/v1/", "/v1beta1/")])
def test_vertex_paths_with_bearer_tokens(well, path, down):
    if down:
        well.service.behavior = unavailable
    answer = httpx.post(
        f"{well.url}{path}:streamGenerateContent?alt=sse",
        json=gemini_request(),
        headers={"authorization": "Bearer ya29.token"},
    )
    assert answer.headers["x-understudy-served-by"] == ("model" if down else "service")
    events = [json.loads(line[6:]) for line in answer.text.split("\r\n\r\n") if line]
    text = "".join(event["candidates"][0]["content"]["parts"][0]["text"] for event in events)
    assert text == (MODEL_TEXT if down else SERVICE_TEXT)
    [seen] = well.service.received
    assert seen.target == f"{path}:streamGenerateContent?alt=sse"
    assert seen.header("authorization") == "Bearer ya29.token"
    well.wait_until(lambda: [it.protocol for it in well.exchanges] == ["vertex"])


def test_openais_protocol_goes_to_geminis_own_endpoint_for_it(well):
    assert well.ask("openai", stream=False) == SERVICE_TEXT
    well.service.behavior = echo(b'{"object": "list", "data": []}')
    assert list(well.openai().models.list()) == []
    assert [seen.target for seen in well.service.received] == [
        "/v1beta/openai/chat/completions",
        "/v1beta/openai/models",
    ]
    well.forget()
    httpx.get(f"{well.url}/v1/models", headers={"x-goog-api-key": KEY})
    well.post("/v1beta/openai/chat/completions", openai_request())
    assert [seen.target for seen in well.service.received] == [
        "/v1/models",
        "/v1beta/openai/chat/completions",
    ]


def test_google_genai_for_vertex_is_told_which_setting_it_lacks(well, monkeypatch):
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    options = types.HttpOptions(base_url=well.url, headers={"Authorization": "Bearer t"})
    client = genai.Client(vertexai=True, http_options=options)
    with pytest.raises(genai.errors.ClientError, match="project=PROJECT, location=LOCATION"):
        client.models.generate_content(model="gemini-x", contents=PROMPT)
    assert well.service.received == []


def test_google_genai_for_vertex_works_with_that_setting(well):
    import google.auth.credentials

    class Token(google.auth.credentials.Credentials):
        def refresh(self, request):
            self.token = "ya29.token"

    client = genai.Client(
        vertexai=True,
        project="p-1",
        location="europe-west4",
        credentials=Token(),
        http_options=types.HttpOptions(base_url=well.url),
    )
    config = types.GenerateContentConfig(system_instruction=INSTRUCTION)
    for behavior, text in [(fakes.healthy(SERVICE_TEXT), SERVICE_TEXT), (unavailable, MODEL_TEXT)]:
        well.service.behavior = behavior
        answer = client.models.generate_content(model="gemini-x", contents=PROMPT, config=config)
        assert answer.text == text
    assert answer.model_version == "triage/round-3@1f2e3d4c"


def test_who_answered_is_said_in_headers_and_body(well):
    well.service.behavior = unavailable
    answer = well.post(GEMINI_PATH, gemini_request())
    assert answer.headers["x-understudy-served-by"] == "model"
    assert answer.headers["x-understudy-reason"] == "F6"
    assert answer.headers["x-understudy-model"] == "triage/round-3@1f2e3d4c"
    assert answer.json()["modelVersion"] == "triage/round-3@1f2e3d4c"
    assert answer.json()["usageMetadata"]["promptTokenCount"] == fakes.count_words([PROMPT])
    answer = well.post("/v1/chat/completions", openai_request())
    assert answer.json()["model"] == "triage/round-3@1f2e3d4c"
    with_usage = openai_request(stream=True, stream_options={"include_usage": True})
    events = well.post("/v1/chat/completions", with_usage).text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert json.loads(events[-3][6:])["usage"]["completion_tokens"] == 3


def test_a_request_may_refuse_the_tuned_model(well):
    well.service.behavior = unavailable
    answer = well.post(GEMINI_PATH, gemini_request(), x_understudy_fallback="off")
    assert answer.status_code == 503
    assert answer.json() == {"error": {"code": 503, "status": "UNAVAILABLE"}}
    assert answer.headers["x-understudy-served-by"] == "service"
    assert answer.headers["x-understudy-reason"] == "off"
    assert well.model.received == []


@pytest.mark.parametrize(
    ("reason", "why", "path", "body"),
    [
        ("system", "accepted ones", GEMINI_PATH, gemini_request(system="Write a poem.")),
        ("system", "accepted ones", "/v1/chat/completions", openai_request(system="A poem.")),
        ("too_long", "longer than", GEMINI_PATH, gemini_request(prompt="word " * 600)),
    ],
)
def test_what_is_not_of_the_task_gets_503_with_the_reason(well, reason, why, path, body):
    before = httpx.get(f"{well.url}/understudy/metrics").text
    well.service.behavior = unavailable
    answer = well.post(path, body)
    assert answer.status_code == 503
    message = answer.json()["error"]["message"]
    assert "The service answered 503" in message
    assert why in message
    assert answer.headers["x-understudy-reason"] == f"unmatched:{reason}"
    assert well.model.received == []
    after = httpx.get(f"{well.url}/understudy/metrics").text
    assert counted(after, reason) == counted(before, reason) + 1


def counted(metrics: str, reason: str) -> float:
    line = f'understudy_unmatched_total{{reason="{reason}"}} '
    found = [row.removeprefix(line) for row in metrics.splitlines() if row.startswith(line)]
    return float(found[0]) if found else 0.0


def test_the_services_own_refusal_of_what_is_not_of_the_task_is_passed_on(well):
    async def quota(request, reply):
        await reply.whole(b'{"error": {"code": 429}}', 429, Retry_After="9")

    well.service.behavior = quota
    answer = well.post(GEMINI_PATH, gemini_request(system="Write a poem."))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")


def test_keys_appear_nowhere(servers, tmp_path, capfd):
    servers.key = "a-secret-in-a-header"
    servers.start(state_dir=tmp_path)
    secrets = [servers.key, "a-secret-in-the-query", "a-secret-token"]
    for behavior in (fakes.healthy(SERVICE_TEXT), unavailable, reset):
        servers.service.behavior = behavior
        contents = gemini_request()["contents"]
        for path, body in (
            (GEMINI_PATH, gemini_request()),
            ("/v1beta/models/x:embedContent", {"content": contents[0]}),
            ("/v1beta/models/x:countTokens", {"contents": contents}),
        ):
            servers.post(f"{path}?key={secrets[1]}", body)
            httpx.post(
                f"{servers.url}{path}",
                json=body,
                headers={"authorization": f"Bearer {secrets[2]}"},
            )
    assert any(f"key={secrets[1]}" in seen.target for seen in servers.service.received)
    seen = [
        httpx.get(f"{servers.url}/understudy/{page}").text for page in ("", "metrics", "status")
    ]
    seen += [file.read_text() for file in pathlib.Path(tmp_path).rglob("*") if file.is_file()]
    seen += [*capfd.readouterr(), repr(servers.exchanges)]
    assert len(seen) > 6
    assert [secret for secret in secrets for text in seen if secret in text] == []


async def reset(request, reply):
    reply.reset()


# ---- the live API, and services of OpenAI's protocol -------------------------------------------


def test_websockets_pass_through(well):
    async def talk() -> None:
        seen = []
        app = aiohttp.web.Application()

        async def handle(request):
            seen.append((request.raw_path, request.headers.get("x-goog-api-key")))
            socket = aiohttp.web.WebSocketResponse()
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
                    f"{servers.url}{path}?key=k", headers={"x-goog-api-key": KEY}
                ) as socket,
            ):
                await socket.send_str("hello")
                assert (await socket.receive()).data == "HELLO"
                await socket.send_bytes(b"x" * 2_000_000)
                assert (await socket.receive()).data == b"x" * 4_000_000
                await socket.send_str("bye")
                assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
                assert socket.close_code == 4001
            assert seen == [(f"{path}?key=k", KEY)]
            await runner.cleanup()

    import aiohttp.web

    asyncio.run(talk())


def test_a_service_of_openais_protocol(servers):
    servers.start(servers.settings(provider="openai"))
    assert servers.ask("openai", stream=True) == SERVICE_TEXT
    servers.post("/v1/embeddings", {"model": "e", "input": "a"})
    assert [seen.target for seen in servers.service.received] == [
        "/v1/chat/completions",
        "/v1/embeddings",
    ]
    servers.service.behavior = unavailable
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
