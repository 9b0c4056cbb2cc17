"""The gateway as an ASGI application."""

import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.gateway import websocket
from serving.gateway.client_side import Client, ClientLeftError, Header
from serving.gateway.error_log import print_error
from serving.gateway.exchange import Exchange
from serving.gateway.failover import AnswerRequest
from serving.gateway.gateway import Gateway
from serving.gateway.jobs import Jobs
from serving.gateway.pages import PREFIX, Readiness, make_router
from serving.gateway.passthrough import (
    NoAnswerError,
    StaysHereError,
    body_of,
    is_openai_client,
    pass_through,
    searched_body_of,
)
from serving.gateway.plan import PRIVATE
from serving.gateway.protocols import dialect_of, recognize
from serving.gateway.protocols.base import Route
from serving.gateway.reload import ModelHost, Reloader
from serving.gateway.task import ServedTask
from serving.settings import ServingSettings, is_loopback

__all__ = ["ModelHost", "ServedTask", "create_app"]

_SERVED_BY_SERVICE: Sequence[Header] = (
    (b"x-understudy-served-by", b"service"),
    (b"x-understudy-reason", b"passed_through"),
)
_LOGIN: Header = (b"www-authenticate", b'Basic realm="Understudy", charset="UTF-8"')
_SERVED_BY_NONE: Sequence[Header] = (
    (b"content-type", b"application/json; charset=UTF-8"),
    (b"x-understudy-served-by", b"none"),
)
_BARE_URL = (
    "This request was posted to the base URL itself: with vertexai=True and a base_url of its own, "
    "google-genai adds the path only where project and location are given, too. Write "
    "genai.Client(vertexai=True, project=PROJECT, location=LOCATION, "
    "http_options={'base_url': ...})."
)


def create_app(
    settings: ServingSettings,
    tasks: Sequence[ServedTask],
    *,
    host: ModelHost | None = None,
    state_dir: Path | None = None,
    capture_folders: Mapping[str, Path] | None = None,
    on_exchange: Callable[[Exchange], None] | None = None,
    on_close: Callable[[], Awaitable[None]] | None = None,
    say: Callable[[str], None] = lambda text: None,
    on_readiness: Callable[[str], None] = lambda problem: None,
    clock: Callable[[], float] = time.monotonic,
    rng: random.Random | None = None,
) -> ASGIApp:
    """Make the gateway.

    Args:
        settings: With `service` set.
        tasks: In the order in which they are matched.
        host: Loads other rounds' models for `POST /understudy/reload`; None refuses it.
        state_dir: Keeps over restarts what was learned and chosen: the hashes of keys that
            succeeded, the mode and the round; None keeps it in memory.
        capture_folders: Where the exchanges of each task are captured; None for that of the
            settings, or one in `state_dir`, for all tasks.
        on_exchange: Called with every exchange; must return at once.
        on_close: Awaited after the last request when the server stops.
        say: Takes what a person is to know at the start.
        on_readiness: See `Jobs`.
        clock: Seconds, monotonic, for the breakers.
        rng: Draws the breakers' jitter.

    Returns:
        The application. At the ASGI startup event it begins to ask the tuned models a sample;
        `/understudy/ready` is 200 once all have answered.

    Raises:
        UserError: The settings lack something, or the gateway's own key is not set.
    """
    gateway = Gateway(
        settings,
        tasks,
        state_dir=state_dir,
        capture_folders=capture_folders,
        on_exchange=on_exchange,
        clock=clock,
        rng=rng,
    )
    say(gateway.modes.said)
    return _App(gateway, Reloader(gateway, host, state_dir), on_close, on_readiness)


class _App:
    def __init__(
        self,
        gateway: Gateway,
        reloader: Reloader,
        on_close: Callable[[], Awaitable[None]] | None,
        on_readiness: Callable[[str], None],
    ) -> None:
        self._gateway = gateway
        self._on_close = on_close
        readiness = Readiness()
        self._jobs = Jobs(gateway, readiness, on_readiness)
        self._pages = make_router(gateway, reloader, readiness)
        self._is_local = gateway.settings.is_local
        self._key = gateway.own_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = Client(scope, receive, send)
        try:
            is_own = client.path == PREFIX or client.path.startswith(f"{PREFIX}/")
            if not self._may_enter(scope, is_own=is_own):
                await self._turn_away(client, is_own=is_own)
            elif is_own:
                await self._pages(scope, receive, send)
            elif route := recognize(client.method, client.path, client.query):
                await self._answer(client, route)
            elif client.method == "POST" and client.path in ("", "/"):
                await self._say(client, 400, _BARE_URL)
            elif not client.path.startswith("/"):  # OPTIONS *
                await self._say(client, 400, "The request names no path.")
            else:
                await self._pass_through(client)
        except ClientLeftError:
            pass
        except Exception as error:  # its text may hold a key, so no server prints it
            print_error(error)
            if not client.has_begun:
                with contextlib.suppress(Exception):  # nor may a second one reach the server
                    await self._say(client, 500, "The gateway failed; its log says where.")

    async def _answer(self, client: Client, route: Route) -> None:
        if route.dialect.name != "openai" and self._gateway.upstream.provider == "openai":
            message = (
                "The service of this gateway speaks OpenAI's protocol, and requests are not "
                "translated on the way to the service. Use an OpenAI client, or set "
                "serving.service.provider to gemini."
            )
            await client.answer(400, list(_SERVED_BY_NONE), route.dialect.write_error(400, message))
            return
        await AnswerRequest(self._gateway, client, route).answer()

    async def _pass_through(self, client: Client) -> None:
        gateway = self._gateway
        if gateway.modes.is_service_off:
            await self._say(client, 503, "The service is off (serving.model_failover).")
            return
        try:
            body = await self._body_of(client)
            await pass_through(
                client, gateway.session(), gateway.upstream, _SERVED_BY_SERVICE, body
            )
        except StaysHereError as error:
            await self._say(client, 503, f"The request stays on this machine: {error}.")
        except NoAnswerError as error:
            fault = error.failure
            message = (
                f"The service gave no answer ({fault.fault}: {fault.text}). The tuned model "
                "answers requests of its task only."
            )
            await self._say(client, 503, message)

    async def _body_of(self, client: Client) -> Any:
        gateway = self._gateway
        if gateway.modes.current.mode == PRIVATE:
            return await searched_body_of(client, gateway.served.tasks)
        return await body_of(client)

    async def _say(
        self, client: Client, status: int, message: str, headers: Sequence[Header] = ()
    ) -> None:
        is_openais = self._gateway.upstream.provider == "openai" or is_openai_client(client)
        dialect = dialect_of(client.path, is_openai_client=is_openais)
        body = dialect.write_error(status, message)
        await client.answer(status, [*_SERVED_BY_NONE, *headers], body)

    def _may_enter(self, scope: Scope, *, is_own: bool = False) -> bool:
        """Whether a client is on this machine, or brings the gateway's own key.

        Args:
            scope: Of its request.
            is_own: Whether it is for a page of the gateway itself.
        """
        if not self._key.exists:
            return is_loopback((scope.get("client") or ("", 0))[0])
        is_given = self._key.opens_pages if is_own else self._key.is_given
        return self._is_local or is_given(scope["headers"])

    async def _turn_away(self, client: Client, *, is_own: bool) -> None:
        message = "Send the gateway's own key as x-understudy-key, which serving.key_env names."
        login = [_LOGIN] if is_own and self._key.exists else []
        await self._say(client, 401, message, login)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway

        def stays_here() -> bool:
            """Nobody searches a conversation by voice for personal data."""
            return gateway.modes.is_service_off or gateway.modes.current.mode == PRIVATE

        if stays_here() or not self._may_enter(scope):
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await websocket.relay(scope, receive, send, gateway.upstream, stays_here=stays_here)
        except Exception as error:  # its text may hold a key, so no server prints it
            print_error(error)
            with contextlib.suppress(Exception):  # it is closed already
                await send({"type": "websocket.close", "code": 1011})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        try:
            async with self._jobs.running():
                yield
        finally:
            await self._gateway.close()
            if self._on_close is not None:
                await self._on_close()
