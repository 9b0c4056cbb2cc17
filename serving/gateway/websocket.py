"""Passes WebSocket connections through, as the live API uses them."""

import asyncio
import contextlib

import aiohttp
from multidict import CIMultiDict
from starlette.types import Message, Receive, Scope, Send

from serving.gateway.upstream import Upstream, proxy_for, request_headers

_HANDSHAKE = ("sec-websocket-",)
_GOING_AWAY = 1001
_TRY_AGAIN = 1013


async def relay(
    scope: Scope,
    receive: Receive,
    send: Send,
    session: aiohttp.ClientSession,
    upstream: Upstream,
) -> None:
    """Connect a client with the service, and pass messages both ways until one side ends."""
    await receive()  # websocket.connect
    raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    url = upstream.url(raw_path, scope["query_string"], is_openai_client=False)
    try:
        connection = await session.ws_connect(
            url,
            headers=_headers(request_headers(scope["headers"])),
            protocols=scope.get("subprotocols") or (),
            max_msg_size=0,
            compress=0,
            proxy=proxy_for(url.scheme.replace("ws", "http"), url.host or ""),
        )
    except (aiohttp.ClientError, OSError, TimeoutError):
        await send({"type": "websocket.close", "code": _TRY_AGAIN})
        return
    async with connection:
        await send({"type": "websocket.accept", "subprotocol": connection.protocol})
        there = asyncio.create_task(_to_service(receive, connection))
        back = asyncio.create_task(_to_client(connection, send))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)


def _headers(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    return CIMultiDict(
        (name, value) for name, value in headers.items() if not name.startswith(_HANDSHAKE)
    )


async def _to_service(receive: Receive, connection: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        message: Message = await receive()
        if message["type"] == "websocket.disconnect":
            await connection.close(code=message.get("code") or _GOING_AWAY)
            return
        if (text := message.get("text")) is not None:
            await connection.send_str(text)
        else:
            await connection.send_bytes(message.get("bytes") or b"")


async def _to_client(connection: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    async for message in connection:
        if message.type is aiohttp.WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
        elif message.type is aiohttp.WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
    code = connection.close_code
    with contextlib.suppress(RuntimeError):  # the client was first
        await send({"type": "websocket.close", "code": code or _GOING_AWAY})
