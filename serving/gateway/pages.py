"""What the gateway itself answers under `/understudy/`: page, metrics, readiness, reload."""

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

from serving.gateway.exchange import Exchange
from serving.gateway.gateway import Gateway
from serving.gateway.local_model import ModelFailedError
from serving.gateway.metrics import CONTENT_TYPE
from serving.gateway.modes import ExpectedMode, ModeError
from serving.gateway.reload import Reloader, ReloadError

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
    template = environment.get_template("page.html.j2")

    async def page(request: Request) -> Response:
        await gateway.look_around()
        return HTMLResponse(template.render(status=status_of(gateway, readiness)))

    async def status(request: Request) -> Response:
        await gateway.look_around()
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
    breaker = gateway.breakers.service
    served = gateway.served
    return {
        "ready": readiness.is_ready,
        "problem": readiness.problem,
        "service": {
            "provider": service.provider,
            "breaker": breaker.state,
            "reason": breaker.reason,
            "seconds_left": round(breaker.seconds_left(), 1),
        },
        "mode": gateway.modes.current.model_dump(),
        "answered_by": dict(gateway.counts),
        "keys_refused_or_limited": sum(b.state != "closed" for b in gateway.breakers.all())
        - (breaker.state != "closed"),
        "tasks": [
            {
                "name": task.name,
                "model": task.model,
                "version": task.model_version,
                "match": task.match,
                "match_share": round(gateway.shares[task.name].share, 3)
                if task.name in gateway.shares
                else 0.0,
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
    await gateway.look_around()  # another gateway may have changed it since
    try:
        asked = _AskedMode.model_validate_json(await request.body())
    except ValueError:
        return JSONResponse({"error": 'The body is not {"mode": MODE}.'}, status_code=400)
    try:
        state = modes.change(asked.mode, asked.canary_percent, asked.set_by, asked.expected)
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
    gateway.alarms.set(f"watch:{asked.name}", asked.raised, asked.text)
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
