"""Every fault of the service, whole and streamed, through the real clients of both protocols."""

import datetime
import gzip
import json
import socket
import ssl
import uuid
import zlib

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.serving.gateway import fakes
from tests.serving.gateway.fakes import is_openai, is_stream, stream_kind, stream_parts
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    MODEL_TEXT,
    PROMPT,
    SERVICE_TEXT,
    gemini_request,
    harness,
    openai_request,
)

LONG = SERVICE_TEXT[:-1] + ', "note": "' + "long " * 4000 + '"}'


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


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


@pytest.fixture(scope="module")
def shared():
    """A gateway that waits for little."""
    with harness() as servers:
        yield servers.start(servers.settings(first_byte_seconds=0.2, between_bytes_seconds=0.2))


@pytest.fixture
def quick(shared):
    """The same with servers that are well, and a key of its own that has succeeded."""
    shared.service.behavior = fakes.healthy(SERVICE_TEXT)
    shared.model.behavior = fakes.model(MODEL_TEXT)
    shared.key = f"a-key-{uuid.uuid4()}"
    shared.forget()
    assert shared.post(GEMINI_PATH, gemini_request()).status_code == 200
    shared.took(1)
    shared.forget()
    return shared


@pytest.mark.parametrize(("protocol", "stream"), FORMS)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_tuned_model_answers_when_the_service_does_not(quick, fault, protocol, stream):
    name, quick.service.behavior = FAULTS[fault]
    assert quick.ask(protocol, stream=stream) == MODEL_TEXT
    [exchange] = quick.took(1)
    assert (exchange.served_by, exchange.reason, exchange.status) == ("model", name, 200)
    assert len(quick.service.received) == 1, "what has left for the service is not sent again"
    [asked] = quick.model.received
    assert asked.json["messages"] == [{"role": "user", "content": PROMPT}]


@pytest.mark.parametrize(("protocol", "stream"), FORMS)
@pytest.mark.parametrize(
    ("fault", "url"),
    [
        ("F1", "http://127.0.0.1:{unused}"),
        ("F2", "http://no-such-service.invalid"),
    ],
)
def test_the_tuned_model_answers_when_there_is_no_connection(servers, fault, url, protocol, stream):
    url = url.format(unused=unused_port(), service=servers.service.port)
    servers.start(servers.settings(base_url=url))
    assert servers.ask(protocol, stream=stream) == MODEL_TEXT
    assert [(it.served_by, it.reason) for it in servers.took(1)] == [("model", fault)]


@pytest.fixture
def unknown_certificate(tmp_path):
    """A TLS server whose certificate nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "server.pem"
    file.write_bytes(private + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize(("protocol", "stream"), FORMS)
def test_a_certificate_that_nobody_signed_is_a_fault(
    servers, unknown_certificate, protocol, stream
):
    servers.run(servers.service.stop())
    servers.run(servers.service.start(context=unknown_certificate))
    url = servers.service.url.replace("http:", "https:")
    servers.start(servers.settings(base_url=url))
    assert servers.ask(protocol, stream=stream) == MODEL_TEXT
    assert [(it.served_by, it.reason) for it in servers.took(1)] == [("model", "F3")]
    assert servers.service.received == []


@pytest.mark.parametrize("fault", ["F5", "F12", "F13 cut", "F14 event"])
def test_an_array_of_responses_is_replaced_as_well(quick, fault):
    name, behave = FAULTS[fault]

    async def in_an_array(request, reply):
        if fault != "F14 event":
            await behave(request, reply)
            return
        await reply.begin_chunks(stream_kind(request))
        await reply.chunk(stream_parts(request, SERVICE_TEXT)[0] + b",\r\n" + OVERLOADED + b"]")
        await reply.end_chunks()

    quick.service.behavior = in_an_array
    answer = quick.post(GEMINI_STREAM_PATH, gemini_request())
    assert answer.headers["x-understudy-reason"] == name
    parts = answer.json()
    text = "".join(p["candidates"][0]["content"]["parts"][0]["text"] for p in parts)
    assert text == MODEL_TEXT
    assert parts[-1]["candidates"][0]["finishReason"] == "STOP"


def long_stream(end) -> fakes.Behavior:
    async def behave(request, reply):
        await reply.begin_chunks(stream_kind(request))
        for part in stream_parts(request, LONG, is_finished=False):
            await reply.chunk(part)
        await end(request, reply)

    return behave


async def broken_off(request, reply):
    reply.reset()


async def ended_as_if_complete(request, reply):
    await reply.end_chunks()


async def ended_with_a_bare_error(request, reply):
    await reply.chunk(json.dumps(json.loads(OVERLOADED), indent=2).encode())
    await reply.end_chunks()


async def stalled(request, reply):
    await reply.stall()


@pytest.mark.parametrize(
    "end", [broken_off, ended_as_if_complete, ended_with_a_bare_error, stalled]
)
@pytest.mark.parametrize("protocol", ["gemini", "openai"])
def test_a_stream_that_breaks_when_it_cannot_be_replaced_ends_with_an_error(quick, protocol, end):
    quick.service.behavior = long_stream(end)
    with pytest.raises(Exception, match="broke off") as raised:
        quick.ask(protocol, stream=True)
    assert type(raised.value).__name__ in ("ServerError", "APIError")
    assert quick.model.received == []


def flushed(end) -> fakes.Behavior:
    """A long stream as Google's servers compress it: flushed after each event."""

    async def behave(request, reply):
        await reply.begin_chunks(stream_kind(request), Content_Encoding="gzip")
        packer = zlib.compressobj(wbits=31)
        for part in stream_parts(request, LONG + "x" * 50_000, is_finished=False):
            await reply.chunk(packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH))
        await end(request, reply)

    return behave


async def broken_inside(request, reply):
    await reply.chunk(b"\x00\x01\x02")
    reply.reset()


@pytest.mark.parametrize("end", [broken_off, ended_as_if_complete, stalled])
@pytest.mark.parametrize("protocol", ["gemini", "openai"])
def test_a_compressed_stream_that_breaks_ends_with_an_error_too(quick, protocol, end):
    quick.service.behavior = flushed(end)
    with pytest.raises(Exception, match="broke off") as raised:
        quick.ask(protocol, stream=True)
    assert type(raised.value).__name__ in ("ServerError", "APIError")


def test_a_stream_to_which_nothing_can_be_added_is_never_complete(quick):
    quick.service.behavior = flushed(broken_inside)
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        quick.post(f"{GEMINI_STREAM_PATH}?alt=sse", gemini_request())


def test_a_compressed_stream_that_is_complete_goes_through_as_it_came(quick):
    sent = []

    async def behave(request, reply):
        await reply.begin_chunks(Content_Encoding="gzip")
        packer = zlib.compressobj(wbits=31)
        for part in stream_parts(request, LONG + "x" * 50_000):
            sent.append(packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH))
            await reply.chunk(sent[-1])
        sent.append(packer.flush())
        await reply.chunk(sent[-1])
        await reply.end_chunks()

    quick.service.behavior = behave
    with quick_raw(quick, f"{GEMINI_STREAM_PATH}?alt=sse", gemini_request()) as answer:
        assert b"".join(answer.iter_raw()) == b"".join(sent)


@pytest.mark.parametrize("end", [broken_off, ended_as_if_complete, stalled])
def test_an_array_that_breaks_is_still_an_array_and_ends_with_an_error(quick, end):
    quick.service.behavior = long_stream(end)
    parts = quick.post(GEMINI_STREAM_PATH, gemini_request()).json()
    assert parts[-1]["error"]["status"] == "UNAVAILABLE"
    assert all("candidates" in part for part in parts[:-1])


def test_a_whole_answer_that_breaks_after_the_hold_is_replaced_too(quick):
    async def behave(request, reply):
        body = fakes.gemini_body(LONG)
        await reply.head(200, {"Content-Type": "application/json", "Content-Length": "99999"})
        await reply.raw(body)
        reply.close()

    quick.service.behavior = behave
    assert quick.ask("gemini", stream=False) == MODEL_TEXT


def test_a_compressed_answer_is_read_and_passed_on_as_it_came(quick):
    packed = gzip.compress(fakes.gemini_body(SERVICE_TEXT))

    async def behave(request, reply):
        await reply.whole(packed, Content_Encoding="gzip")

    quick.service.behavior = behave
    with quick_raw(quick, GEMINI_PATH, gemini_request()) as answer:
        assert b"".join(answer.iter_raw()) == packed
        assert answer.headers["content-encoding"] == "gzip"
    quick.service.behavior = compressed(fakes.gemini_body('{"category": "weather"}'))
    assert quick.ask("gemini", stream=False) == MODEL_TEXT


def compressed(body: bytes) -> fakes.Behavior:
    async def behave(request, reply):
        await reply.whole(gzip.compress(body), Content_Encoding="gzip")

    return behave


def quick_raw(servers, path, body):
    return httpx.stream(
        "POST", f"{servers.url}{path}", json=body, headers={"accept-encoding": "gzip"}
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}',
        gemini_candidate(finishReason="SAFETY"),
        gemini_candidate(finishReason="RECITATION", content={"parts": [{"text": "Once upon"}]}),
    ],
)
@pytest.mark.parametrize("path", [GEMINI_PATH, f"{GEMINI_STREAM_PATH}?alt=sse"])
def test_a_refusal_for_safety_is_an_answer(quick, body, path):
    quick.service.behavior = says(body, b"")
    answer = quick.post(path, gemini_request())
    assert answer.headers["x-understudy-served-by"] == "service"
    assert body in answer.content
    assert quick.model.received == []


def test_a_refusal_goes_to_the_tuned_model_where_the_settings_say_so(servers):
    servers.start(servers.settings(refusals="model"))
    servers.service.behavior = says(gemini_candidate(finishReason="SAFETY"), b"")
    answer = servers.post(GEMINI_PATH, gemini_request())
    assert answer.headers["x-understudy-served-by"] == "model"
    assert answer.headers["x-understudy-reason"] == "refusal"


@pytest.mark.parametrize("path", [GEMINI_PATH, "/v1/chat/completions"])
def test_any_other_400_is_the_callers(quick, path):
    said = error_json(400, "INVALID_ARGUMENT", "temperature is 9, which is too high")
    quick.service.behavior = status(400, said)
    request = openai_request() if "chat" in path else gemini_request()
    answer = quick.post(path, request)
    assert (answer.status_code, answer.content.strip(b"[]")) == (400, said)
    assert quick.model.received == []


def test_an_answer_out_of_form_is_better_than_none(quick):
    quick.service.behavior = not_json
    quick.model.behavior = status(500, b"{}")
    answer = quick.post(GEMINI_PATH, gemini_request())
    assert answer.headers["x-understudy-served-by"] == "service"
    assert answer.headers["x-understudy-reason"] == "F11"
    assert "I am sorry" in answer.text


def test_without_a_schema_or_enough_seeds_no_answer_breaks_the_contract(servers):
    servers.start(tasks=[servers.task(output_schema=None)])
    servers.service.behavior = not_json
    assert "I am sorry" in servers.ask("gemini", stream=False)


def test_json_in_a_fence_keeps_the_contract(quick):
    fenced = f"```json\n{SERVICE_TEXT}\n```"
    quick.service.behavior = fakes.healthy(fenced)
    assert quick.ask("openai", stream=False) == fenced


def test_nobody_can_answer(servers):
    servers.start(servers.settings(base_url=f"http://127.0.0.1:{unused_port()}"))
    servers.run(servers.model.stop())
    for path, request in [
        (GEMINI_PATH, gemini_request()),
        ("/v1/chat/completions", openai_request()),
    ]:
        answer = servers.post(path, request)
        assert answer.status_code == 503
        message = answer.json()["error"]["message"]
        assert "connection failed" in message
        assert "tuned model's server cannot be reached" in message
        assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["type"] == "server_error"
