"""Every fault of the service, whole and streamed, through the real clients of both protocols."""

import gzip
import json
import uuid
import zlib

import httpx
import pytest

from serving.gateway.faults import of_status
from tests.serving.gateway import fakes
from tests.serving.gateway.fakes import stream_kind, stream_parts
from tests.serving.gateway.faulty import (
    FAULTS,
    FORMS,
    LONG,
    OVERLOADED,
    error_json,
    gemini_candidate,
    not_json,
    says,
    status,
)
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    MODEL_TEXT,
    PROMPT,
    SERVICE_TEXT,
    gemini_request,
    harness,
    openai_request,
    unused_port,
)


@pytest.fixture(scope="module")
def shared():
    """A gateway that waits for little."""
    with harness() as servers:
        yield servers.start(servers.settings(first_byte_seconds=0.6, between_bytes_seconds=0.6))


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


@pytest.mark.parametrize("status", [429, 503])
def test_how_long_google_asks_to_wait_is_in_the_body_before_the_headers(status):
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}
    body = {"error": {"code": status, "status": "UNAVAILABLE", "details": [delay]}}
    assert of_status(status, body, {"Retry-After": "30"}).wait_seconds == 7.5
    assert of_status(status, {"error": {"code": status}}, {"Retry-After": "30"}).wait_seconds == 30
