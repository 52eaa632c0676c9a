"""A registry with two revisions of one adapter, a router before fake replicas, a canary, and callers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from patchbay.registry.canary_records import CanaryDraft, CanaryRecord
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig
from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation, registry_settings
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, ask, client_of, content, post

ERRORS = {"errors": MetricConfig(most=0.2)}
SLOW = PlanConfig(steps=(StepConfig(weight=50, hold_s=600),), metrics=ERRORS)
QUICK = PlanConfig(steps=(StepConfig(weight=20, hold_s=0, samples=5), StepConfig(weight=50, hold_s=0)), metrics=ERRORS)


@asynccontextmanager
async def routed(folder: Path, *engines: FakeEngine, **settings: Any) -> AsyncIterator[Router]:
    registry = registry_settings(folder, keep_warm_s=600)
    canary = {"incidents": str(folder / "incidents"), **settings.pop("canary", {})}
    async with running_router(*engines, registry=registry, registry_poll_s=0.05, canary=canary, **settings) as router:
        await until(lambda: "sql" in router.fleet.view.table)
        yield router


def two_revisions(installation: Installation) -> None:
    """`sql@1`, which is stable, and `sql@2`, which is to be tried."""
    installation.push("sql", 1)
    installation.push("sql", 2)
    installation.lifecycle.promote("sql@1", actor="ml", now=True)


def start(installation: Installation, plan: PlanConfig = QUICK, why: str | None = None) -> CanaryRecord:
    return installation.registry.canaries.start(
        CanaryDraft(adapter="sql", number=2, plan=plan.model_dump(mode="json"), actor="ml", why=why)
    )


async def until_phase(
    installation: Installation, canary: CanaryRecord, *phases: str, timeout_s: float = 20
) -> CanaryRecord:
    async with asyncio.timeout(timeout_s):
        while (record := installation.registry.canaries.get(canary.id)).phase not in phases:
            await asyncio.sleep(0.05)
    return record


async def ask_as(router: Router, caller: int, model: str = "sql") -> str:
    """The revision that answers a caller, `error` where none does."""
    return answered_by(await post(router, ask(model, user=f"caller-{caller}")))


def answered_by(response: httpx.Response) -> str:
    return content(response).partition("-")[0] if response.status_code == 200 else "error"


@asynccontextmanager
async def traffic(router: Router, model: str = "sql") -> AsyncIterator[list[str]]:
    """Callers, each with one request, as long as the block runs."""
    answers: list[str] = []

    async def call() -> None:
        async with client_of(router) as client:
            while True:
                body = ask(model, user=f"caller-{len(answers)}")
                answers.append(answered_by(await client.post(CHAT, json=body)))

    calling = asyncio.create_task(call())
    try:
        yield answers
    finally:
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
