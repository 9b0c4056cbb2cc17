"""A service and a model server over real sockets, as strict and as nasty as public reports show."""

import asyncio
import contextlib
import dataclasses
import gzip
import json
import socket
import ssl
import struct
import zlib
from collections.abc import Awaitable, Callable

from tests.published import note, refusal_of

CRLF = b"\r\n"


@dataclasses.dataclass
class Received:
    """A request as it arrived."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((v for n, v in self.headers if n.lower() == name.lower()), "")

    def refusal(self) -> str | None:
        """Why no service would take it; only what is posted has a published type."""
        if self.method != "POST":
            return None
        is_packed = self.header("content-encoding") == "gzip"
        try:
            body = gzip.decompress(self.body) if is_packed else self.body
        except (EOFError, OSError, zlib.error) as error:
            return f"{self.target}: the body cannot be unpacked: {error}"
        return refusal_of(self.target, body)

    @property
    def json(self) -> dict:
        return json.loads(self.body)


class Reply:
    """Writes one response, byte by byte as it is told."""

    def __init__(
        self, writer: asyncio.StreamWriter, left: asyncio.Event, *, is_last: bool = False
    ) -> None:
        self.writer = writer
        self.left = left
        self.must_close = self._is_last = is_last

    async def head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Whatever".encode()]
        lines += [f"{name}: {value}".encode() for name, value in headers.items()]
        lines += [b"Connection: close"] if self._is_last else []
        self.writer.write(CRLF.join([*lines, b"", b""]))
        await self.writer.drain()

    async def whole(self, body: bytes, status: int = 200, **headers: str) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {"Content-Type": "application/json; charset=UTF-8"}
        await self.head(status, {**kind, **names, "Content-Length": str(len(body))})
        self.writer.write(body)
        await self.writer.drain()

    async def begin_chunks(self, kind: str = "text/event-stream", **headers: str) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.head(200, {"Content-Type": kind, **names, "Transfer-Encoding": "chunked"})

    async def chunk(self, data: bytes) -> None:
        self.writer.write(f"{len(data):x}".encode() + CRLF + data + CRLF)
        await self.writer.drain()

    async def end_chunks(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        """End the connection in good order, whatever was promised."""
        self.must_close = True

    def reset(self) -> None:
        """End the connection with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.must_close = True

    async def stall(self) -> None:
        """Say nothing more until the other side leaves."""
        await self.left.wait()
        self.must_close = True


Behavior = Callable[[Received, Reply], Awaitable[None]]


class FakeServer:
    """An HTTP server that behaves as it is told and counts what it sees.

    Args:
        behavior: See below.
        is_service: Whether what it receives must be a request that the services publish.

    Attributes:
        behavior: How it answers; may be exchanged at any time.
        received: All requests.
        open_connections: Connections that are open.
        left_early: Requests whose client left before the answer was complete.
    """

    def __init__(self, behavior: Behavior, *, is_service: bool = True) -> None:
        self.behavior = behavior
        self._is_service = is_service
        self.received: list[Received] = []
        self.open_connections = 0
        self.left_early = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", port, limit=2**20, backlog=4096, ssl=context
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        self.open_connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
        finally:
            self.open_connections -= 1
            self._connections.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read(reader)
        if request is None:
            return False
        self.received.append(request)
        if self._is_service:
            note(request.refusal())
        left = asyncio.Event()
        reply = Reply(writer, left, is_last=request.header("connection") == "close")

        async def watch() -> None:
            # A pipelined request would be one too many; end of file is a client that left.
            with contextlib.suppress(ConnectionError):
                await reader.read(1)
            self.left_early += not answer.done()
            left.set()

        answer = asyncio.ensure_future(self.behavior(request, reply))
        watcher = asyncio.create_task(watch())
        try:
            await asyncio.wait({watcher, answer}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await asyncio.wait({answer}, timeout=0.05)
                answer.cancel()
                return False
            answer.result()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        return not reply.must_close


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = [tuple(line.split(": ", 1)) for line in lines if line]
    names = {name.lower(): value for name, value in headers}
    if names.get("transfer-encoding") == "chunked":
        body = bytearray()
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        body = await reader.readexactly(int(names.get("content-length", 0)))
    return Received(method, target, headers, bytes(body))


async def unavailable(request: Received, reply: Reply) -> None:
    """A service in an outage, in Google's form."""
    await reply.whole(b'{"error": {"code": 503, "status": "UNAVAILABLE"}}', 503)


# ---- what a healthy service and model say ------------------------------------------------------


def gemini_body(text: str, finish: str | None = "STOP", **more: object) -> bytes:
    candidate: dict = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
    if finish:
        candidate["finishReason"] = finish
    return json.dumps({"candidates": [candidate], "modelVersion": "gemini-x", **more}).encode()


def openai_body(text: str, finish: str | None = "stop") -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "gemini-x",
            "choices": [choice],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
    ).encode()


def openai_chunk(text: str | None, finish: str | None = None) -> bytes:
    delta = {"role": "assistant", "content": text} if text is not None else {}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gemini-x"}
    return b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"


def gemini_event(text: str, finish: str | None = None) -> bytes:
    return b"data: " + gemini_body(text, finish) + b"\r\n\r\n"


def is_openai(request: Received) -> bool:
    return "chat/completions" in request.target


def is_stream(request: Received) -> bool:
    return "streamGenerateContent" in request.target or b'"stream":true' in request.body.replace(
        b" ", b""
    )


def pieces_of(text: str) -> list[str]:
    size = max(7, len(text) // 40)
    return [text[at : at + size] for at in range(0, len(text), size)]


def stream_parts(request: Received, text: str, *, is_finished: bool = True) -> list[bytes]:
    """The events of a healthy stream; without its end where `is_finished` is False."""
    pieces = pieces_of(text)
    if is_openai(request):
        parts = [openai_chunk(""), *(openai_chunk(piece) for piece in pieces)]
        return [*parts, openai_chunk(None, "stop"), b"data: [DONE]\n\n"] if is_finished else parts
    if "alt=sse" in request.target:
        last = [gemini_event(pieces[-1], "STOP")] if is_finished else []
        return [gemini_event(piece) for piece in pieces[:-1]] + last
    bodies = [gemini_body(piece, None) for piece in pieces[:-1]]
    if is_finished:
        bodies.append(gemini_body(pieces[-1], "STOP"))
    return [(b"[" if at == 0 else b",\r\n") + body for at, body in enumerate(bodies)] + (
        [b"]"] if is_finished else []
    )


def stream_kind(request: Received) -> str:
    is_events = is_openai(request) or "alt=sse" in request.target
    return "text/event-stream" if is_events else "application/json; charset=UTF-8"


def healthy(text: str) -> Behavior:
    """A service that answers, whole or streamed, in the protocol that it is asked in."""

    async def behave(request: Received, reply: Reply) -> None:
        if is_stream(request):
            await reply.begin_chunks(stream_kind(request))
            for part in stream_parts(request, text):
                await reply.chunk(part)
            await reply.end_chunks()
        else:
            body = openai_body(text) if is_openai(request) else gemini_body(text)
            await reply.whole(body)

    return behave


def count_words(texts: list[str]) -> int:
    """The tokenizer of the fake model."""
    return sum(len(text.split()) for text in texts) + 4


def model(text: str, *, prompt_tokens: int | None = None, **usage_fields: object) -> Behavior:
    """A server of the tuned model that streams, as it is always asked to."""

    async def behave(request: Received, reply: Reply) -> None:
        asked = request.json
        assert asked["stream"] is True
        assert asked["max_tokens"] > 0
        counted = count_words([message["content"] for message in asked["messages"]])
        usage = {
            "prompt_tokens": counted if prompt_tokens is None else prompt_tokens,
            "completion_tokens": 3,
            "total_tokens": 99,
            **usage_fields,
        }
        await reply.begin_chunks()
        for piece in pieces_of(text):
            await reply.chunk(openai_chunk(piece))
        await reply.chunk(openai_chunk(None, "stop"))
        last = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage}
        await reply.chunk(b"data: " + json.dumps(last).encode() + b"\n\n")
        await reply.chunk(b"data: [DONE]\n\n")
        await reply.end_chunks()

    return behave
