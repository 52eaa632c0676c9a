"""The admin port's application: health, metrics, and the API of replicas, routes, adapters and canaries.

It is not the data path, so it can afford FastAPI.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from patchbay.core.asgi import ASGIApp, Message, Receive, Scope, Send
from patchbay.core.distribution import own_version
from patchbay.core.error_bodies import openai_body
from patchbay.core.errors import (
    ConfigError,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotFound,
    NotFound,
    RequestError,
    UpstreamFailed,
)
from patchbay.core.thread_pools import Threads
from patchbay.router.admin.adapters import add_adapters
from patchbay.router.admin.canaries import CanaryParts, add_canaries
from patchbay.router.admin.docs import add_docs
from patchbay.router.admin.field_errors import body_model, refused
from patchbay.router.admin.request_check import AdminRequestCheck
from patchbay.router.admin.roles import Allowed
from patchbay.router.canary.live import LiveCanaries
from patchbay.router.control.control import Control
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Replica
from patchbay.router.http.origin_check import OriginCheck
from patchbay.router.request.public_app import PublicApp
from patchbay.router.request.shadow import AnswerPair
from patchbay.router.routes.config import AUTO
from patchbay.router.routes.facts import RequestFacts
from patchbay.router.routes.table import RouteTable
from patchbay.router.settings.policy import PolicyHolder
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.tenants.role_keys import RoleRing

_log = logging.getLogger("patchbay.router")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminParts:
    """The parts of the router that the admin port shows and changes.

    `drain`: begins the router's end; `keys`: needed on every path but health; `door`: checks the origin of requests;
    `control`: None without a registry.
    """

    public_app: PublicApp
    fleet: Fleet
    metrics: Metrics
    drain: Callable[[], None]
    keys: RoleRing
    policy: PolicyHolder
    live_canaries: LiveCanaries
    door: OriginCheck
    control: Control | None = None


def build_admin(parts: AdminParts) -> FastAPI:
    """Builds the admin application."""
    allowed = Allowed(parts.keys)
    app = FastAPI(title="Patchbay router", version=own_version(), docs_url=None, redoc_url=None, openapi_url=None)
    _add_health(app, parts.public_app)
    _add_policy(app, parts.policy, allowed)

    @app.get("/admin/v1/shadow", dependencies=[Depends(allowed.operator)])
    async def list_pairs() -> dict[str, Any]:
        return {"pairs": [{**asdict(pair), **_texts(pair)} for pair in parts.public_app.pairs]}

    _add_control(app, parts.public_app, parts.fleet, parts.drain, allowed)
    if parts.control is not None:
        add_adapters(app, parts.control, allowed)
        add_canaries(app, CanaryParts(parts.control, parts.live_canaries), allowed)
    add_docs(app, allowed)

    # Writing many series takes a while, and streams must not wait for it.
    writers = Threads("metrics", 1, waiting=15)

    @app.get("/metrics", dependencies=[Depends(allowed.viewer)])
    async def read_metrics(request: Request) -> Response:
        accept = ",".join(request.headers.getlist("accept"))
        body, content_type = await writers.run(parts.metrics.exposition, accept)
        return Response(body, media_type=content_type)

    app.add_middleware(Faults, metrics=parts.metrics)
    app.add_middleware(AdminRequestCheck, door=parts.door)
    app.add_exception_handler(RequestError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(UnicodeEncodeError, _answer_no_text)
    return app


def _add_health(app: FastAPI, public_app: PublicApp) -> None:
    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def ready() -> JSONResponse:
        status = "ready" if public_app.ready else "draining" if public_app.draining else "unavailable"
        return JSONResponse({"status": status}, status_code=200 if public_app.ready else 503)


class Explained(BaseModel):
    """The body of `POST /admin/v1/routes/explain`: a text, and how it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(max_length=100_000)
    model: str = AUTO
    caller: str = ""


def _add_policy(app: FastAPI, policy: PolicyHolder, allowed: Allowed) -> None:
    @app.get("/admin/v1/routes", dependencies=[Depends(allowed.viewer)])
    async def list_routes() -> dict[str, Any]:
        return {"version": policy.policy.number, "routes": routes_shown(policy.policy.table)}

    @app.post("/admin/v1/routes/explain", dependencies=[Depends(allowed.viewer)])
    async def explain(given: Explained) -> dict[str, Any]:
        table = policy.policy.table
        if not table.knows(given.model):
            raise ModelNotFound(given.model[:200])
        choice = table.choose(given.model, RequestFacts(text=given.text, caller=f"user:{given.caller}".encode()))
        return {"route": choice.route, "model": choice.model, "arm": choice.arm, "why": list(choice.why)}

    @app.post("/admin/v1/reload", dependencies=[Depends(allowed.operator)])
    async def reload() -> dict[str, Any]:
        try:
            done = await policy.reload()
        except ConfigError as error:
            raise InvalidRequest(str(error)) from error
        return {
            "version": done.policy.number,
            "routes": sorted(done.policy.table.routes),
            "changed": done.changed,
            "needs_restart": done.restart,
            "warnings": done.warnings,
        }


def _texts(pair: AnswerPair) -> dict[str, str]:
    return {
        "answer": pair.answer.decode(errors="replace"),
        "shadow_answer": pair.shadow_answer.decode(errors="replace"),
    }


def routes_shown(table: RouteTable) -> list[dict[str, Any]]:
    """Lists the routes as JSON, by name."""
    return [
        {
            "name": name,
            "arms": [{"name": arm.label, "model": arm.model, "weight": arm.weight} for arm in route.arms],
            "template": f"{route.template.id}@{route.template.version}" if route.template else None,
            "fallbacks": list(route.fallbacks),
            "description": route.description,
        }
        for name, route in sorted(table.routes.items())
    ]


def _add_control(
    app: FastAPI, public_app: PublicApp, fleet: Fleet, drain: Callable[[], None], allowed: Allowed
) -> None:
    @app.get("/admin/v1/replicas", dependencies=[Depends(allowed.viewer)])
    async def list_replicas() -> dict[str, list[dict[str, Any]]]:
        return {"replicas": [_described(replica, public_app) for replica in fleet.view.replicas]}

    @app.post("/admin/v1/drain", dependencies=[Depends(allowed.admin)], status_code=202)
    async def start_drain() -> dict[str, Any]:
        in_flight = public_app.in_flight
        drain()
        return {"status": "draining", "in_flight": in_flight}


def _described(replica: Replica, public_app: PublicApp) -> dict[str, Any]:
    catalog = replica.catalog
    return {
        "name": replica.name,
        "url": replica.url,
        "state": replica.state,
        "reason": replica.reason,
        "kind": None if catalog is None else "openai" if catalog.plain else "patchbay",
        "base": catalog.base if catalog else None,
        "models": [model.id for model in catalog.models] if catalog else [],
        "revisions": [
            {
                "name": f"{revision.adapter}@{revision.number}",
                "engine_name": revision.engine_name,
                "state": revision.state,
            }
            for revision in (catalog.revisions if catalog else ())
        ],
        "in_flight": public_app.at_replica(replica.name),
        "load": replica.load,
        "kv_use": replica.kv_use,
        "circuit": "open" if public_app.circuit_open(replica.name) else "closed",
    }


class Faults:
    """The admin port's outermost layer: unexpected errors are logged, counted, and answered in the usual form."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:  # noqa: BLE001 - the outermost loop of a request: logged and counted
            _log.exception("the admin port failed at %s %s", scope.get("method"), scope.get("path"))
            self._metrics.process.fault("admin")
            if not begun:
                error = UpstreamFailed("This router failed at the request. Its log says more.")
                headers = [(b"content-type", b"application/json")]
                await send({"type": "http.response.start", "status": 500, "headers": headers})
                await send({"type": "http.response.body", "body": openai_body(error)})


async def _answer_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        raise error
    return Response(openai_body(error), error.status, error.headers(), "application/json")


async def _answer_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return await _answer_error(request, refused(error.errors(), body_model(request.scope.get("route"))))


async def _answer_no_text(request: Request, error: Exception) -> Response:
    """Answers a body with half a surrogate pair. JSON can hold it and UTF-8 cannot, so quoting it fails."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return await _answer_error(request, InvalidRequest("The request body has text that is not valid Unicode."))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return await _answer_error(request, MethodNotAllowed(f"Not allowed: {request.method}.", allow=allow))
    if error.status_code == 400:
        return await _answer_error(request, InvalidRequest("The request body could not be read as JSON."))
    return await _answer_error(request, NotFound(f"Invalid URL ({request.method} {request.url.path[:200]})."))
