"""The faults F1 to F14 as a service shows them, in the protocol of the request that meets one."""

import enum
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

FAULTS = {
    "F1": "connection refused or reset",
    "F2": "host name not found",
    "F3": "TLS handshake fails",
    "F4": "no first byte",
    "F5": "stall between bytes",
    "F6": "server error (503)",
    "F7": "quota exceeded (429)",
    "F8": "key, billing or region refused",
    "F9": "model retired (404, 410)",
    "F10": "empty answer",
    "F11": "answer breaks the task's contract",
    "F12": "stream cut before its first token",
    "F13": "stream cut after tokens, or without a finish reason",
    "F14": "error object inside a 200",
}
STREAM_ONLY = ("F12", "F13")
ADDRESS_ONLY = ("F2", "F3")  # of the service's address: no server shows them
CONTRACT = "F11"

_GEMINI_STREAM = re.compile(r":streamGenerateContent$")
_OPENAI_PATH = re.compile(r"/chat/completions$")
_MODEL = "drill"
_BEGINNING = '{"'
_NO_FORM = "I am sorry, but I cannot put this into the format that you ask for."
_REFUSED_KEY = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
_RETRY = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]


class End(enum.Enum):
    """What follows the bytes of an answer."""

    WHOLE = "whole"  # the end that HTTP has for it
    CUT = "cut"  # the connection is gone
    SILENCE = "silence"  # nothing, until the fault is over


class Shown(NamedTuple):
    """What a service sends.

    Attributes:
        status: HTTP status; 0 where not even that comes.
        parts: Of the body, written one by one.
        end: What follows.
        content_type: Of the body.
    """

    status: int
    parts: Sequence[bytes] = ()
    end: End = End.WHOLE
    content_type: str = "application/json"


class Form:
    """How an answer to a request is written.

    Args:
        path: Of the request.
        query: Likewise.
        body: Likewise.
    """

    def __init__(self, path: str, query: str, body: bytes) -> None:
        self.is_openai = bool(_OPENAI_PATH.search(path))
        if self.is_openai:
            self.is_stream = bool(json.loads(body).get("stream"))
            self.is_sse = self.is_stream
        else:
            self.is_stream = bool(_GEMINI_STREAM.search(path))
            self.is_sse = self.is_stream and "alt=sse" in query

    @property
    def content_type(self) -> str:
        """Of an answer."""
        return "text/event-stream" if self.is_sse else "application/json"

    def answer(self, text: str, finish: str | None, *, has_candidate: bool = True) -> list[bytes]:
        """Return a body with a text and a finish reason, whole or as a stream."""
        content = self._openai if self.is_openai else self._gemini
        return self.written([content(text, finish, has_candidate)])

    def written(self, bodies: Sequence[Any]) -> list[bytes]:
        """JSON bodies as a stream writes them, or the only one as it is."""
        texts = [json.dumps(body) for body in bodies]
        if self.is_sse:
            return [f"data: {text}\r\n\r\n".encode() for text in texts]
        if self.is_stream:
            return [f"{'[' if i == 0 else ','}{text}".encode() for i, text in enumerate(texts)]
        return [text.encode() for text in texts]

    @staticmethod
    def _gemini(text: str, finish: str | None, has_candidate: bool) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}}
        if finish:
            candidate["finishReason"] = finish
        candidates = [candidate] if has_candidate else []
        return {"candidates": candidates, "modelVersion": _MODEL}

    def _openai(self, text: str, finish: str | None, has_candidate: bool) -> dict[str, Any]:
        reasons = {"STOP": "stop", "MAX_TOKENS": "length", None: None}
        part = "delta" if self.is_stream else "message"
        choice = {
            "index": 0,
            part: {"role": "assistant", "content": text},
            "finish_reason": reasons[finish],
        }
        return {
            "id": _MODEL,
            "object": "chat.completion.chunk" if self.is_stream else "chat.completion",
            "created": 0,
            "model": _MODEL,
            "choices": [choice] if has_candidate else [],
        }


def show(fault: str, form: Form, turn: int) -> Shown:
    """Return what a service with a fault sends.

    Args:
        fault: F1 or one of F4 to F14.
        form: Of the request.
        turn: Number of the request, so that the ways of a fault take turns.
    """
    begun = form.answer(_BEGINNING, None)
    whole = {
        "F4": [Shown(0, end=End.SILENCE)],
        "F5": [_answer(form, _half(begun, form), End.SILENCE)],
        "F6": [_error(503, "UNAVAILABLE", "The model is overloaded."), Shown(500, [b"oops"])],
        "F7": [_error(429, "RESOURCE_EXHAUSTED", "You exceeded your quota.", _RETRY)],
        "F8": [
            _error(401, "UNAUTHENTICATED", "The credential is not valid."),
            _error(403, "PERMISSION_DENIED", "Billing is disabled."),
            _error(400, "INVALID_ARGUMENT", "API key not valid.", _REFUSED_KEY),
        ],
        "F9": [
            _error(404, "NOT_FOUND", "The model is not found."),
            _error(410, "NOT_FOUND", "The model was shut down."),
        ],
        "F10": [
            _answer(form, form.answer("", "STOP")),
            _answer(form, form.answer("", "MAX_TOKENS")),
            _answer(form, form.answer("", "STOP", has_candidate=False)),
        ],
        "F11": [_answer(form, form.answer(_NO_FORM, "STOP"))],
        "F12": [_answer(form, [], End.CUT)],
        "F13": [_answer(form, begun, End.CUT), _answer(form, begun)],
        "F14": _errors_inside(form, begun),
    }
    ways = whole.get(fault, [Shown(0, end=End.CUT)])
    return ways[turn % len(ways)]


def _half(begun: list[bytes], form: Form) -> list[bytes]:
    return begun if form.is_stream else [begun[0][: len(begun[0]) // 2]]


def _answer(form: Form, parts: Sequence[bytes], end: End = End.WHOLE) -> Shown:
    closed = [*parts, b"]"] if form.is_stream and not form.is_sse and end is End.WHOLE else parts
    return Shown(200, closed, end, form.content_type)


def _errors_inside(form: Form, begun: list[bytes]) -> list[Shown]:
    error = _error_body(503, "UNAVAILABLE", "The model is overloaded.")
    alone = _answer(form, form.written([error]))
    if not form.is_stream:
        return [alone]
    bare = json.dumps(error).encode()
    return [alone, _answer(form, [*begun, bare]), Shown(200, [bare])]


def _error(code: int, status: str, message: str, details: Sequence[dict[str, str]] = ()) -> Shown:
    return Shown(code, [json.dumps(_error_body(code, status, message, details)).encode()])


def _error_body(
    code: int, status: str, message: str, details: Sequence[dict[str, str]] = ()
) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    return {"error": error | ({"details": list(details)} if details else {})}
