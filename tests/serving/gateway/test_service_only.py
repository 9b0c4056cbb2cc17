"""An outage as clients meet it that use what the tuned model never answers: whose error it is."""

import asyncio

import aiohttp
import aiohttp.web
import httpx
import pytest

from tests.serving.gateway import fakes
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    KEY,
    SERVICE_TEXT,
    gemini_request,
    openai_request,
)

LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
VERTEX = "/v1/projects/p/locations/global"
GOOGLE = {"x-goog-api-key": KEY}
BEARER = {"authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1beta/files", GOOGLE),
        ("/v1beta/models?key=k", {}),
        ("/v1/models", GOOGLE),
        ("/v1/models?key=k", {}),
        (f"{VERTEX}/cachedContents", BEARER),
        (f"{VERTEX}/batchPredictionJobs".replace("/v1/", "/v1beta1/"), BEARER),
        (f"{VERTEX}/publishers/google/models/g:countTokens", BEARER),
    ],
)
def test_googles_paths_fail_in_googles_form(unreachable, path, headers):
    answer = httpx.get(unreachable.url + path, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (503, 503, "UNAVAILABLE")
    assert "The service gave no answer (F1" in error["message"]
    assert answer.headers["x-understudy-served-by"] == "none"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/files",
        "/v1/batches",
        "/v1/responses",
        "/v1beta/openai/embeddings",
        f"{VERTEX}/endpoints/openapi/embeddings",
    ],
)
def test_openais_paths_fail_in_openais_form(unreachable, path):
    answer = httpx.get(unreachable.url + path, headers=BEARER)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (503, "server_error", "503")
    assert "The service gave no answer (F1" in error["message"]


async def connected(url: str) -> dict:
    """Open a live connection; returns what its refusal says."""
    async with aiohttp.ClientSession() as session:
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        async with session.get(url, headers=headers) as answer:
            wait = answer.headers.get("retry-after")
            error = (await answer.json())["error"]
            return {"status": answer.status, "error": error, "wait": wait}


def test_a_live_connection_in_an_outage_is_refused_as_unavailable(unreachable):
    refused = asyncio.run(connected(f"{unreachable.url}{LIVE}?key={KEY}"))
    assert (refused["status"], refused["error"]["status"]) == (503, "UNAVAILABLE")
    assert "The service gave no answer" in refused["error"]["message"]
    assert KEY not in refused["error"]["message"]
    assert unreachable.model.received == []


@pytest.mark.parametrize(
    ("status", "name"), [(401, "UNAUTHENTICATED"), (429, "RESOURCE_EXHAUSTED")]
)
def test_a_live_connection_that_the_service_refuses_is_refused_likewise(servers, status, name):
    async def refuse(request, reply):
        await reply.whole(b"{}", status)

    servers.start()
    servers.service.behavior = refuse
    refused = asyncio.run(connected(f"{servers.url}{LIVE}?key={KEY}"))
    assert (refused["status"], refused["error"]["status"]) == (status, name)
    assert servers.model.received == []


def test_a_live_connection_is_not_redirected_with_the_key(servers):
    other = fakes.FakeServer(fakes.healthy(SERVICE_TEXT))
    servers.run(other.start())

    async def redirect(request, reply):
        await reply.whole(b"", 302, Location=f"http://localhost:{other.port}/elsewhere")

    servers.start()
    servers.service.behavior = redirect
    refused = asyncio.run(connected(f"{servers.url}{LIVE}?key={KEY}"))
    servers.run(other.stop())
    assert refused["status"] == 502
    assert other.received == []


@pytest.mark.parametrize(("said", "status"), [(429, 429), (499, 502), (999, 502), (200, 502)])
def test_the_status_of_a_refused_live_connection_is_one_that_clients_know(servers, said, status):
    async def refuse(request, reply):
        await reply.whole(b"{}", said, Retry_After="7")

    servers.start()
    servers.service.behavior = refuse
    refused = asyncio.run(connected(f"{servers.url}{LIVE}?key={KEY}"))
    assert (refused["status"], refused["wait"]) == (status, "7")


def test_openais_live_connection_is_refused_in_openais_form(unreachable):
    refused = asyncio.run(connected(f"{unreachable.url}/v1/realtime?model=m"))
    assert (refused["status"], refused["error"]["type"]) == (503, "server_error")


@pytest.mark.parametrize("path", [GEMINI_PATH, f"{GEMINI_STREAM_PATH}?alt=sse"])
def test_a_request_of_gemini_that_refuses_the_model_gets_an_error_without_it(unreachable, path):
    answer = unreachable.post(path, gemini_request(), x_understudy_fallback="off")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (503, 503, "UNAVAILABLE")
    assert "x-understudy-fallback: off" in error["message"]
    assert unreachable.model.received == []


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_of_openai_that_refuses_the_model_gets_an_error_without_it(unreachable, stream):
    body = openai_request(stream=stream)
    answer = unreachable.post("/v1/chat/completions", body, x_understudy_fallback="off")
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (503, "server_error", "503")
    assert "x-understudy-fallback: off" in error["message"]
    assert unreachable.model.received == []
