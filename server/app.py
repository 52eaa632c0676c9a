"""The replica's HTTP application: the engine's endpoints behind the gate, ours in FastAPI, one token for both."""

import hmac
import time
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from patchbay.core.asgi import Receive, Scope, Send, header
from patchbay.core.error_bodies import openai_body
from patchbay.core.errors import InvalidRequest, MethodNotAllowed, ModelNotFound, NotFound, RequestError, Unauthorized
from patchbay.core.names import NAME_PATTERN
from patchbay.core.replica import ReplicaStatus, RevisionStatus
from patchbay.registry.records import FileRecord
from patchbay.server.gate import ENDPOINTS, EngineGate, send_error
from patchbay.server.replica import ServingReplica
from patchbay.server.staging import RevisionSpec

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
Name = Annotated[str, PathParameter(pattern=f"^{NAME_PATTERN}$")]
Reference = Annotated[str, PathParameter(pattern=f"^{NAME_PATTERN}(@[1-9][0-9]{{0,8}})?$")]


_SHA256 = r"^[0-9a-f]{64}$"


class FileRequest(BaseModel):
    """One file of a revision, named as the artifact store knows it: by path, SHA-256 and size in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=1024)
    sha256: str = Field(pattern=_SHA256)
    size: int = Field(ge=0)


class AdapterRequest(BaseModel):
    """The body of `PUT /internal/adapters/{name}`: a revision, its files in the artifact store, and how to keep it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int = Field(ge=1, le=999_999_999)
    digest: str = Field(pattern=_SHA256)
    files: tuple[FileRequest, ...] = Field(min_length=1, max_length=4096)
    base: str | None = None
    load: bool = True
    pin: bool = False

    def spec(self, adapter: str) -> RevisionSpec:
        """Converts the request into the specification that the replica takes, for the adapter of that name."""
        files = tuple(FileRecord(name=file.name, sha256=file.sha256, size=file.size) for file in self.files)
        return RevisionSpec(
            adapter=adapter,
            number=self.revision,
            digest=self.digest,
            files=files,
            base=self.base,
            load=self.load,
            pin=self.pin,
        )


class ServerApp:
    """The application of a replica, in plain ASGI: checks the token, then dispatches to the gate or to FastAPI."""

    def __init__(self, replica: ServingReplica) -> None:
        token = replica.config.token
        self._authorization = f"Bearer {token.get_secret_value()}".encode() if token else None
        self._gate = EngineGate(replica)
        self._control = build_control(replica)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._control(scope, receive, send)
            return
        try:
            self._authorize(scope)
            await self._dispatch(scope, receive, send)
        except RequestError as error:
            await send_error(send, error)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in ENDPOINTS:
            await self._control(scope, receive, send)
            return
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['path']} takes POST.", allow="POST")
        await self._gate(scope, receive, send)

    def _authorize(self, scope: Scope) -> None:
        if self._authorization is None or scope["path"] in _OPEN_PATHS:
            return
        presented = header(scope["headers"], b"authorization") or b""
        if not hmac.compare_digest(presented, self._authorization):
            raise Unauthorized("This replica needs its token.", hint="Send it as 'Authorization: Bearer …'.")


def build_control(replica: ServingReplica) -> FastAPI:
    """Builds the FastAPI application of `replica`: health, metrics, models and the internal API."""
    app = FastAPI(title="Patchbay replica", openapi_url="/internal/openapi.json", docs_url=None, redoc_url=None)
    _add_errors(app)
    _add_health(app, replica)
    _add_state(app, replica)
    _add_models(app, replica)
    _add_adapters(app, replica)
    return app


def _add_errors(app: FastAPI) -> None:
    def render(error: RequestError) -> Response:
        return Response(openai_body(error), error.status, error.headers(), "application/json")

    @app.exception_handler(RequestError)
    async def on_request_error(_request: Request, error: RequestError) -> Response:
        return render(error)

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        param = ".".join(str(part) for part in first["loc"][1:])
        return render(InvalidRequest(f"{param or 'body'}: {first['msg']}", param=param or None))

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            allow = (error.headers or {}).get("Allow", "")
            return render(MethodNotAllowed(f"{request.url.path} takes {allow}.", allow=allow))
        if error.status_code == 400:
            return render(InvalidRequest("The request body could not be read as JSON."))
        return render(NotFound(f"There is nothing at {request.url.path}."))


def _add_health(app: FastAPI, replica: ServingReplica) -> None:
    @app.get("/healthz")
    async def health(response: Response) -> dict[str, str]:
        if (failure := replica.failure) is not None:
            response.status_code = 503
            return {"status": "dead", "detail": f"The engine died: {failure}"}
        return {"status": "ok"}

    @app.get("/readyz")
    async def ready(response: Response) -> dict[str, str]:
        response.status_code = 200 if replica.phase == "ready" else 503
        detail = "the engine is dead" if replica.failure is not None else replica.detail
        return {"phase": replica.phase, "detail": detail}


def _add_state(app: FastAPI, replica: ServingReplica) -> None:
    @app.get("/metrics")
    async def metrics() -> Response:
        if replica.phase != "starting":
            status = await replica.status()
            for tier in ("disk", "cpu", "slot"):
                count = sum(revision.tier == tier for revision in status.revisions)
                replica.metrics.adapters.labels(tier=tier).set(count)
        return Response(replica.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/internal/status")
    async def status() -> ReplicaStatus:
        return await replica.status()

    @app.post("/internal/drain", status_code=202)
    async def drain() -> dict[str, Any]:
        replica.drain()
        return {"phase": replica.phase, "in_flight": replica.in_flight}


def _add_models(app: FastAPI, replica: ServingReplica) -> None:
    created = int(time.time())

    def cards() -> list[dict[str, Any]]:
        base = replica.engine.base
        common = {"object": "model", "created": created, "owned_by": "patchbay"}
        base_card = {
            "id": base.name,
            **common,
            "root": base.source,
            "parent": None,
            "max_model_len": base.max_model_len,
        }
        entries = [entry for entry in replica.slots.entries if not entry.leaving]
        # A revision answers to its own name, and the newest of an adapter to the adapter's, because entries are sorted.
        names = {name: entry for entry in entries for name in (entry.adapter, entry.name)}
        adapter_cards = [
            {"id": name, **common, "root": names[name].engine_name, "parent": base.name} for name in sorted(names)
        ]
        return [base_card, *adapter_cards]

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": cards()}

    @app.get("/v1/models/{model}")
    async def model(model: str) -> dict[str, Any]:
        for card in cards():
            if card["id"] == model:
                return card
        raise ModelNotFound(model)


def _add_adapters(app: FastAPI, replica: ServingReplica) -> None:
    @app.get("/internal/adapters")
    async def adapters() -> dict[str, tuple[RevisionStatus, ...]]:
        return {"data": (await replica.status()).revisions}

    @app.put("/internal/adapters/{name}")
    async def put_adapter(name: Name, body: AdapterRequest) -> RevisionStatus:
        return await replica.describe(await replica.put_adapter(body.spec(name)))

    @app.delete("/internal/adapters/{reference}")
    async def delete_adapter(reference: Reference) -> dict[str, list[str]]:
        return {"removed": list(await replica.remove_adapter(reference))}

    @app.get("/internal/base")
    async def base() -> dict[str, Any]:
        layout = replica.base
        return {"fingerprint": layout.fingerprint if layout else None, "layout": layout.to_json() if layout else None}
