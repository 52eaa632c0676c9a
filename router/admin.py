"""The admin port: health, metrics, and a look at the replicas. Not the data path, so FastAPI."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from adapters.errors import MethodNotAllowed, NotFound, RequestError, openai_body
from router.fleet import Fleet
from router.keys import KeyRing
from router.metrics import CONTENT_TYPE, Metrics
from router.proxy import Proxy
from router.snapshot import Replica

Admitted = Callable[[Request], Awaitable[None]]


def build_admin(
    proxy: Proxy, fleet: Fleet, metrics: Metrics, drain: Callable[[], None], token: str | None = None
) -> FastAPI:
    """The admin application. `drain`: begins the router's end; `token`: asked for on every path but health."""
    keys = KeyRing([token] if token is not None else [])

    async def admitted(request: Request) -> None:
        keys.check(request.scope["headers"])

    app = FastAPI(title="Patchbay router", docs_url=None, redoc_url=None, openapi_url=None)
    _add_health(app, proxy)
    _add_control(app, proxy, fleet, drain, admitted)

    @app.get("/metrics", dependencies=[Depends(admitted)])
    async def read_metrics() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    app.add_exception_handler(RequestError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    return app


def _add_health(app: FastAPI, proxy: Proxy) -> None:
    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def ready() -> JSONResponse:
        status = "ready" if proxy.ready else "draining" if proxy.draining else "unavailable"
        return JSONResponse({"status": status}, status_code=200 if proxy.ready else 503)


def _add_control(app: FastAPI, proxy: Proxy, fleet: Fleet, drain: Callable[[], None], admitted: Admitted) -> None:
    @app.get("/admin/v1/replicas", dependencies=[Depends(admitted)])
    async def list_replicas() -> dict[str, list[dict[str, Any]]]:
        return {"replicas": [_described(replica, proxy) for replica in fleet.view.replicas]}

    @app.post("/admin/v1/drain", dependencies=[Depends(admitted)], status_code=202)
    async def start_drain() -> dict[str, Any]:
        in_flight = proxy.in_flight
        drain()
        return {"status": "draining", "in_flight": in_flight}


def _described(replica: Replica, proxy: Proxy) -> dict[str, Any]:
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
        "in_flight": proxy.at_replica(replica.name),
        "load": replica.load,
    }


async def _answer_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        raise error
    return Response(openai_body(error), error.status, error.headers(), "application/json")


async def _answer_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return await _answer_error(request, MethodNotAllowed(f"Not allowed: {request.method}.", allow=allow))
    return await _answer_error(request, NotFound(f"Invalid URL ({request.method} {request.url.path[:200]})."))
