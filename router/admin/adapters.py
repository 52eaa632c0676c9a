"""The admin API of adapters, `/admin/v1/adapters…`: the registry over HTTP. A change needs a role, and the audit names
its caller."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request
from fastapi import Path as PathParameter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from patchbay.adapters.lifecycle import Moved
from patchbay.adapters.publish import Pushed, PushRequest
from patchbay.core.errors import Conflict, InvalidRequest
from patchbay.core.names import NAME_PATTERN, revision_name
from patchbay.registry.records import (
    AdapterSettings,
    AdapterView,
    AuditEntry,
    Channel,
    ChannelRecord,
    Move,
    Placement,
    Provenance,
    ReplicaReport,
    Revision,
    Rollout,
)
from patchbay.router.admin.roles import Allowed
from patchbay.router.admin.threads import changing, threaded, translated
from patchbay.router.control.control import Control
from patchbay.router.tenants.role_keys import Caller

Name = Annotated[str, PathParameter(pattern=f"^{NAME_PATTERN}$")]
Number = Annotated[int, PathParameter(ge=1, le=999_999_999)]
# The largest number of a row in a database.
_LAST_ROW = 2**63 - 1
RowId = Annotated[int, PathParameter(ge=1, le=_LAST_ROW)]
_SUFFIXES = {
    "application/gzip": ".tar.gz",
    "application/x-gzip": ".tar.gz",
    "application/x-tar": ".tar",
    "application/zip": ".zip",
}


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PushBody(_Body):
    """A push from a URL that this router can reach. Files on its own disk and plain HTTP are not allowed."""

    source: str = Field(pattern=r"^(hf|oci|s3|gs|gcs|az|abfs|https)://")
    owner: str | None = None
    licence: str | None = None
    data_hash: str | None = None
    commit: str | None = None
    evaluations: dict[str, float] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    expires: AwareDatetime | None = None
    notes: str | None = None


class PromoteBody(_Body):
    """The revision that a channel should mean. `now`: skips staging and testing."""

    revision: int = Field(ge=1, le=999_999_999)
    channel: Channel = "stable"
    why: str | None = None
    now: bool = False


class RollbackBody(_Body):
    """A return to the previous revision. `now`: even where replicas no longer have it."""

    channel: Channel = "stable"
    why: str | None = None
    now: bool = False


class ReasonBody(_Body):
    """The reason of a change, for the audit."""

    why: str | None = None


class AdapterDetail(_Body):
    """An adapter, its revisions, their states on each replica, and the history of its channels."""

    adapter: AdapterView
    revisions: tuple[Revision, ...]
    placements: tuple[Placement, ...]
    history: tuple[Move, ...]


def add_adapters(app: FastAPI, control: Control, allowed: Allowed) -> None:
    """Adds everything under `/admin/v1/adapters`, the audit, and the replicas' reports."""
    _add_reading(app, control, allowed)
    _add_records(app, control, allowed)
    _add_pushing(app, control, allowed)
    _add_moving(app, control, allowed)
    _add_keeping(app, control, allowed)
    _add_accepting(app, control, allowed)


def _add_reading(app: FastAPI, control: Control, allowed: Allowed) -> None:
    registry, viewer = control.registry, [Depends(allowed.viewer)]

    @app.get("/admin/v1/adapters", dependencies=viewer, tags=["adapters"])
    async def list_adapters() -> tuple[AdapterView, ...]:
        """Lists every adapter with its channels."""
        return await threaded(control, registry.adapters)

    @app.get("/admin/v1/adapters/{name}", dependencies=viewer, tags=["adapters"])
    async def show_adapter(name: Name) -> AdapterDetail:
        """Shows an adapter with its revisions, their states on replicas, and its history."""
        return await threaded(control, _detail, control, name)

    @app.get("/admin/v1/adapters/{name}/revisions/{number}", dependencies=viewer, tags=["adapters"])
    async def show_revision(name: Name, number: Number) -> Revision:
        """Shows a revision."""
        return await threaded(control, registry.revision, name, number)


def _add_records(app: FastAPI, control: Control, allowed: Allowed) -> None:
    registry, viewer = control.registry, [Depends(allowed.viewer)]

    @app.get("/admin/v1/rollouts/{rollout}", dependencies=viewer, tags=["adapters"])
    async def show_rollout(rollout: RowId) -> Rollout:
        """Shows the state of a promotion."""
        return await threaded(control, registry.rollout, rollout)

    @app.get("/admin/v1/reports", dependencies=viewer, tags=["replicas"])
    async def list_reports() -> tuple[ReplicaReport, ...]:
        """Lists every replica as the reconciler last saw it, with the state of each revision on it."""
        return await threaded(control, registry.reports)

    @app.get("/admin/v1/audit", dependencies=viewer, tags=["audit"])
    async def read_audit(
        subject: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[int | None, Query(ge=1, le=_LAST_ROW)] = None,
    ) -> tuple[AuditEntry, ...]:
        """Lists who did what, the newest first. `before`: the id of the entry to go on from."""
        return await threaded(control, registry.audit, subject=subject, limit=limit, before=before)


def _add_pushing(app: FastAPI, control: Control, allowed: Allowed) -> None:
    pushes = control.pushes

    @app.post("/admin/v1/adapters/{name}/revisions", status_code=201, tags=["adapters"])
    async def push_source(
        name: Name, body: PushBody, request: Request, caller: Annotated[Caller, Depends(allowed.publisher)]
    ) -> Pushed:
        """Makes a revision of the adapter at a URL. The same bytes again are the same revision."""
        fields = body.model_dump()
        wanted = PushRequest(name, fields.pop("source"), Provenance(**fields))
        with translated(), pushes.place():
            async with _leaving(request) as left:
                return await pushes.push(wanted, actor=caller.name, left=left)

    @app.post("/admin/v1/adapters/{name}/upload", status_code=201, tags=["adapters"])
    async def push_upload(
        name: Name, request: Request, caller: Annotated[Caller, Depends(allowed.publisher)], notes: str | None = None
    ) -> Pushed:
        """Makes a revision of the archive in the body: `application/gzip`, `application/zip` or `application/x-tar`."""
        suffix, limit = _suffix_of(request), control.settings.limits.folder_bytes
        provenance = Provenance(source=f"uploaded by {caller.name}", notes=notes)
        with translated(), pushes.place():
            async with pushes.received(request.stream(), suffix, limit) as archive, _leaving(request) as left:
                wanted = PushRequest(name, str(archive), provenance)
                return await pushes.push(wanted, actor=caller.name, left=left)


def _add_moving(app: FastAPI, control: Control, allowed: Allowed) -> None:
    operator = Depends(allowed.operator)

    @app.post("/admin/v1/adapters/{name}/promote", status_code=202, tags=["channels"])
    async def promote(name: Name, body: PromoteBody, caller: Annotated[Caller, operator]) -> Moved:
        """Stages a revision on every replica, tests it there, then makes the channel mean it."""
        reference = revision_name(name, body.revision)
        return await changing(
            control, control.lifecycle.promote, reference, body.channel, actor=caller.name, why=body.why, now=body.now
        )

    @app.post("/admin/v1/adapters/{name}/rollback", status_code=202, tags=["channels"])
    async def rollback(name: Name, body: RollbackBody, caller: Annotated[Caller, operator]) -> Moved:
        """Makes the channel mean its previous revision: at once, where replicas still have it."""
        return await changing(
            control, control.lifecycle.rollback, name, body.channel, actor=caller.name, why=body.why, now=body.now
        )

    @app.delete("/admin/v1/adapters/{name}/channels/{channel}", tags=["channels"])
    async def clear(name: Name, channel: Channel, caller: Annotated[Caller, operator]) -> ChannelRecord:
        """Empties a channel. An adapter whose `stable` is empty is not served."""
        moved = await changing(control, control.lifecycle.clear, name, channel, actor=caller.name)
        if moved.channel is None:
            raise Conflict(f"The channel '{channel}' of {name} is not cleared yet.")
        return moved.channel


def _add_keeping(app: FastAPI, control: Control, allowed: Allowed) -> None:
    registry, operator = control.registry, Depends(allowed.operator)

    @app.post("/admin/v1/adapters/{name}/revisions/{number}/retire", tags=["adapters"])
    async def retire(name: Name, number: Number, body: ReasonBody, caller: Annotated[Caller, operator]) -> Revision:
        """Retires a revision that no channel means. It leaves every replica, and its number is never used again."""
        return await changing(control, registry.retire, name, number, actor=caller.name, why=body.why)

    @app.put("/admin/v1/adapters/{name}/settings", tags=["adapters"])
    async def keep(name: Name, body: AdapterSettings, caller: Annotated[Caller, operator]) -> AdapterSettings:
        """Changes how replicas keep the adapter."""
        await changing(control, registry.set_settings, name, body, actor=caller.name)
        return body


def _add_accepting(app: FastAPI, control: Control, allowed: Allowed) -> None:
    @app.post("/admin/v1/registry/accept", status_code=202, tags=["registry"])
    async def accept(body: ReasonBody, caller: Annotated[Caller, Depends(allowed.admin)]) -> ReasonBody:
        """Accepts the registry as it is, though it has lost keys or adapters, and allows removals that are held back.
        It applies to this router only: ask each of them."""
        details = {"why": body.why, "generation": control.follower.snapshot.generation}
        await threaded(control, control.registry.record, caller.name, "registry.accept", "registry", details)
        control.follower.accept()
        return body


def _detail(control: Control, name: str) -> AdapterDetail:
    registry = control.registry
    revisions = registry.revisions(name)
    everywhere = (placement for report in registry.reports() for placement in report.placements)
    placements = [placement for placement in everywhere if placement.adapter == name]
    moves = [*registry.history(name, "stable"), *registry.history(name, "canary")]
    return AdapterDetail(
        adapter=registry.snapshot().adapters[name],
        revisions=revisions,
        placements=tuple(placements),
        history=tuple(sorted(moves, key=lambda move: move.id)),
    )


def _suffix_of(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _SUFFIXES:
        raise InvalidRequest(f"The content-type is '{kind[:100]}', expected one of {', '.join(sorted(_SUFFIXES))}.")
    return _SUFFIXES[kind]


@asynccontextmanager
async def _leaving(request: Request) -> AsyncIterator[asyncio.Task[None]]:
    """Yields a task that is done when the client goes away. The request's body must have been read."""
    task = asyncio.create_task(_until_left(request))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
