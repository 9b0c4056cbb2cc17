"""Who answers in an outage: what only the service can, the right model of several, and refusals."""

import asyncio
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from tests.serving.gateway import fakes
from tests.serving.gateway.faulty import (
    FAULTS,
    OVERLOADED,
    gemini_candidate,
    says,
    status,
)
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    INSTRUCTION,
    MODEL_TEXT,
    gemini_request,
    harness,
    openai_request,
)

GEMINI_FOR_OPENAI = "/v1beta/openai/chat/completions"

# What the services offer besides answers to one request.
ONLY_THE_SERVICE = {
    "tokens": ("POST", "/v1beta/models/gemini-x:countTokens", gemini_request()),
    "embedding": ("POST", "/v1beta/models/e:embedContent", {"content": {"parts": []}}),
    "embeddings": ("POST", "/v1/embeddings", {"model": "e", "input": "a"}),
    "batch": ("POST", "/v1beta/models/gemini-x:batchGenerateContent", {"batch": {}}),
    "cache": ("POST", "/v1beta/cachedContents", {"model": "models/gemini-x"}),
    "files": ("GET", "/v1beta/files", None),
    "upload": ("POST", "/upload/v1beta/files", {"file": {}}),
    "models": ("GET", "/v1beta/models", None),
    "vertex": (
        "POST",
        "/v1/projects/p/locations/global/publishers/google/models/gemini-x:countTokens",
        gemini_request(),
    ),
    "unknown": ("POST", "/v1/not/known", gemini_request()),
}
_ODD = ("tokens", "cache", "unknown")  # bodies that are not published so


def send(servers, method, path, body):
    headers = {"x-goog-api-key": servers.key}
    return httpx.request(method, servers.url + path, json=body, headers=headers, timeout=30)


@pytest.fixture
def fresh(well):
    """The same for a key that no fault has met yet."""
    well.key = f"a-key-{uuid.uuid4()}"
    return well


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param(*asked, marks=[pytest.mark.unpublished] * (name in _ODD), id=name)
        for name, asked in ONLY_THE_SERVICE.items()
    ],
)
def test_what_only_the_service_offers_is_never_answered_by_the_model(fresh, method, path, body):
    fresh.service.behavior = status(503, OVERLOADED)
    answer = send(fresh, method, path, body)
    assert (answer.status_code, answer.content) == (503, OVERLOADED)
    assert answer.headers["x-understudy-served-by"] == "service"
    assert fresh.model.received == []
    assert len(fresh.service.received) == 1, "and it is not sent again"


@pytest.mark.parametrize(
    ("method", "path", "body"), ONLY_THE_SERVICE.values(), ids=ONLY_THE_SERVICE
)
def test_where_it_cannot_be_reached_the_gateway_says_so(unreachable, method, path, body):
    answer = send(unreachable, method, path, body)
    assert answer.status_code == 503
    assert "connection failed" in answer.json()["error"]["message"]
    assert unreachable.model.received == []


@pytest.mark.parametrize("fault", ["F6 503", "F7", "F12"])
@pytest.mark.parametrize("stream", [False, True])
def test_geminis_endpoint_for_openais_protocol_is_covered_in_openais_form(fresh, fault, stream):
    fresh.service.behavior = FAULTS[fault][1]
    url = f"{fresh.url}/v1beta/openai/"
    with openai.OpenAI(base_url=url, api_key=fresh.key, max_retries=0) as client:
        answer = client.chat.completions.create(**openai_request(), stream=stream)
        chunks = list(answer) if stream else [answer]
    if stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    else:
        text = chunks[0].choices[0].message.content
    assert text == MODEL_TEXT
    assert {chunk.model for chunk in chunks} == {"triage/round-3@1f2e3d4c"}
    assert [seen.target for seen in fresh.service.received] == [GEMINI_FOR_OPENAI]


# ---- refusals ------------------------------------------------------------------------------------

REFUSALS = {
    "SAFETY": gemini_candidate(finishReason="SAFETY"),
    "RECITATION": gemini_candidate(
        finishReason="RECITATION", content={"role": "model", "parts": [{"text": "Once upon"}]}
    ),
    "PROHIBITED_CONTENT": gemini_candidate(finishReason="PROHIBITED_CONTENT"),
    "BLOCKLIST": gemini_candidate(finishReason="BLOCKLIST"),
    "SPII": gemini_candidate(finishReason="SPII"),
    "blockReason": b'{"promptFeedback": {"blockReason": "OTHER"}}',
}


def openai_refusal(finish, **message):
    choice = {"index": 0, "message": message, "delta": message, "finish_reason": finish}
    return json.dumps({"id": "c", "model": "g", "created": 1, "choices": [choice]}).encode()


# https://github.com/openai/openai-openapi, ChatCompletionResponseMessage and finish_reason.
OPENAI_REFUSALS = {
    "content_filter": openai_refusal("content_filter", role="assistant", content=None),
    "refusal": openai_refusal("stop", role="assistant", content=None, refusal="I cannot help."),
}
ALL_REFUSALS = [
    *(("gemini", body) for body in REFUSALS.values()),
    *(("openai", body) for body in OPENAI_REFUSALS.values()),
]


def ask(servers, protocol, *, stream=False):
    if protocol == "openai":
        return servers.post("/v1/chat/completions", openai_request(stream=stream))
    path = f"{GEMINI_STREAM_PATH}?alt=sse" if stream else GEMINI_PATH
    return servers.post(path, gemini_request())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("protocol", "body"), ALL_REFUSALS, ids=[*REFUSALS, *OPENAI_REFUSALS])
def test_a_refusal_is_an_answer_by_default(fresh, protocol, body, stream):
    fresh.service.behavior = says(body, body)
    answer = ask(fresh, protocol, stream=stream)
    assert answer.headers["x-understudy-served-by"] == "service"
    assert body in answer.content
    assert fresh.model.received == []


@pytest.fixture(scope="module")
def bold():
    with harness() as servers:
        yield servers.start(servers.settings(refusals="model"))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("protocol", "body"), ALL_REFUSALS, ids=[*REFUSALS, *OPENAI_REFUSALS])
def test_every_refusal_goes_to_the_model_where_the_settings_say_so(bold, protocol, body, stream):
    bold.service.behavior = says(body, body)
    answer = ask(bold, protocol, stream=stream)
    assert answer.headers["x-understudy-served-by"] == "model"
    assert answer.headers["x-understudy-reason"] == "refusal"


# ---- what is held back ---------------------------------------------------------------------------


def cut_after(size):
    """A stream of exactly so many bytes, without its end, that is then reset."""

    async def behave(request, reply):
        await reply.begin_chunks(fakes.stream_kind(request))
        event = fakes.openai_chunk if fakes.is_openai(request) else fakes.gemini_event
        first = event("x")
        await reply.chunk(first + event("y" * (size - len(first) - len(event("")))))
        reply.reset()

    return behave


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
@pytest.mark.parametrize(("size", "is_replaced"), [(8 * 1024, True), (8 * 1024 + 1, False)])
def test_eight_kib_are_held_back_unless_the_settings_say_otherwise(
    fresh, protocol, size, is_replaced
):
    fresh.service.behavior = cut_after(size)
    if is_replaced:
        assert fresh.ask(protocol, stream=True) == MODEL_TEXT
        return
    with pytest.raises(Exception, match="broke off"):
        fresh.ask(protocol, stream=True)
    assert fresh.model.received == []


@pytest.mark.parametrize("protocol", ["gemini", "openai"])
def test_nothing_is_held_back_where_the_settings_say_so(servers, protocol):
    servers.start(servers.settings(hold_kib=0))
    servers.service.behavior = cut_after(400)
    with pytest.raises(Exception, match="broke off"):
        servers.ask(protocol, stream=True)


# ---- several presets -----------------------------------------------------------------------------


def test_the_first_of_several_tasks_that_matches_is_answered_by_its_own_model(servers):
    other = fakes.FakeServer(fakes.model("Dear customer, thank you."))
    servers.run(other.start())
    letters = servers.task(
        name="letters",
        instruction="Answer the customer.",
        output_schema=None,
        base_url=f"{other.url}/v1",
        api_model="letters",
        round=7,
    )
    shadowed = servers.task(name="never reached", base_url="http://127.0.0.1:9/v1")
    try:
        servers.start(tasks=[servers.task(), letters, shadowed], is_ready=False)
        servers.service.behavior = status(503, OVERLOADED)
        answers = {
            system: servers.post(GEMINI_PATH, gemini_request(system=system))
            for system in (INSTRUCTION, "Answer the customer.", "Write a poem.")
        }
        texts = [
            answer.json()["candidates"][0]["content"]["parts"][0]["text"]
            for answer in answers.values()
            if answer.status_code == 200
        ]
        assert texts == [MODEL_TEXT, "Dear customer, thank you."]
        assert answers["Write a poem."].status_code == 503
        assert [it.task for it in servers.took(3)] == ["triage", "letters", "none"]
    finally:
        servers.run(other.stop())


# ---- nobody can answer ---------------------------------------------------------------------------


def gemini_error(answer):
    error = answer.json()["error"]
    assert set(error) >= {"code", "message", "status"}
    assert (error["code"], error["status"]) == (503, "UNAVAILABLE")
    return error["message"]


def openai_error(answer):
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["type"] == "server_error"
    return error["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("protocol", "message"), [("gemini", gemini_error), ("openai", openai_error)]
)
def test_a_503_of_the_gateway_has_the_form_of_its_protocol(fresh, protocol, message, stream):
    fresh.service.behavior = status(503, OVERLOADED)
    if protocol == "openai":
        tools = [{"type": "function", "function": {"name": "f"}}]
        answer = fresh.post("/v1/chat/completions", openai_request(stream=stream, tools=tools))
    else:
        path = f"{GEMINI_STREAM_PATH}?alt=sse" if stream else GEMINI_PATH
        tools = [{"functionDeclarations": [{"name": "f", "description": "d"}]}]
        answer = fresh.post(path, gemini_request(tools=tools))
    assert answer.status_code == 503
    assert "tool" in message(answer)
    assert fresh.model.received == []


@pytest.mark.parametrize(
    ("protocol", "message"), [("gemini", gemini_error), ("openai", openai_error)]
)
def test_a_full_queue_is_said_in_the_form_of_the_protocol(servers, protocol, message):
    model = {"slots": 1, "queue_length": 0, "queue_seconds": 60, "keep_warm_seconds": 0}
    servers.start(servers.settings(model=model), [servers.task(slots=1)])
    servers.service.behavior = status(503, OVERLOADED)
    release = threading.Event()
    healthy = fakes.model(MODEL_TEXT)

    async def waits(request, reply):
        await asyncio.to_thread(release.wait, 30)
        await healthy(request, reply)

    servers.model.behavior = waits
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(servers.ask, "gemini", stream=False)
        servers.wait_until(lambda: len(servers.model.received) == 1)
        answer = ask(servers, protocol)
        release.set()
        assert first.result(30) == MODEL_TEXT
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "queue before the tuned model is full" in message(answer)
