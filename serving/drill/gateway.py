"""A gateway for a drill: the real one on a free port, and who it says has answered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx

from serving.gateway.app import create_app
from serving.gateway.exchange import Exchange
from serving.gateway.server import listen, make_server
from serving.gateway.task import ServedTask
from serving.settings import ServingSettings

_POLL_SECONDS = 0.01
_LOOPBACK = "127.0.0.1"


@contextlib.asynccontextmanager
async def running_gateway(
    settings: ServingSettings,
    task: ServedTask,
    *,
    service_url: str,
    state_dir: Path,
    on_exchange: Callable[[Exchange], None],
) -> AsyncIterator[str]:
    """Run a gateway; yields its URL.

    Args:
        settings: Of the preset.
        task: The only one that is served.
        service_url: Where it is to find the service.
        state_dir: Where it keeps the hashes of keys.
        on_exchange: See `create_app`.
    """
    assert settings.service
    service = settings.service.model_copy(update={"base_url": service_url})
    own = settings.model_copy(
        update={"service": service, "host": _LOOPBACK, "key_env": None, "alert_url": None}
    )
    app = create_app(own, [task], state_dir=state_dir, on_exchange=on_exchange)
    with listen(_LOOPBACK, 0) as listener:
        server = make_server(app)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            url = f"http://{_LOOPBACK}:{listener.getsockname()[1]}"
            await _ready(url)
            yield url
        finally:
            server.should_exit = True
            await serving


async def _ready(url: str) -> None:
    """Wait until the tuned model has answered the gateway."""
    async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
        while not (await client.get(f"{url}/understudy/ready")).is_success:
            await asyncio.sleep(_POLL_SECONDS)
