"""What is not of the task gets 503 with the reason in its protocol's form, and is counted."""

import httpx
import pytest

from serving.gateway.matching import Unmatched
from tests.serving.gateway.faulty import OVERLOADED, status
from tests.serving.gateway.harness import (
    GEMINI_PATH,
    GEMINI_STREAM_PATH,
    PROMPT,
    gemini_request,
    openai_request,
)

IMAGE = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
FILE = {"fileData": {"fileUri": "https://host/a.pdf", "mimeType": "application/pdf"}}


def with_part(part: dict) -> dict:
    return {**gemini_request(), "contents": [{"role": "user", "parts": [{"text": PROMPT}, part]}]}


def with_content(part: dict) -> dict:
    content = [{"type": "text", "text": PROMPT}, part]
    messages = [openai_request()["messages"][0], {"role": "user", "content": content}]
    return openai_request() | {"messages": messages}


GEMINI_TURNS = [
    {"role": role, "parts": [{"text": text}]}
    for role, text in (("user", "Hello"), ("model", "Hello!"), ("user", PROMPT))
]
OPENAI_TURNS = [
    openai_request()["messages"][0],
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": PROMPT},
]
URL = {"url": "https://host/a.png"}
CALLS = {"functionDeclarations": [{"name": "f", "description": "d"}]}
BODIES = [
    ("system", gemini_request(system="Write a poem.")),
    ("tools", gemini_request(tools=[CALLS])),
    ("images", with_part(IMAGE)),
    ("file_uri", with_part(FILE)),
    ("cached_content", gemini_request(cachedContent="cachedContents/1")),
    ("turns", gemini_request() | {"contents": GEMINI_TURNS}),
    ("too_long", gemini_request(prompt="word " * 600)),
    ("system", openai_request(system="Write a poem.")),
    ("tools", openai_request(tools=[{"type": "function", "function": {"name": "f"}}])),
    ("images", with_content({"type": "image_url", "image_url": URL})),
    ("file_uri", with_content({"type": "file", "file": {"file_id": "f"}})),
    ("turns", openai_request() | {"messages": OPENAI_TURNS}),
    ("too_long", openai_request(prompt="word " * 600)),
]


def counted(servers, reason: str) -> float:
    line = f'understudy_unmatched_total{{reason="{reason}"}} '
    rows = httpx.get(f"{servers.url}/understudy/metrics").text.splitlines()
    return sum(float(row.removeprefix(line)) for row in rows if row.startswith(line))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("reason", "body"),
    [
        pytest.param(reason, body, id=f"{reason}-{'openai' if 'messages' in body else 'gemini'}")
        for reason, body in BODIES
    ],
)
def test_what_is_not_of_the_task_is_told_in_the_form_of_its_protocol(well, reason, body, stream):
    before = counted(well, reason)
    well.service.behavior = status(503, OVERLOADED)
    if "messages" in body:
        answer = well.post("/v1/chat/completions", {**body, "stream": stream})
        wanted = {"type": "server_error", "param": None, "code": "503"}
    else:
        path = f"{GEMINI_STREAM_PATH}?alt=sse" if stream else GEMINI_PATH
        answer = well.post(path, body)
        wanted = {"code": 503, "status": "UNAVAILABLE"}
    error = answer.json()["error"]
    assert answer.status_code == 503
    assert error.items() >= wanted.items()
    assert "The service answered 503" in error["message"]
    assert Unmatched(reason).why in error["message"]
    assert answer.headers["x-understudy-reason"] == f"unmatched:{reason}"
    assert well.model.received == []
    assert counted(well, reason) == before + 1
