"""Every fault F1 to F14, whole and streamed, in both protocols: no request lost, no half answer."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from serving.drill import faults as drill
from tests.serving.gateway import fakes
from tests.serving.gateway.faulty import FAULTS, FORMS
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    MODEL_TEXT,
    SERVICE_TEXT,
    Harness,
    gemini_request,
    harness,
    openai_request,
    unused_port,
)

AT_ONCE = 3  # requests of each kind
ADDRESSES = {
    "F1": "http://127.0.0.1:{unused}",
    "F2": "http://no-such-service.invalid",
    "F3": "https://127.0.0.1:{service}",
}


@pytest.fixture(scope="module")
def outage() -> Iterator[Harness]:
    """A gateway for all faults, that waits for little."""
    with harness() as servers:
        yield servers.start(servers.settings(first_byte_seconds=0.6, between_bytes_seconds=0.6))


def ask_at_once(servers: Harness, protocol: str, *, stream: bool) -> list[httpx.Response]:
    if protocol == "openai":
        path, body = "/v1/chat/completions", openai_request(stream=stream)
    else:
        path = f"{GEMINI_STREAM_PATH}?alt=sse" if stream else GEMINI_PATH
        body = gemini_request()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda _: servers.post(path, body), range(AT_ONCE)))


def said(answer: httpx.Response, protocol: str, *, stream: bool) -> tuple[str, str]:
    """The text and the finish reason of an answer that has to be complete."""
    events = [answer.text]
    if stream:
        assert answer.text.endswith(("\n\n", "\r\n\r\n"))
        events = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.strip()]
    if stream and protocol == "openai":
        assert events.pop() == "[DONE]"
    bodies = [json.loads(event) for event in events]
    if protocol == "gemini":
        candidates = [body["candidates"][0] for body in bodies]
        texts = [part["text"] for it in candidates for part in it["content"]["parts"]]
        return "".join(texts), candidates[-1]["finishReason"].lower()
    choices = [body["choices"][0] for body in bodies]
    texts = [it["delta" if stream else "message"].get("content") or "" for it in choices]
    return "".join(texts), choices[-1]["finish_reason"]


def problems(servers: Harness, fault: str, protocol: str, *, stream: bool) -> list[str]:
    """What is wrong with the answers of an outage."""
    found = []
    for answer in ask_at_once(servers, protocol, stream=stream):
        headers = {
            name: answer.headers.get(f"x-understudy-{name}") for name in ("served-by", "model")
        }
        if headers != {"served-by": "model", "model": "triage/round-3@1f2e3d4c"}:
            found.append(f"{answer.status_code} {headers}: {answer.text[:200]}")
        elif answer.headers["x-understudy-reason"].removeprefix("breaker:") != fault:
            found.append(f"reason {answer.headers['x-understudy-reason']}")
        elif said(answer, protocol, stream=stream) != (MODEL_TEXT, "stop"):
            found.append(f"half an answer: {answer.text[-200:]}")
    return found


@pytest.mark.parametrize(("protocol", "stream"), FORMS)
def test_every_request_to_a_failing_service_gets_a_whole_answer(outage, protocol, stream):
    wrong = {}
    for way, (fault, behavior) in FAULTS.items():
        # The tuned model covers only a key that has worked, and a refusal is the key's for a while.
        outage.key = f"a-key-{uuid.uuid4()}"
        outage.service.behavior = fakes.healthy(SERVICE_TEXT)
        assert outage.post(GEMINI_PATH, gemini_request()).status_code == 200
        outage.forget()
        outage.service.behavior = behavior
        if found := problems(outage, fault, protocol, stream=stream):
            wrong[way] = found
        answered = outage.took(AT_ONCE)
        assert {(it.served_by, it.status) for it in answered} == {("model", 200)}, way
        assert 1 <= len(outage.service.received) <= AT_ONCE, f"{way}: nothing is sent twice"
    assert wrong == {}


@pytest.mark.parametrize("fault", ADDRESSES)
def test_every_request_to_a_service_without_a_connection_gets_a_whole_answer(
    servers, unknown_certificate, fault
):
    if fault == "F3":
        servers.run(servers.service.stop())
        servers.run(servers.service.start(context=unknown_certificate))
    url = ADDRESSES[fault].format(unused=unused_port(), service=servers.service.port)
    servers.start(servers.settings(base_url=url))
    forms = [(protocol, stream) for protocol in ("gemini", "openai") for stream in (False, True)]
    assert {
        form: found
        for form in forms
        if (found := problems(servers, fault, form[0], stream=form[1]))
    } == {}
    assert servers.service.received == []


def test_no_fault_of_a_drill_is_left_out():
    assert {fault for fault, _ in FAULTS.values()} | set(ADDRESSES) == set(drill.FAULTS)
