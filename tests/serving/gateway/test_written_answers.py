"""Answers of the tuned model and errors of the gateway, whole, in the form of each protocol."""

import json

import pytest

from serving.gateway.protocols import dialect_of
from serving.gateway.protocols.base import Ask, ModelAnswer, StreamForm
from serving.gateway.protocols.gemini import Gemini
from serving.gateway.protocols.openai import OpenAI
from serving.gateway.task import Message

GEMINI, OPENAI = Gemini("gemini"), OpenAI()
WHOLE = ModelAnswer("shipping", ("ship", "ping"), False, 9, 2)
CUT = ModelAnswer("ship", ("ship",), True, None, 1)


def ask(stream=None, **options):
    return Ask("gemini-x", stream, "", (Message("user", "Where is it?"),), **options)


def events(parts, end):
    whole = b"".join(parts)
    assert whole.endswith(end)
    return [json.loads(part[6:]) for part in whole.split(end) if part and part[6:] != b"[DONE]"]


@pytest.mark.parametrize(
    ("answer", "finish", "usage"),
    [
        (WHOLE, "STOP", {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}),
        (CUT, "MAX_TOKENS", {"candidatesTokenCount": 1, "totalTokenCount": 1}),
    ],
)
def test_a_whole_answer_of_gemini(answer, finish, usage):
    body = json.loads(GEMINI.write_answer(ask(), answer, "support_triage@3"))
    assert len(body.pop("responseId")) == 32
    content = {"parts": [{"text": answer.text}], "role": "model"}
    assert body == {
        "candidates": [{"content": content, "finishReason": finish, "index": 0}],
        "modelVersion": "support_triage@3",
        "usageMetadata": usage,
    }


@pytest.mark.parametrize("form", [StreamForm.SSE, StreamForm.ARRAY])
def test_a_stream_of_gemini(form):
    parts = list(GEMINI.write_stream(ask(form), WHOLE, "m"))
    bodies = events(parts, b"\r\n\r\n") if form is StreamForm.SSE else json.loads(b"".join(parts))
    first, last = bodies
    assert first["responseId"] == last["responseId"]
    assert first["candidates"] == [
        {"content": {"parts": [{"text": "ship"}], "role": "model"}, "index": 0}
    ]
    assert "usageMetadata" not in first
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["candidates"][0]["content"] == {"parts": [{"text": "ping"}], "role": "model"}
    assert last["usageMetadata"]["totalTokenCount"] == 11


@pytest.mark.parametrize(("answer", "finish"), [(WHOLE, "stop"), (CUT, "length")])
def test_a_whole_answer_of_openai(answer, finish):
    body = json.loads(OPENAI.write_answer(ask(), answer, "m"))
    assert body.pop("id").startswith("chatcmpl-")
    assert body.pop("created") > 1_700_000_000
    message = {"content": answer.text, "role": "assistant"}
    prompt = answer.prompt_tokens or 0
    assert body == {
        "choices": [{"finish_reason": finish, "index": 0, "message": message}],
        "model": "m",
        "object": "chat.completion",
        "usage": {
            "completion_tokens": answer.output_tokens,
            "prompt_tokens": prompt,
            "total_tokens": prompt + answer.output_tokens,
        },
    }


@pytest.mark.parametrize("has_usage", [False, True])
def test_a_stream_of_openai(has_usage):
    parts = list(OPENAI.write_stream(ask(StreamForm.SSE, has_usage=has_usage), WHOLE, "m"))
    assert parts[-1] == b"data: [DONE]\n\n"
    found = events(parts, b"\n\n")
    assert len({chunk["id"] for chunk in found}) == 1
    choices = [choice for chunk in found for choice in chunk["choices"]]
    assert [choice["delta"] for choice in choices] == [
        {"content": "", "role": "assistant"},
        {"content": "ship"},
        {"content": "ping"},
        {},
    ]
    assert [choice.get("finish_reason") for choice in choices] == [None, None, None, "stop"]
    usages = [chunk["usage"] for chunk in found if chunk.get("usage")]
    assert [usage["total_tokens"] for usage in usages] == [11] * has_usage


# https://cloud.google.com/apis/design/errors and https://platform.openai.com/docs/guides/error-codes
ERRORS = {
    400: ("INVALID_ARGUMENT", "invalid_request_error"),
    401: ("UNAUTHENTICATED", "authentication_error"),
    403: ("PERMISSION_DENIED", "permission_error"),
    404: ("NOT_FOUND", "not_found_error"),
    418: ("UNKNOWN", "server_error"),
    429: ("RESOURCE_EXHAUSTED", "rate_limit_error"),
    500: ("INTERNAL", "server_error"),
    503: ("UNAVAILABLE", "server_error"),
    504: ("DEADLINE_EXCEEDED", "server_error"),
}


@pytest.mark.parametrize(("status", "names"), ERRORS.items(), ids=str)
def test_an_error_has_the_name_that_its_status_has_in_the_protocol(status, names):
    gemini, openai = names
    assert json.loads(GEMINI.write_error(status, "Wait.")) == {
        "error": {"code": status, "message": "Wait.", "status": gemini}
    }
    assert json.loads(OPENAI.write_error(status, "Wait.")) == {
        "error": {"message": "Wait.", "type": openai, "param": None, "code": str(status)}
    }


def test_how_long_to_wait_is_said_in_googles_way():
    error = json.loads(GEMINI.write_error(429, "Wait.", 2.5))["error"]
    (detail,) = error["details"]
    assert detail == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}


def test_a_stream_that_breaks_off_ends_with_an_error():
    sse = GEMINI.write_stream_error(StreamForm.SSE, "Broken.", is_first=False)
    assert events([sse], b"\r\n\r\n")[0]["error"]["status"] == "UNAVAILABLE"
    for is_first, begin in ((True, b"["), (False, b"[{},")):
        rest = GEMINI.write_stream_error(StreamForm.ARRAY, "Broken.", is_first=is_first)
        whole = json.loads(rest if is_first else begin + rest.removeprefix(b",\r\n"))
        assert whole[-1]["error"]["code"] == 503
    openai = OPENAI.write_stream_error(StreamForm.SSE, "Broken.", is_first=False)
    assert events([openai], b"\n\n")[0]["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("path", "is_openai_client", "is_googles"),
    [
        ("/v1beta/models/m", False, True),
        ("/v1alpha/models", False, True),
        ("/v1beta1/projects/p/locations/l/models", False, True),
        ("/v1/projects/p/locations/l", False, True),
        ("/upload/v1beta/files", False, True),
        ("/ws/google.ai.generativelanguage", False, True),
        ("/", False, True),
        ("/v1beta/openai/models", False, False),
        ("/v1/models", True, False),
        ("/v1/responses", True, False),
    ],
)
def test_an_error_is_in_the_form_of_whom_the_path_belongs_to(path, is_openai_client, is_googles):
    error = dialect_of(path, is_openai_client=is_openai_client).write_error(401, "No key.")
    assert ("type" in json.loads(error)["error"]) is not is_googles
