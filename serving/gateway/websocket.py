"""Passes WebSocket connections through, as the live API uses them."""

import asyncio
import contextlib
import http
from collections.abc import Callable, Mapping
from typing import NoReturn

import aiohttp
from multidict import CIMultiDict
from starlette.types import Message, Receive, Scope, Send

from serving.gateway import faults
from serving.gateway.protocols import dialect_of
from serving.gateway.upstream import (
    CONNECTION_ERRORS,
    Upstream,
    open_session,
    proxy_for,
    request_headers,
)

_HANDSHAKE = ("sec-websocket-",)
_ANSWER = "websocket.http.response"  # https://asgi.readthedocs.io/en/latest/extensions.html
_GOING_AWAY = 1001
_TRY_AGAIN = 1013
_POLICY = 1008
_POLL_SECONDS = 0.25
_NOTHING: Mapping[str, str] = {}
_STATUSES = frozenset(status.value for status in http.HTTPStatus if status >= 400)


class _RedirectedError(aiohttp.ClientError):
    """The service wants the connection to be made elsewhere."""


async def relay(
    scope: Scope,
    receive: Receive,
    send: Send,
    upstream: Upstream,
    *,
    stays_here: Callable[[], bool],
) -> None:
    """Connect a client with the service, and pass messages both ways until one side ends.

    Args:
        scope: Of the client's request.
        receive: Receives from it.
        send: Sends to it.
        upstream: The service.
        stays_here: Whether nothing may go to the service any more, as after a change of mode; then
            the connection ends before the next message.
    """
    await receive()  # websocket.connect
    raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    url = upstream.url(raw_path, scope["query_string"], is_openai_client=False)
    async with open_session(guards=[_no_redirects()]) as session:
        try:
            connection = await session.ws_connect(
                url,
                headers=_headers(request_headers(scope["headers"])),
                protocols=scope.get("subprotocols") or (),
                max_msg_size=0,
                compress=0,
                proxy=proxy_for(url.scheme.replace("ws", "http"), url.host or ""),
            )
        except aiohttp.WSServerHandshakeError as error:
            message = f"The service made no live connection: it answered {error.status}."
            status = error.status if error.status in _STATUSES else http.HTTPStatus.BAD_GATEWAY
            await _refuse(scope, send, status, message, error.headers or {})
        except _RedirectedError:
            message = "The service wants the live connection elsewhere, where no key is sent."
            await _refuse(scope, send, http.HTTPStatus.BAD_GATEWAY, message)
        except CONNECTION_ERRORS as error:
            text = faults.of_exception(error).text
            message = f"The service gave no answer ({text}). The tuned model does not speak."
            await _refuse(scope, send, http.HTTPStatus.SERVICE_UNAVAILABLE, message)
        else:
            await _pass_both_ways(connection, receive, send, stays_here)


def _no_redirects() -> aiohttp.TraceConfig:
    """Return what ends a request that is redirected: aiohttp would take the key along.

    `ws_connect` has no `allow_redirects`.
    """

    async def refuse(*_: object) -> NoReturn:
        raise _RedirectedError

    guard = aiohttp.TraceConfig()
    guard.on_request_redirect.append(refuse)
    return guard


async def _pass_both_ways(
    connection: aiohttp.ClientWebSocketResponse,
    receive: Receive,
    send: Send,
    stays_here: Callable[[], bool],
) -> None:
    async with connection:
        await send({"type": "websocket.accept", "subprotocol": connection.protocol})
        tasks = [
            asyncio.create_task(_to_service(receive, connection, stays_here)),
            asyncio.create_task(_to_client(connection, send)),
            asyncio.create_task(_wait_for(stays_here)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if stays_here():
            with contextlib.suppress(RuntimeError):  # the client was first
                await send({"type": "websocket.close", "code": _POLICY})


async def _refuse(
    scope: Scope, send: Send, status: int, message: str, said: Mapping[str, str] = _NOTHING
) -> None:
    """Answer the handshake; a server that can only close it would say 403, as to a wrong key."""
    if _ANSWER not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _TRY_AGAIN})
        return
    headers = [
        (b"content-type", b"application/json; charset=UTF-8"),
        (b"x-understudy-served-by", b"none"),
    ]
    if wait := said.get("Retry-After"):
        headers.append((b"retry-after", wait.encode("latin-1")))
    await send({"type": f"{_ANSWER}.start", "status": status, "headers": headers})
    body = dialect_of(scope["path"], is_openai_client=True).write_error(status, message)
    await send({"type": f"{_ANSWER}.body", "body": body})


async def _wait_for(stays_here: Callable[[], bool]) -> None:
    while not stays_here():
        await asyncio.sleep(_POLL_SECONDS)


def _headers(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    return CIMultiDict(
        (name, value) for name, value in headers.items() if not name.startswith(_HANDSHAKE)
    )


async def _to_service(
    receive: Receive,
    connection: aiohttp.ClientWebSocketResponse,
    stays_here: Callable[[], bool],
) -> None:
    while True:
        message: Message = await receive()
        if stays_here():
            return
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
