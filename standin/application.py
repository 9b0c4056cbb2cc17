"""The stand-in as the service of an application: the demonstration task, asked without blocks.

The other server answers the pipeline's requests. This one answers what an application sends whose
task is taken over: its instruction as system text, a message, whole or streamed, in both protocols.

References:
    https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent,
    https://ai.google.dev/gemini-api/docs/openai
"""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

from aiohttp import web

from standin.errors import HttpError, bad_request
from standin.published.google_types import check_google
from standin.published.openai_types import check_openai
from standin.refusals import write_down
from standin.triage import triage

_GOOGLE = re.compile(
    r"/(?:v1(?:beta)?|(?P<vertex>v1(?:beta1)?)/projects/[^/]+/locations/[^/]+/publishers/google)"
    r"/models/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent)"
)
_OPENAI = ("/v1beta/openai/chat/completions", "/v1/chat/completions")
_MODEL_PREFIX = "stand-in"
_VERSION = "stand-in-1"
_MAKER = "Lumo Home"  # whose support the demonstration task triages
_PIECE = 24  # characters of a piece of a stream
_CHARS_PER_TOKEN = 4


class Server(NamedTuple):
    """A running server.

    Attributes:
        url: Where it listens.
    """

    url: str


@contextlib.contextmanager
def serve(
    port: int = 0, *, as_tuned_model: bool = False, spoil: Callable[[str], str] = str
) -> Iterator[Server]:
    """Return a server in a thread of this process, for as long as the context lasts.

    Args:
        port: 0 picks a free one.
        as_tuned_model: Whether bare messages are answered, too, as a model that was tuned to the
            task does.
        spoil: Changes each answer, to rehearse a model that answers badly.

    Raises:
        OSError: The port is in use.
    """
    triage("")  # learns at its first message, which takes seconds
    loop = asyncio.new_event_loop()

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(_handler(as_tuned_model, spoil)))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    thread = threading.Thread(target=loop.run_forever, name="stand-in application", daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield Server(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _handler(
    as_tuned_model: bool, spoil: Callable[[str], str]
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        google = _GOOGLE.fullmatch(request.path)
        is_openai = request.path in _OPENAI
        try:
            if not google and not is_openai:
                what = f"The stand-in does not serve {request.path}."
                raise HttpError(404, "NOT_FOUND", what)
            body = await request.json()
            if google:
                vertex = google["vertex"]
                api = f"aiplatform_{vertex}" if vertex else "generativelanguage_v1beta"
                check_google(api, "GenerateContentRequest", body)
                _check_model(google["model"])
                label = spoil(_triaged(*_read_gemini(body), is_known=as_tuned_model))
                if google["verb"] == "generateContent":
                    return web.json_response(_gemini(label, is_last=True))
                return await _stream_gemini(request, label)
            check_openai("chat/completions", body)
            _check_model(str(body["model"]).removeprefix("models/"))
            label = spoil(_triaged(*_read_openai(body), is_known=as_tuned_model))
            if not body.get("stream"):
                return web.json_response(_openai(label, "message", "chat.completion"))
            return await _stream_openai(request, label)
        except HttpError as error:
            told = error
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            told = bad_request(f"The request cannot be read: {error}")
        write_down(request.path, told)
        return web.json_response(told.openai() if is_openai else told.google(), status=told.code)

    return answer


def _read_gemini(body: dict[str, Any]) -> tuple[str, str]:
    system = body.get("systemInstruction") or body.get("system_instruction") or {}
    return _joined(system.get("parts", [])), _joined(body["contents"][-1]["parts"])


def _read_openai(body: dict[str, Any]) -> tuple[str, str]:
    texts = {message["role"]: _text(message["content"]) for message in body["messages"]}
    return texts.get("system", "") + texts.get("developer", ""), texts["user"]


def _text(content: str | list[dict[str, str]]) -> str:
    return content if isinstance(content, str) else _joined(content)


def _joined(parts: list[dict[str, str]]) -> str:
    return "".join(part["text"] for part in parts)


def _triaged(system: str, message: str, *, is_known: bool) -> str:
    """Return the label of a message.

    Raises:
        ValueError: The request is of another task.
    """
    if not is_known and _MAKER not in system + message:
        raise ValueError(
            "this server is a stand-in without a language model and knows only the demonstration "
            "task. Set serving.service to a real service LLM."
        )
    return triage(message).to_json()


def _check_model(model: str) -> None:
    if not model.startswith(_MODEL_PREFIX):
        raise ValueError(f"there is no model {model!r}; names start with {_MODEL_PREFIX!r}")


def _pieces(text: str) -> list[str]:
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]


def _gemini(text: str, *, is_last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {
        "content": {"role": "model", "parts": [{"text": text}]},
        "index": 0,
    }
    if is_last:
        candidate["finishReason"] = "STOP"
    tokens = -(-len(text) // _CHARS_PER_TOKEN)
    return {
        "candidates": [candidate],
        "usageMetadata": {"candidatesTokenCount": tokens, "totalTokenCount": tokens},
        "modelVersion": _VERSION,
    }


async def _stream_gemini(request: web.BaseRequest, text: str) -> web.StreamResponse:
    pieces = _pieces(text)
    bodies = [
        json.dumps(_gemini(piece, is_last=index == len(pieces) - 1))
        for index, piece in enumerate(pieces)
    ]
    if request.query.get("alt") == "sse":
        return await _stream(request, "text/event-stream", [f"data: {b}\r\n\r\n" for b in bodies])
    array = [f"{'[' if i == 0 else ','}{b}" for i, b in enumerate(bodies)]
    return await _stream(request, "application/json", [*array, "]"])


def _openai(text: str, part: str, kind: str, finish: str | None = "stop") -> dict[str, Any]:
    choice = {"index": 0, part: {"role": "assistant", "content": text}, "finish_reason": finish}
    tokens = -(-len(text) // _CHARS_PER_TOKEN)
    usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
    return {
        "id": "chatcmpl-stand-in",
        "object": kind,
        "created": 0,
        "model": _VERSION,
        "choices": [choice],
        "usage": usage if finish else None,
    }


async def _stream_openai(request: web.BaseRequest, text: str) -> web.StreamResponse:
    kind = "chat.completion.chunk"
    chunks = [_openai(piece, "delta", kind, None) for piece in _pieces(text)]
    chunks.append(_openai("", "delta", kind))
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return await _stream(request, "text/event-stream", [*events, "data: [DONE]\n\n"])


async def _stream(
    request: web.BaseRequest, content_type: str, parts: list[str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    for part in parts:
        await response.write(part.encode())
    await response.write_eof()
    return response
