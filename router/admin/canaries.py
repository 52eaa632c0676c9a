"""The admin API of canaries, `/admin/v1/canaries…`, with the verdict that a delivery controller asks for."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from patchbay.core.errors import ConfigError, Conflict, InvalidRequest, NotFound
from patchbay.core.names import NAME_PATTERN
from patchbay.registry.canary_records import CanaryDraft, CanaryRecord, Look
from patchbay.router.admin.roles import Allowed
from patchbay.router.admin.threads import changing, threaded
from patchbay.router.canary.incident import summary
from patchbay.router.canary.live import LiveCanaries
from patchbay.router.canary.metric_coverage import Subject, check_pool, checked
from patchbay.router.canary.plan import PlanConfig, ready_plan, ready_plans
from patchbay.router.canary.status import standing
from patchbay.router.control.control import Control
from patchbay.router.tenants.role_keys import Caller

Number = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_ReadyName = Literal["careful", "fast", "shadow-first", "manual"]
Plan = Annotated[PlanConfig, BeforeValidator(ready_plan, json_schema_input_type=_ReadyName | PlanConfig)]


class StartBody(_Body):
    """A revision, or a pool, and its plan: the name of a ready one, or a whole one."""

    adapter: str = Field(default="", pattern=f"^({NAME_PATTERN})?$")
    revision: int = Field(default=0, ge=0, le=999_999_999)
    pool: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    plan: Plan = Field(default_factory=lambda: ready_plans()["careful"])
    why: str | None = None


class WhyBody(_Body):
    """The reason of a decision, for the audit."""

    why: str | None = None


class MoveBody(WhyBody):
    """The reason of a move. `gate`: with `resume`, opens the next gate even if the canary has not reached it."""

    gate: bool = False


class PairBody(_Body):
    """The comparison of the canary's answer with the stable revision's answer to the same question: 1 better, 0
    worse."""

    value: float = Field(ge=0, le=1, multiple_of=0.5)


class CanaryVerdict(_Body):
    """The verdict on the last canary: 1 promoted, 0 undecided, -1 rolled back or failed."""

    canary: int
    revision: str
    phase: str
    verdict: Literal[-1, 0, 1]
    reason: str


@dataclass(frozen=True, slots=True)
class CanaryParts:
    """The parts of the router that start, move and show canaries."""

    control: Control
    live_canaries: LiveCanaries


def add_canaries(app: FastAPI, parts: CanaryParts, allowed: Allowed) -> None:
    """Adds everything under `/admin/v1/canaries`."""
    control, live_canaries = parts.control, parts.live_canaries
    _add_reading(app, control, allowed)
    _add_starting(app, parts, allowed)

    @app.post("/admin/v1/canaries/{canary}/pairs", status_code=204, tags=["canaries"])
    async def add_pair(canary: Number, body: PairBody, caller: Annotated[Caller, Depends(allowed.operator)]) -> None:
        """Counts a pair of answers that somebody has compared."""
        if not live_canaries.compared(canary, body.value):
            raise NotFound(f"No canary {canary} is under way.", param="canary")

    # Added last, since its path pattern matches that of the pairs too.
    _add_moving(app, control, allowed)


def _add_reading(app: FastAPI, control: Control, allowed: Allowed) -> None:
    canaries, viewer = control.registry.canaries, [Depends(allowed.viewer)]

    @app.get("/admin/v1/canaries", dependencies=viewer, tags=["canaries"])
    async def list_canaries(
        adapter: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> tuple[CanaryRecord, ...]:
        """Lists the canaries under way, and the last `limit` that have ended, the newest first."""
        return await threaded(control, canaries.history, adapter, limit=limit)

    @app.get("/admin/v1/canaries/verdict", dependencies=viewer, tags=["canaries"])
    async def read_verdict(adapter: str | None = None, pool: str | None = None) -> CanaryVerdict:
        """Returns the verdict on an adapter's or a pool's last canary, for Argo Rollouts or Flagger."""
        found = await threaded(control, canaries.last, adapter, pool)
        return CanaryVerdict(
            canary=found.id, revision=found.name, phase=found.phase, verdict=found.verdict, reason=found.reason
        )

    @app.get("/admin/v1/canaries/{canary}", dependencies=viewer, tags=["canaries"])
    async def show_canary(canary: Number) -> dict[str, Any]:
        """Shows a canary: share, requests, evidence, and its summary."""
        record = await threaded(control, canaries.get, canary)
        looks = tuple((await threaded(control, canaries.judged, canary)).values())
        return {"standing": standing(record, looks), "summary": summary(record, looks)}

    @app.get("/admin/v1/canaries/{canary}/looks", dependencies=viewer, tags=["canaries"])
    async def list_looks(
        canary: Number, after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 1000
    ) -> tuple[Look, ...]:
        """Lists looks at the evidence, with the counts that they were taken by. `after`: the number of the last look to
        leave out."""
        await threaded(control, canaries.get, canary)
        return await threaded(control, canaries.looks, canary, after=after, limit=limit)


def _add_starting(app: FastAPI, parts: CanaryParts, allowed: Allowed) -> None:
    control = parts.control

    @app.post("/admin/v1/canaries", status_code=201, tags=["canaries"])
    async def start(body: StartBody, caller: Annotated[Caller, Depends(allowed.operator)]) -> CanaryRecord:
        """Starts a canary."""
        _check_subject(body)
        if body.pool is None:
            await threaded(control, control.registry.check_usable, body.adapter, body.revision)
        plan = _as_seen(parts, body)
        if (fault := control.context.plan_fault(plan, Subject(body.adapter, body.pool))) is not None:
            raise InvalidRequest(f"plan: {fault}.", param="plan")
        document = plan.model_dump(mode="json")
        draft = CanaryDraft(
            adapter=body.adapter, number=body.revision, plan=document, actor=caller.name, why=body.why, pool=body.pool
        )
        return await changing(control, control.registry.canaries.start, draft)


def _check_subject(body: StartBody) -> None:
    """Raises InvalidRequest, with its field, unless the body names exactly one thing to try."""
    if body.pool is not None:
        if body.adapter or body.revision:
            raise InvalidRequest("pool: give either 'pool', or 'adapter' and 'revision'.", param="pool")
        return
    if not body.adapter:
        raise InvalidRequest("adapter: give 'adapter' and 'revision', or 'pool'.", param="adapter")
    if not body.revision:
        raise InvalidRequest(f"revision: say which revision of {body.adapter} is tried.", param="revision")


def _as_seen(parts: CanaryParts, body: StartBody) -> PlanConfig:
    """Returns the plan as it can be judged on this router's routes. Raises InvalidRequest, with its field."""
    subject = Subject(body.adapter, body.pool)
    served = parts.control.named().served or parts.control.served
    field = "pool"
    try:
        check_pool(subject, served)
        field = "plan"
        return checked(body.plan, subject, served)[0]
    except ConfigError as error:
        raise InvalidRequest(f"{field}: {error}", param=field) from error


def _add_moving(app: FastAPI, control: Control, allowed: Allowed) -> None:
    operator, moves = Depends(allowed.operator), control.canary_moves

    @app.post("/admin/v1/canaries/{canary}/{move}", status_code=202, tags=["canaries"])
    async def move_canary(
        canary: Number,
        move: Literal["promote", "pause", "resume", "abort"],
        body: MoveBody,
        caller: Annotated[Caller, operator],
    ) -> CanaryRecord:
        """Promotes, pauses, resumes or aborts a canary. `resume` ends a pause, or opens the gate that it waits at."""
        if body.gate and move != "resume":
            raise InvalidRequest(f"gate: only 'resume' opens a gate, not '{move}'.", param="gate")
        record = await threaded(control, control.registry.canaries.get, canary)
        if not record.live:
            raise Conflict(f"The canary {canary} has ended: {record.phase}.")
        more = {"ahead": True} if body.gate else {}
        return await changing(control, getattr(moves, move), record, actor=caller.name, why=body.why, **more)
