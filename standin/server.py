"""The HTTP server around the stand-in."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from standin.calls import Answer, Call
from standin.errors import bad_request
from standin.faults import DisconnectedError
from standin.service import JudgeMode, StandIn

_LONGEST_BODY_BYTES = 64 * 1024 * 1024


class Server:
    """A running server.

    Attributes:
        url: Where it listens.
    """

    def __init__(self, standin: StandIn, port: int) -> None:
        self._standin = standin
        self._http = _HttpServer(("127.0.0.1", port), _handler(standin))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def stats(self) -> dict[str, Any]:
        """See `StandIn.stats`."""
        return self._standin.stats()

    def run(self) -> None:
        """Serve until `stop`."""
        self._http.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """Stop serving and close everything."""
        self._http.shutdown()
        self.close()

    def close(self) -> None:
        """Close everything; nothing serves any more."""
        self._http.server_close()
        self._standin.close()


@contextlib.contextmanager
def serve(
    *,
    port: int = 0,
    latency_seconds: float = 0.0,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    faults: Mapping[str, float] | None = None,
    judge: JudgeMode = "normal",
    batch_seconds: float = 0.0,
    token_requests: int | None = None,
    record_file: str | Path | None = None,
) -> Iterator[Server]:
    """Return a server in a thread of this process, for as long as the context lasts.

    Args:
        port: 0 picks a free one.
        latency_seconds: See `StandIn`, as the following.
        requests_per_minute: Likewise.
        tokens_per_minute: Likewise.
        faults: Likewise.
        judge: Likewise.
        batch_seconds: Likewise.
        token_requests: Likewise.
        record_file: Likewise.

    Raises:
        OSError: The port is in use.
        ValueError: `faults` are not as they should be.
    """
    standin = StandIn(
        latency_seconds=latency_seconds,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        faults=faults,
        judge=judge,
        batch_seconds=batch_seconds,
        token_requests=token_requests,
        record_file=record_file,
    )
    server = Server(standin, port)
    thread = threading.Thread(target=server.run, name="stand-in", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


class _HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024  # all clients of a run may connect at once
    block_on_close = False


def _handler(standin: StandIn) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # headers and body leave in one packet

        def do_GET(self) -> None:
            self._answer("GET", b"")

        def do_DELETE(self) -> None:
            self._answer("DELETE", b"")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > _LONGEST_BODY_BYTES:
                self.close_connection = True
                error = bad_request(f"The body has {length} bytes, which is too long.")
                self._send(Answer(error.code, error.google()))
                return
            raw = self.rfile.read(length)
            if len(raw) < length:  # the client was killed while it sent: nobody asked anything
                self.close_connection = True
                return
            self._answer("POST", raw)

        def _answer(self, method: str, raw: bytes) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                path, _, query = self.path.partition("?")
                call = Call(method, path, headers, raw, query)
                self._send(standin.answer(call))
            except DisconnectedError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Return the requests are counted, not printed."""

        def _send(self, answer: Answer) -> None:
            content, kind = answer.body, "application/octet-stream"
            if not isinstance(content, bytes):
                content, kind = json.dumps(content).encode(), "application/json; charset=UTF-8"
            self.send_response(answer.code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    return Handler
