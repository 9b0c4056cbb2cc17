"""Each fault as a service shows it, met by a plain HTTP client through the proxy."""

import asyncio
import json

import httpx
import pytest

from service_llm.settings import ServiceLLMSettings
from serving.drill.faults import ADDRESS_ONLY, FAULTS, STREAM_ONLY
from serving.drill.proxy import FaultProxy
from standin.application import serve

GEMINI = "/v1beta/models/stand-in:generateContent"
STREAM = "/v1beta/models/stand-in:streamGenerateContent"
OPENAI = "/v1beta/openai/chat/completions"
BODY = {
    "systemInstruction": {"parts": [{"text": "The support of Lumo Home."}]},
    "contents": [{"role": "user", "parts": [{"text": "Where is my parcel?"}]}],
}
CHAT = {"model": "stand-in", "messages": [{"role": "user", "content": "Lumo Home: my parcel?"}]}


@pytest.fixture(scope="module")
def service():
    with serve() as server:
        yield ServiceLLMSettings(provider="gemini", model="stand-in", base_url=server.url)


def through(service, work):
    """Runs `work(proxy, client)` on a proxy in front of the service."""

    async def run():
        async with (
            FaultProxy(service) as proxy,
            httpx.AsyncClient(base_url=proxy.origin, timeout=60) as client,
        ):
            return await work(proxy, client)

    return asyncio.run(run())


async def post(client, path=GEMINI, body=BODY):
    return await client.post(path, json=body)


def shown(service, fault, path=GEMINI, body=BODY, times=1):
    async def work(proxy, client):
        await proxy.inject(fault)
        return [await post(client, path, body) for _ in range(times)]

    return through(service, work)


def test_without_a_fault_the_services_answer_passes(service):
    async def work(proxy, client):
        return [(await post(client)), (await post(client, OPENAI, CHAT))]

    gemini, chat = through(service, work)
    text = gemini.json()["candidates"][0]["content"]["parts"][0]["text"]
    assert json.loads(text)["category"] == "shipping"
    assert json.loads(chat.json()["choices"][0]["message"]["content"])["category"] == "shipping"


async def struck_by(proxy, fault):
    """Wait until a fault has met a request."""
    async with asyncio.timeout(60):
        while not proxy._turns[fault]:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ADDRESS_ONLY])
def test_a_fault_is_over_when_it_is_cleared(service, fault):
    async def work(proxy, client):
        await proxy.inject(fault)
        path = STREAM if fault in STREAM_ONLY else GEMINI
        struck = asyncio.create_task(post(client, path))
        if fault in ("F4", "F5"):
            await struck_by(proxy, fault)
        else:
            await asyncio.gather(struck, return_exceptions=True)
        await proxy.clear()
        await asyncio.gather(struck, return_exceptions=True)
        after = await post(client)
        return struck, after

    struck, after = through(service, work)
    is_answer = struck.exception() is None and "shipping" in struck.result().text
    assert not is_answer
    assert after.status_code == 200
    assert "shipping" in after.text


@pytest.mark.parametrize("fault", ["F1", "F4", "F12"])
def test_a_connection_breaks(service, fault):
    async def work(proxy, client):
        await proxy.inject(fault)
        asking = asyncio.create_task(post(client, STREAM if fault == "F12" else GEMINI))
        if fault == "F4":
            await struck_by(proxy, fault)
            assert not asking.done()
            await proxy.clear()
        await asking

    with pytest.raises(httpx.TransportError):
        through(service, work)


def test_errors_are_in_googles_form(service):
    (quota,) = shown(service, "F7")
    assert (quota.status_code, quota.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert quota.json()["error"]["details"][0]["retryDelay"] == "1s"


def test_a_refused_key_comes_with_each_of_its_statuses(service):
    replies = shown(service, "F8", times=3)
    assert [reply.status_code for reply in replies] == [401, 403, 400]
    assert replies[2].json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"


def test_the_ways_of_a_fault_take_turns_over_the_cells_of_a_drill(service):
    async def work(proxy, client):
        statuses = []
        for fault in ("F8", "F6", "F8", "F6", "F8", "F8"):
            await proxy.inject(fault)
            statuses.append((await post(client)).status_code)
            await proxy.clear()
        return statuses

    assert through(service, work) == [401, 503, 403, 500, 400, 401]


def test_an_empty_answer_has_no_text_in_either_protocol(service):
    for reply in shown(service, "F10", times=3):
        assert reply.status_code == 200
        for candidate in reply.json()["candidates"]:
            assert candidate["content"]["parts"][0]["text"] == ""
    chat = [reply.json()["choices"] for reply in shown(service, "F10", OPENAI, CHAT, times=3)]
    assert [[choice["finish_reason"] for choice in choices] for choices in chat] == [
        ["stop"],
        ["length"],
        [],
    ]


def test_a_stream_ends_without_a_finish_reason(service):
    async def work(proxy, client):
        await proxy.inject("F13")
        with pytest.raises(httpx.TransportError):
            await post(client, STREAM)
        return await post(client, STREAM)

    (chunk,) = through(service, work).json()
    assert chunk["candidates"][0]["content"]["parts"][0]["text"]
    assert "finishReason" not in chunk["candidates"][0]


def test_an_error_inside_a_200_comes_alone_after_tokens_and_bare(service):
    alone, after_tokens, bare = shown(service, "F14", f"{STREAM}?alt=sse", times=3)
    assert {reply.status_code for reply in (alone, after_tokens, bare)} == {200}
    assert alone.text.startswith('data: {"error"')
    assert after_tokens.text.index("candidates") < after_tokens.text.index('{"error"')
    assert bare.json()["error"]["status"] == "UNAVAILABLE"
