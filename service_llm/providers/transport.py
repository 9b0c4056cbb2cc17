"""An HTTP transport that stays fast with thousands of requests in flight."""

import resource
from collections.abc import AsyncIterator

import httpx

from service_llm.proxies import proxy_for

# httpx looks at every connection of a pool whenever a request begins or ends, and holds up all
# the others meanwhile; with thousands in one pool nothing else gets done.
_POOL_CONNECTIONS = 48
_OTHER_FILES = 256  # that the process has open besides connections


_CUT = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def is_cut(error: BaseException | None) -> bool:
    """Whether a connection was there and broke off, as of a server that crashes at a request."""
    return isinstance(error, _CUT)


class PooledTransport(httpx.AsyncBaseTransport):
    """Spreads requests to one server over small connection pools of httpx, as many as are needed.

    A proxy that the environment names (`HTTPS_PROXY`, `NO_PROXY`) is used. Redirects are not
    followed: what is sent goes to the configured server and to no other.

    Args:
        connections: The most in all; further requests wait for one.
    """

    def __init__(self, connections: int) -> None:
        self._context = httpx.create_ssl_context()
        self._max_pools = -(-min(connections, _files()) // _POOL_CONNECTIONS)
        self._pools: list[httpx.AsyncHTTPTransport] = []
        self._in_flight: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over the first pool that has a connection free."""
        number = self._pick(request.url)
        self._in_flight[number] += 1
        try:
            response = await self._pools[number].handle_async_request(request)
        except BaseException:
            self._in_flight[number] -= 1
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, self._in_flight, number)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            await pool.aclose()

    def _pick(self, url: httpx.URL) -> int:
        for number, in_flight in enumerate(self._in_flight):
            if in_flight < _POOL_CONNECTIONS:
                return number
        if len(self._pools) == self._max_pools:
            return self._in_flight.index(min(self._in_flight))
        limits = httpx.Limits(
            max_connections=_POOL_CONNECTIONS, max_keepalive_connections=_POOL_CONNECTIONS
        )
        pool = httpx.AsyncHTTPTransport(
            verify=self._context, limits=limits, proxy=proxy_for(str(url))
        )
        self._pools.append(pool)
        self._in_flight.append(0)
        return len(self._pools) - 1


def _files() -> int:
    """Raise the limit of open files, and return how many connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS allows less than it says
            pass
    return _POOL_CONNECTIONS if 0 <= soft <= _OTHER_FILES else abs(soft) - _OTHER_FILES


class _Body(httpx.AsyncByteStream):
    """A response's body; its connection is free again once it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, in_flight: list[int], number: int) -> None:
        self._body = body
        self._in_flight = in_flight
        self._number = number
        self._is_open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part

    async def aclose(self) -> None:
        if self._is_open:
            self._is_open = False
            self._in_flight[self._number] -= 1
        await self._body.aclose()
