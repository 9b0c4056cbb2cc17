"""What the gateway itself answers under `/understudy/`: page, metrics, readiness, reload."""

import contextlib
import dataclasses
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jinja2
import pydantic
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from reports.typeset import typeset
from serving.gateway.exchange import Exchange
from serving.gateway.gateway import Gateway
from serving.gateway.kept_mode import ExpectedMode
from serving.gateway.metrics import CONTENT_TYPE
from serving.gateway.mode_needs import ModeError
from serving.gateway.model_server import ModelFailedError
from serving.gateway.modes import FAILOVER
from serving.gateway.plan import PRIVATE
from serving.gateway.reload import Reloader, ReloadError
from serving.gateway.upstream import NO_LOCATION, SERVICE, name_of

PREFIX = "/understudy"
_TEMPLATES = Path(__file__).parent / "templates"

Handler = Callable[[Request], Awaitable[Response]]


@dataclasses.dataclass
class Readiness:
    """Whether every tuned model has answered since the start.

    Attributes:
        is_ready: Whether it has.
        problem: Why not; empty while the first answer is awaited.
    """

    is_ready: bool = False
    problem: str = ""


class _AskedMode(pydantic.BaseModel, extra="forbid"):
    mode: str
    canary_percent: float | None = None
    set_by: str = "serve mode"
    expected: ExpectedMode | None = None
    keeps_private: bool = False  # whether `private` stays, as its requests are to stay here


class _AskedSample(pydantic.BaseModel, extra="forbid"):
    task: str
    text: str


class _AskedAlarm(pydantic.BaseModel, extra="forbid"):
    name: str
    raised: bool
    text: str


def make_router(gateway: Gateway, reloader: Reloader, readiness: Readiness) -> Router:
    """Return the routes under `/understudy/`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["typeset"] = typeset
    template = environment.get_template("page.html.j2")

    async def page(request: Request) -> Response:
        await _look(gateway)
        return HTMLResponse(template.render(status=status_of(gateway, readiness)))

    async def status(request: Request) -> Response:
        await _look(gateway)
        return JSONResponse(status_of(gateway, readiness))

    async def metrics(request: Request) -> Response:
        return Response(gateway.metrics.text(), media_type=CONTENT_TYPE)

    async def ready(request: Request) -> Response:
        body = {"ready": readiness.is_ready, "problem": readiness.problem}
        return JSONResponse(body, status_code=200 if readiness.is_ready else 503)

    async def reload(request: Request) -> Response:
        return await _reload(request, reloader)

    async def mode(request: Request) -> Response:
        return await _mode(request, gateway)

    async def sample(request: Request) -> Response:
        return await _sample(request, gateway)

    async def alarm(request: Request) -> Response:
        return await _alarm(request, gateway)

    def at(path: str, handler: Handler, *methods: str) -> Route:
        asked = _json_only(handler) if methods else handler
        return Route(f"{PREFIX}{path}", asked, methods=list(methods or ("GET",)))

    return Router(
        [
            at("/", page),
            at("/status", status),
            at("/metrics", metrics),
            at("/ready", ready),
            at("/reload", reload, "POST"),
            at("/mode", mode, "POST"),
            at("/sample", sample, "POST"),
            at("/alarm", alarm, "POST"),
        ]
    )


async def _look(gateway: Gateway) -> None:
    """Look around; a failure, which the look of each second prints, hides no page."""
    with contextlib.suppress(Exception):
        await gateway.look_around()


def _json_only(handler: Handler) -> Handler:
    """Refuse what another site's page could send: a form, but no JSON (request forgery)."""

    async def checked(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind != "application/json":
            return JSONResponse({"error": "Send Content-Type: application/json."}, status_code=415)
        return await handler(request)

    return checked


def status_of(gateway: Gateway, readiness: Readiness) -> dict[str, Any]:
    """Return what the page shows, as plain values."""
    service = gateway.settings.service
    assert service is not None
    backends = gateway.breakers.backends()
    # The first one that fails; `service` where none does. A caller's typing error is none.
    failing = (name for name, it in backends.items() if it.state != "closed")
    backend = next((name for name in failing if name != NO_LOCATION), SERVICE)
    breaker = backends[backend]
    served = gateway.served
    return {
        "ready": readiness.is_ready,
        "problem": readiness.problem,
        "service": {
            "provider": service.provider,
            "backend": backend,
            "name": name_of(backend),
            "breaker": breaker.state,
            "reason": breaker.reason,
            "seconds_left": round(breaker.seconds_left(), 1),
        },
        "mode": gateway.modes.current.model_dump(),
        "answered_by": dict(gateway.counts),
        "keys_refused_or_limited": sum(it.state != "closed" for it in gateway.breakers.of_keys()),
        "tasks": [
            {
                "name": task.name,
                "model": task.model,
                "version": task.model_version,
                "match": task.match,
                "match_share": round(gateway.shares.share(task.name), 3),
                "waiting": served.models[task.name].slots.waiting,
                "answering": served.models[task.name].slots.answering,
                "breaker": served.models[task.name].breaker.state,
            }
            for task in served.tasks
        ],
        "alarms": [alarm._asdict() for alarm in gateway.alarms.raised],
        "recent": [_shown(exchange) for exchange in reversed(gateway.recent)],
    }


def _shown(exchange: Exchange) -> dict[str, Any]:
    return {name: value for name, value in exchange._asdict().items() if name != "content"}


async def _mode(request: Request, gateway: Gateway) -> Response:
    modes = gateway.modes
    try:
        asked = _AskedMode.model_validate_json(await request.body())
    except ValueError:
        return JSONResponse({"error": 'The body is not {"mode": MODE}.'}, status_code=400)
    if asked.mode != FAILOVER or asked.expected or asked.keeps_private:
        await gateway.files.look_at_mode()  # another gateway may have changed it since
    if asked.keeps_private and modes.current.mode == PRIVATE:
        return JSONResponse({**modes.current.model_dump(), "warning": ""})
    wanted = (asked.mode, asked.canary_percent, asked.set_by, asked.expected)
    try:
        state = await modes.change_beside(gateway.files.in_thread, *wanted)
    except ModeError as error:
        return JSONResponse({"error": str(error)}, status_code=409)
    return JSONResponse({**state.model_dump(), "warning": modes.warning})


async def _sample(request: Request, gateway: Gateway) -> Response:
    try:
        asked = _AskedSample.model_validate_json(await request.body())
    except ValueError:
        return JSONResponse({"error": "The body has no task and text."}, status_code=400)
    model = gateway.served.models.get(asked.task)
    if model is None:
        return JSONResponse({"error": f"No task {asked.task!r} is served."}, status_code=404)
    try:
        answer = await model.sample(asked.text)
    except ModelFailedError as error:
        return JSONResponse({"error": str(error)}, status_code=503)
    task = model.task
    return JSONResponse(
        {"text": answer.text, "round": task.round, "model_version": task.model_version}
    )


async def _alarm(request: Request, gateway: Gateway) -> Response:
    try:
        asked = _AskedAlarm.model_validate_json(await request.body())
    except ValueError:
        return JSONResponse({"error": "The body has no name, raised and text."}, status_code=400)
    gateway.kept_alarms.set(asked.name, asked.text, is_raised=asked.raised)
    await gateway.files.save_alarms()
    return JSONResponse({"alarm": asked.name, "raised": asked.raised})


async def _reload(request: Request, reloader: Reloader) -> Response:
    try:
        values = json.loads(await request.body() or b"{}")
        number = values.get("round")
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise TypeError
    except (ValueError, TypeError, AttributeError):
        return JSONResponse({"error": 'The body is not {"round": NUMBER}.'}, status_code=400)
    try:
        return JSONResponse({"serving": await reloader.reload(number)})
    except ReloadError as error:
        return JSONResponse({"error": str(error)}, status_code=409)
