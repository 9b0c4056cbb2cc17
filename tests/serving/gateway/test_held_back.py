"""How much of a stream is held back, at the exact size, and how a stream ends that breaks later."""

import json

import pytest

from tests.serving.gateway import fakes
from tests.serving.gateway.faulty import gemini_candidate, says, status
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    MODEL_TEXT,
    Harness,
    gemini_request,
    harness,
    openai_request,
)

SSE = f"{GEMINI_STREAM_PATH}?alt=sse"
CHAT = "/v1/chat/completions"
HELD_KIB = 2


@pytest.fixture(scope="module")
def holding():
    """A gateway that holds back less than by default."""
    with harness() as servers:
        settings = servers.settings(hold_kib=HELD_KIB, between_bytes_seconds=0.6)
        yield servers.start(settings)


@pytest.fixture
def fresh(holding):
    holding.model.behavior = fakes.model(MODEL_TEXT)
    holding.forget()
    return holding


def broken_after(size: int, ending) -> fakes.Behavior:
    """A stream of exactly so many bytes without its end, in small pieces."""

    async def behave(request, reply):
        await reply.begin_chunks(fakes.stream_kind(request))
        if fakes.is_openai(request):
            event = fakes.openai_chunk
        elif "alt=sse" in request.target:
            event = fakes.gemini_event
        else:

            def event(text):
                return b"," + fakes.gemini_body(text, None)

        first = event("x")
        if first.startswith(b","):
            first = b"[" + first[1:]
        said = first + event("y" * (size - len(first) - len(event(""))))
        assert len(said) == size
        for at in range(0, size, 500):
            await reply.chunk(said[at : at + 500])
        await ending(reply)

    return behave


async def is_reset(reply):
    reply.reset()


async def ends_early(reply):
    await reply.end_chunks()


async def stalls(reply):
    await reply.stall()


def ask(servers: Harness, path: str):
    body = openai_request(stream=True) if path == CHAT else gemini_request()
    return servers.post(path, body)


@pytest.mark.parametrize("ending", [is_reset, ends_early, stalls])
@pytest.mark.parametrize("path", [SSE, GEMINI_STREAM_PATH, CHAT], ids=["sse", "array", "openai"])
def test_up_to_the_limit_a_broken_stream_is_replaced_whole(fresh, path, ending):
    fresh.service.behavior = broken_after(HELD_KIB * 1024, ending)
    answer = ask(fresh, path)
    assert answer.headers["x-understudy-served-by"] == "model"
    assert "yyyy" not in answer.text
    assert "STOP" in answer.text or "[DONE]" in answer.text


@pytest.mark.parametrize("ending", [is_reset, ends_early, stalls])
@pytest.mark.parametrize("path", [SSE, GEMINI_STREAM_PATH, CHAT], ids=["sse", "array", "openai"])
def test_a_byte_beyond_it_ends_with_an_error_and_never_as_if_complete(fresh, path, ending):
    fresh.service.behavior = broken_after(HELD_KIB * 1024 + 1, ending)
    answer = ask(fresh, path)
    assert answer.headers["x-understudy-served-by"] == "service"
    bodies = bodies_of(answer.text, path)
    assert "broke off" in bodies[-1]["error"]["message"]
    if path == CHAT:
        assert bodies[-1]["error"]["type"] == "server_error"
        assert [choice["finish_reason"] for it in bodies[:-1] for choice in it["choices"]] == [
            None
        ] * len(bodies[:-1])
    else:
        assert (bodies[-1]["error"]["code"], bodies[-1]["error"]["status"]) == (503, "UNAVAILABLE")
        assert not any("finishReason" in it["candidates"][0] for it in bodies[:-1])
    assert fresh.model.received == []


def bodies_of(text: str, path: str) -> list[dict]:
    """All that a stream holds; fails where anything but JSON is in it, as OpenAI's [DONE]."""
    if path == GEMINI_STREAM_PATH:
        return json.loads(text)
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n") if line.strip()]


def test_a_refusal_is_passed_on_where_the_model_that_should_answer_fails(servers):
    refusal = gemini_candidate(finishReason="SAFETY")
    servers.start(servers.settings(refusals="model"))
    servers.service.behavior, servers.model.behavior = says(refusal, b""), status(500, b"{}")
    answer = servers.post(GEMINI_PATH, gemini_request())
    assert (answer.status_code, answer.content) == (200, refusal)
    assert answer.headers["x-understudy-served-by"] == "service"
