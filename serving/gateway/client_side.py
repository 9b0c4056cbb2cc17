"""The client's side of a request: its body, its leaving, and the answer that goes back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from starlette.types import Receive, Scope, Send

Header = tuple[bytes, bytes]

# Most answers are complete before: a task for each of them would cost more than it could save.
_WATCH_AFTER_SECONDS = 0.05


class ClientLeftError(Exception):
    """The client closed the connection before its answer was complete."""


class Client:
    """One request's client.

    Args:
        scope: Of ASGI, as the following.
        receive: Likewise.
        send: Likewise.

    Attributes:
        has_begun: Whether the answer has begun.
        on_begin: Called when it begins; None for nothing.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path: str = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        self.query: bytes = scope["query_string"]
        self.headers: list[Header] = scope["headers"]
        self.address: str = (scope.get("client") or ("", 0))[0]
        self.has_begun = False
        self.on_begin: Callable[[], None] | None = None
        self._receive = receive
        self._send = send
        self._read = asyncio.Event()
        self._is_complete = False

    def header(self, name: bytes) -> bytes:
        """Return the value of a header by its lower-case name; empty where it is missing."""
        return next((value for key, value in self.headers if key == name), b"")

    async def read(self, max_bytes: int) -> tuple[bytes, bool]:
        """Read the body, or the beginning of one that is too long.

        Returns:
            The bytes, and whether they are all.

        Raises:
            ClientLeftError: The client left.
        """
        parts: list[bytes] = []
        size = 0
        async for part in self.body():
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                return b"".join(parts), False
        return parts[0] if len(parts) == 1 else b"".join(parts), True

    async def body(self) -> AsyncIterator[bytes]:
        """Return the parts of the body that were not read yet.

        Raises:
            ClientLeftError: The client left.
        """
        while not self._read.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError
            if not message.get("more_body", False):
                self._read.set()
            if part := message.get("body", b""):
                yield part

    async def continued(self, beginning: bytes) -> AsyncIterator[bytes]:
        """Return the whole body, of which the beginning was read."""
        yield beginning
        async for part in self.body():
            yield part

    def skip_body(self) -> None:
        """Read no body: there is none."""
        self._read.set()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Cancel what runs inside when the client leaves.

        Raises:
            ClientLeftError: The client left.
        """
        work = asyncio.current_task()
        assert work is not None
        watcher: asyncio.Task[None] | None = None
        has_left = False

        def leave(_: asyncio.Task[None]) -> None:
            nonlocal has_left
            # uvicorn reports a client as gone when its answer is complete, too.
            if not self._is_complete:
                has_left = True
                work.cancel()

        def watch() -> None:
            nonlocal watcher
            watcher = asyncio.create_task(self._until_gone())
            watcher.add_done_callback(leave)

        timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_SECONDS, watch)
        try:
            yield
        except asyncio.CancelledError:
            if has_left:
                work.uncancel()
                raise ClientLeftError from None
            raise
        finally:
            timer.cancel()
            if watcher is not None:
                watcher.remove_done_callback(leave)
                watcher.cancel()

    async def _until_gone(self) -> None:
        await self._read.wait()  # who reads the body sees the client leave
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def begin(self, status: int, headers: list[Header]) -> None:
        """Send the status and the headers."""
        self.has_begun = True
        if self.on_begin is not None:
            self.on_begin()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send_part(self, data: bytes) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last part of the body."""
        self._is_complete = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        """Send a whole response."""
        length: Any = str(len(body)).encode()
        await self.begin(status, [*headers, (b"content-length", length)])
        await self.end(body)
