"""An HTTP transport that stays fast with thousands of requests under way."""

from collections.abc import AsyncIterator

import httpx

# httpx looks at every connection of a pool whenever a request begins or ends, and holds up all
# the others meanwhile; with thousands in one pool nothing else gets done.
_POOL_CONNECTIONS = 48


class PooledTransport(httpx.AsyncBaseTransport):
    """Spreads requests over small connection pools of httpx, as many as are needed.

    Args:
        connections: The most in all; further requests wait for one.
    """

    def __init__(self, connections: int) -> None:
        self._context = httpx.create_ssl_context()
        self._most_pools = -(-connections // _POOL_CONNECTIONS)
        self._pools: list[httpx.AsyncHTTPTransport] = []
        self._under_way: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over the first pool that has a connection free."""
        number = self._pick()
        self._under_way[number] += 1
        try:
            response = await self._pools[number].handle_async_request(request)
        except BaseException:
            self._under_way[number] -= 1
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, self._under_way, number)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            await pool.aclose()

    def _pick(self) -> int:
        for number, under_way in enumerate(self._under_way):
            if under_way < _POOL_CONNECTIONS:
                return number
        if len(self._pools) == self._most_pools:
            return self._under_way.index(min(self._under_way))
        limits = httpx.Limits(
            max_connections=_POOL_CONNECTIONS, max_keepalive_connections=_POOL_CONNECTIONS
        )
        self._pools.append(httpx.AsyncHTTPTransport(verify=self._context, limits=limits))
        self._under_way.append(0)
        return len(self._pools) - 1


class _Body(httpx.AsyncByteStream):
    """A response's body; its connection is free again once it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, under_way: list[int], number: int) -> None:
        self._body = body
        self._under_way = under_way
        self._number = number
        self._is_open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part

    async def aclose(self) -> None:
        if self._is_open:
            self._is_open = False
            self._under_way[self._number] -= 1
        await self._body.aclose()
