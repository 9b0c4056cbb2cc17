"""A proxy in front of the service that shows a fault on request."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import aiohttp
from aiohttp import web

from service_llm.settings import ServiceLLMSettings
from serving.drill.faults import End, Form, Shown, show
from serving.gateway.upstream import (
    Upstream,
    open_session,
    request_headers,
    response_headers,
)

_MAX_BODY = 64 * 1024 * 1024
_REFUSES = "F1"


class FaultProxy:
    """Passes requests on to a service, or answers with a fault in its place.

    Args:
        service: The service.
    """

    def __init__(self, service: ServiceLLMSettings) -> None:
        self._upstream = Upstream(service)
        self._is_openai = service.provider == "openai"
        self._port = 0
        self._fault: str | None = None
        self._over = asyncio.Event()
        # Kept over cells: an open breaker lets few requests of each meet the fault.
        self._turns: Counter[str] = Counter()
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None
        self._session: aiohttp.ClientSession | None = None
        self._open: set[asyncio.Transport] = set()

    @property
    def base_url(self) -> str:
        """What a gateway takes for the service's base URL."""
        return f"{self.origin}/v1" if self._is_openai else self.origin

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> "FaultProxy":
        self._session = open_session()
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._over.set()
        assert self._runner
        assert self._session
        await self._runner.cleanup()
        await self._session.close()

    async def inject(self, fault: str) -> None:
        """Show a fault from now on."""
        self._fault = fault
        self._over.clear()
        if fault == _REFUSES and self._site:
            await self._site.stop()
            for transport in self._open:
                transport.abort()

    async def clear(self) -> None:
        """Pass on from now on; what waits in silence is cut."""
        was, self._fault = self._fault, None
        self._over.set()
        if was == _REFUSES:
            await self._listen()

    async def _listen(self) -> None:
        assert self._runner
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        assert self._site._server
        sockets: Any = self._site._server.sockets  # type: ignore[attr-defined]
        self._port = sockets[0].getsockname()[1]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport:
            self._open.add(transport)
        try:
            body = await request.read()
            if self._fault is None:
                return await self._pass_on(request, body)
            form = Form(request.path, request.query_string, body)
            shown = show(self._fault, form, self._turns[self._fault])
            self._turns[self._fault] += 1
            return await self._show(request, shown)
        finally:
            if transport:
                self._open.discard(transport)

    async def _show(self, request: web.BaseRequest, shown: Shown) -> web.StreamResponse:
        response = web.StreamResponse(
            status=shown.status or 200, headers={"Content-Type": shown.content_type}
        )
        if shown.status:
            await response.prepare(request)
            for part in shown.parts:
                await response.write(part)
        if shown.end is End.WHOLE:
            await response.write_eof()
            return response
        if shown.end is End.SILENCE:
            await self._over.wait()
        if request.transport:
            request.transport.abort()
        return response

    async def _pass_on(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        assert self._session
        url = self._upstream.url(
            request.rel_url.raw_path,
            request.rel_url.raw_query_string.encode("latin-1"),
            is_openai_client=False,
        )
        headers = request_headers([(name.lower(), value) for name, value in request.raw_headers])
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            for name, value in response_headers(answer):
                if name != b"content-length":
                    response.headers.add(name.decode("latin-1"), value.decode("latin-1"))
            await response.prepare(request)
            async for part in answer.content.iter_any():
                await response.write(part)
            with contextlib.suppress(ConnectionError):
                await response.write_eof()
            return response
