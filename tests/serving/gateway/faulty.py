"""The faults F1 to F14 as a service shows them, in either protocol."""

import json

import pytest

from tests.serving.gateway import fakes
from tests.serving.gateway.fakes import is_openai, is_stream, stream_kind, stream_parts
from tests.serving.gateway.harness import (
    SERVICE_TEXT,
)

LONG = SERVICE_TEXT[:-1] + ', "note": "' + "long " * 4000 + '"}'


def error_json(code: int, status: str, message: str = "no", details: list | None = None) -> bytes:
    error: dict = {"code": code, "message": message, "status": status}
    if details:
        error["details"] = details
    return json.dumps({"error": error}).encode()


def status(code: int, body: bytes, **headers: str) -> fakes.Behavior:
    async def behave(request, reply):
        # Gemini's endpoint for OpenAI's protocol wraps its errors into an array.
        wrapped = b"[" + body + b"]" if is_openai(request) else body
        await reply.whole(wrapped, code, **headers)

    return behave


async def reset(request, reply):
    reply.reset()


async def close_without_a_word(request, reply):
    reply.close()


async def silent(request, reply):
    await reply.stall()


async def stalls_before_the_body(request, reply):
    await reply.begin_chunks(stream_kind(request))
    await reply.stall()


async def stalls_between(request, reply):
    if is_stream(request):
        await reply.begin_chunks(stream_kind(request))
        for part in stream_parts(request, SERVICE_TEXT, is_finished=False)[:3]:
            await reply.chunk(part)
    else:
        await reply.head(200, {"Content-Type": "application/json", "Content-Length": "500"})
        await reply.raw(b'{"candidates": [')
    await reply.stall()


def says(gemini: bytes, openai: bytes) -> fakes.Behavior:
    """A response, the same whole or as the only event of a stream."""

    async def behave(request, reply):
        body = openai if is_openai(request) else gemini
        if not is_stream(request):
            await reply.whole(body)
            return
        await reply.begin_chunks(stream_kind(request))
        await reply.chunk(b"data: " + body + b"\n\n")
        if is_openai(request):
            await reply.chunk(b"data: [DONE]\n\n")
        await reply.end_chunks()

    return behave


def openai_choice(content: str | None, finish: str | None) -> bytes:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "delta": message, "finish_reason": finish}
    return json.dumps({"id": "c", "model": "g", "created": 1, "choices": [choice]}).encode()


def gemini_candidate(**candidate: object) -> bytes:
    return json.dumps({"candidates": [candidate], "usageMetadata": {}}).encode()


async def cut_before_the_first_token(request, reply):
    if is_stream(request):
        await reply.begin_chunks(stream_kind(request))
        if is_openai(request):
            await reply.chunk(fakes.openai_chunk(""))
    else:
        await reply.head(200, {"Content-Type": "application/json", "Content-Length": "500"})
    reply.close()


async def cut_after_tokens(request, reply):
    if is_stream(request):
        await reply.begin_chunks(stream_kind(request))
        for part in stream_parts(request, SERVICE_TEXT, is_finished=False):
            await reply.chunk(part)
    else:
        body = fakes.openai_body(LONG) if is_openai(request) else fakes.gemini_body(LONG)
        await reply.head(200, {"Content-Type": "application/json", "Content-Length": "99999"})
        await reply.raw(body[:500])
    reply.close()


async def cut_inside_an_event(request, reply):
    if not is_stream(request):
        await cut_after_tokens(request, reply)
        return
    await reply.begin_chunks(stream_kind(request))
    first, second, third, *_ = stream_parts(request, SERVICE_TEXT)
    await reply.chunk(first + second + third[: len(third) // 2])
    reply.reset()


async def ends_without_a_finish_reason(request, reply):
    if not is_stream(request):
        await cut_after_tokens(request, reply)
        return
    await reply.begin_chunks(stream_kind(request))
    for part in stream_parts(request, SERVICE_TEXT, is_finished=False):
        await reply.chunk(part)
    await reply.end_chunks()


OVERLOADED = error_json(503, "UNAVAILABLE", "This model is currently experiencing high demand.")


async def error_as_an_event(request, reply):
    if not is_stream(request):
        await reply.whole(OVERLOADED)
        return
    await reply.begin_chunks(stream_kind(request))
    await reply.chunk(stream_parts(request, SERVICE_TEXT)[0])
    await reply.chunk(b"data: " + OVERLOADED + b"\r\n\r\n")
    await reply.end_chunks()


async def error_as_bare_json(request, reply):
    """The tail of a shed stream: llmgateway#3616."""
    if not is_stream(request):
        await reply.whole(b"[" + OVERLOADED + b"]")
        return
    await reply.begin_chunks(stream_kind(request))
    await reply.chunk(stream_parts(request, SERVICE_TEXT)[0])
    await reply.chunk(json.dumps(json.loads(OVERLOADED), indent=2).encode())
    await reply.end_chunks()


async def error_instead_of_events(request, reply):
    await reply.whole(OVERLOADED)


async def not_the_contract(request, reply):
    await fakes.healthy('{"category": "weather"}')(request, reply)


async def not_json(request, reply):
    await fakes.healthy("I am sorry, but this is about billing.")(request, reply)


RETRY = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]


def reason(name: str) -> list:
    return [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": name}]


FAULTS = {
    "F1 reset": ("F1", reset),
    "F1 closed": ("F1", close_without_a_word),
    "F4 silent": ("F4", silent),
    "F4 headers only": ("F4", stalls_before_the_body),
    "F5": ("F5", stalls_between),
    "F6 503": ("F6", status(503, OVERLOADED)),
    "F6 500": ("F6", status(500, error_json(500, "INTERNAL"))),
    "F6 502 of a proxy": ("F6", status(502, b"<html>Bad Gateway</html>", Content_Type="text/html")),
    "F6 504": ("F6", status(504, error_json(504, "DEADLINE_EXCEEDED"))),
    "F7": ("F7", status(429, error_json(429, "RESOURCE_EXHAUSTED", details=RETRY))),
    "F8 401": ("F8", status(401, error_json(401, "UNAUTHENTICATED"))),
    "F8 403": (
        "F8",
        status(403, error_json(403, "PERMISSION_DENIED", details=reason("BILLING_DISABLED"))),
    ),
    "F8 key as 400": (
        "F8",
        status(400, error_json(400, "INVALID_ARGUMENT", details=reason("API_KEY_INVALID"))),
    ),
    "F8 region as 400": (
        "F8",
        status(
            400,
            error_json(
                400, "FAILED_PRECONDITION", "User location is not supported for the API use."
            ),
        ),
    ),
    "F9 404": ("F9", status(404, error_json(404, "NOT_FOUND", "models/x is not found"))),
    "F9 410": ("F9", status(410, error_json(410, "GONE"))),
    "F10 no content": (
        "F10",
        says(
            gemini_candidate(content={"role": "model"}, finishReason="STOP", index=0),
            openai_choice(None, "stop"),
        ),
    ),
    "F10 no candidate": (
        "F10",
        says(b'{"candidates": [], "modelVersion": "g"}', b'{"id": "c", "choices": []}'),
    ),
    "F10 no candidates": (
        "F10",
        says(b'{"usageMetadata": {"promptTokenCount": 9}}', b'{"id": "c", "model": "g"}'),
    ),
    "F10 length": (
        "F10",
        says(gemini_candidate(finishReason="MAX_TOKENS"), openai_choice("", "length")),
    ),
    "F10 white space": (
        "F10",
        says(
            gemini_candidate(content={"parts": [{"text": " \n"}]}, finishReason="STOP"),
            openai_choice(" \n", "stop"),
        ),
    ),
    "F10 thoughts only": (
        "F10",
        says(
            gemini_candidate(
                content={"parts": [{"text": "Hm.", "thought": True}]}, finishReason="MAX_TOKENS"
            ),
            openai_choice("", "length"),
        ),
    ),
    "F11 schema": ("F11", not_the_contract),
    "F11 prose": ("F11", not_json),
    "F12": ("F12", cut_before_the_first_token),
    "F13 cut": ("F13", cut_after_tokens),
    "F13 cut inside": ("F13", cut_inside_an_event),
    "F13 no finish": ("F13", ends_without_a_finish_reason),
    "F14 event": ("F14", error_as_an_event),
    "F14 bare": ("F14", error_as_bare_json),
    "F14 instead": ("F14", error_instead_of_events),
}
FORMS = [
    pytest.param("gemini", False, id="gemini-whole"),
    pytest.param("gemini", True, id="gemini-stream"),
    pytest.param("openai", False, id="openai-whole"),
    pytest.param("openai", True, id="openai-stream"),
]
