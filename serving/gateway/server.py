"""The HTTP server around the gateway."""

import asyncio
import contextlib
import gc
import re
import signal
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.errors import UserError

# Longer than clients and load balancers keep an idle connection (Google's: 600 s): who closes first
# must be the client, or a request may be sent into a connection that is being closed.
_KEEP_ALIVE_SECONDS = 620
_SHUTDOWN_SECONDS = 30  # for the requests in flight
_BACKLOG = 4096
_ANY_SIZE = 2**31 - 1
# Collections of the young, the middle and the old generation of objects. Requests leave next to no
# cycles behind, and Python's own thresholds cost a third of a request's time.
_COLLECT_AFTER = (10_000, 50, 50)
_OFFER_OF_HTTP2 = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n|$)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


def run(serving: Coroutine[Any, Any, None]) -> None:
    """Run what serves in uvicorn's choice of event loop: uvloop's, where it is installed."""
    factory = uvicorn.Config("", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serving)


class IgnoresHttp2Offers(HttpToolsProtocol):
    """Answers a request that offers HTTP/2 as the HTTP/1.1 request that it is.

    Java's HttpClient makes that offer with every first request, and the parser would take the
    body for the new protocol's and drop it.

    Reference:
        https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    """

    def data_received(self, data: bytes) -> None:
        """Take the offer out of the head of a request."""
        if b"h2c" in data and (self.cycle is None or self.cycle.response_complete):
            head, end, body = data.partition(_HEAD_END)
            data = _OFFER_OF_HTTP2.sub(b"", head) + end + body
        super().data_received(data)


class GatewayServer(uvicorn.Server):
    """Leaves signals to its caller: uvicorn's own handling ends the process before its models."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def serve_until_signal(self, listener: socket.socket) -> None:
        """Serve until SIGINT or SIGTERM, and finish what is in flight; a second SIGINT cuts it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        gc.collect()
        gc.freeze()  # what is loaded by now stays, and need not be looked at again
        gc.set_threshold(*_COLLECT_AFTER)
        await self.serve(sockets=[listener])


def make_server(app: ASGIApp) -> GatewayServer:
    """Return a server of the gateway that leaves headers and connections to it.

    It writes no access log: query strings hold keys.
    """
    config = uvicorn.Config(
        app,
        http=IgnoresHttp2Offers,
        # uvicorn's own set-up of logging closes the handlers of the whole process.
        log_config=None,
        access_log=False,
        log_level="warning",
        lifespan="on",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ws_max_size=_ANY_SIZE,
    )
    return GatewayServer(config)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that holds its port and refuses connections until `start_listening`.

    Args:
        host: Address to listen on.
        port: Port; 0 picks a free one.

    Raises:
        UserError: The address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    holder = socket.socket(family)
    try:
        # As `socket.create_server` does: connections of the gateway before may linger.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        holder.bind((host, port))
        # Or another gateway that starts could bind the port, too, as long as nobody listens.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError as error:
        holder.close()
        raise _taken(host, port, error) from error
    return holder


def start_listening(holder: socket.socket) -> None:
    """Accept connections from now on.

    Args:
        holder: What `bind` returned.

    Raises:
        UserError: Another process, which started at the same time, listens on the port by now.
    """
    try:
        # Its connections have it from here, and those that linger must not hold up the next one.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.listen(_BACKLOG)
    except OSError as error:
        host, port = holder.getsockname()[:2]
        raise _taken(host, port, error) from error


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; see `bind`.

    Raises:
        UserError: The address cannot be used.
    """
    holder = bind(host, port)
    start_listening(holder)
    return holder


def _taken(host: str, port: int, error: OSError) -> UserError:
    return UserError(
        f"The gateway cannot listen on {host}:{port} ({error.strerror}). Stop what uses the port, "
        "or choose another one with --port."
    )
