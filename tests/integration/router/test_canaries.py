"""Canaries in front of fake replicas: what is bad goes, what is good becomes stable, and nothing happens by itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import Conflict
from adapters.registry.canary_records import CanaryDraft, CanaryRecord
from router.app import Router
from router.canary.plan import MetricConfig, PlanConfig, StepConfig
from tests.fakes.desk import Desk, registry_settings
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import ask, content, post

pytestmark = pytest.mark.anyio

ERRORS = {"errors": MetricConfig(most=0.2)}
QUICK = PlanConfig(steps=(StepConfig(weight=20, hold_s=0, samples=5), StepConfig(weight=50, hold_s=0)), metrics=ERRORS)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path) as made:
        yield made


@asynccontextmanager
async def routed(folder: Path, *engines: FakeEngine, **settings: Any) -> AsyncIterator[Router]:
    registry = registry_settings(folder, keep_warm_s=600)
    async with running_router(*engines, registry=registry, registry_poll_s=0.05, **settings) as router:
        await until(lambda: "sql" in router.fleet.view.table)
        yield router


def two_revisions(desk: Desk) -> None:
    """`sql@1`, which is stable, and `sql@2`, which is to be tried."""
    desk.push("sql", 1)
    desk.push("sql", 2)
    desk.lifecycle.promote("sql@1", actor="ml", now=True)


def start(desk: Desk, plan: PlanConfig = QUICK, why: str | None = None) -> CanaryRecord:
    return desk.registry.canaries.start(CanaryDraft("sql", 2, plan.model_dump(mode="json"), "ml", why))


async def until_phase(desk: Desk, canary: CanaryRecord, *phases: str, timeout_s: float = 20) -> CanaryRecord:
    async with asyncio.timeout(timeout_s):
        while (record := desk.registry.canaries.get(canary.id)).phase not in phases:
            await asyncio.sleep(0.05)
    return record


async def ask_as(router: Router, caller: int) -> str:
    """The revision that answers a caller, `error` where none does."""
    response = await post(router, ask("sql", user=f"caller-{caller}"))
    return content(response).partition("-")[0] if response.status_code == 200 else "error"


@asynccontextmanager
async def traffic(router: Router) -> AsyncIterator[list[str]]:
    """Callers, each with one request, as long as the block runs."""
    answers: list[str] = []

    async def call() -> None:
        while True:
            answers.append(await ask_as(router, len(answers)))

    calling = asyncio.create_task(call())
    try:
        yield answers
    finally:
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)


async def test_a_canary_that_fails_is_rolled_back_and_nobody_sees_its_errors(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    engine = FakeEngine()
    engine.scripts["sql@2"] = Script(fault="error_500")
    async with routed(tmp_path, engine) as router:
        engine.scripts.clear()
        canary = start(desk)
        await until_phase(desk, canary, "running")
        engine.scripts["sql@2"] = Script(fault="busy_503")
        async with traffic(router) as answers:
            ended = await until_phase(desk, canary, "rolled_back")
        assert "error" not in answers, "the stable revision answers where the canary does not"
        assert "no share left on 1 router" in ended.reason
        assert desk.registry.snapshot().adapters["sql"].number("canary") is None
        assert {await ask_as(router, caller) for caller in range(100)} == {"sql@1"}


async def test_a_canary_that_is_no_worse_is_promoted(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    async with routed(tmp_path, FakeEngine()) as router:
        canary = start(desk)
        async with traffic(router) as answers:
            await until_phase(desk, canary, "promoted")
            await until(lambda: answers[-20:] == ["sql@2"] * 20, timeout_s=20)
        assert desk.registry.snapshot().adapters["sql"].number("stable") == 2


async def test_a_canarys_answers_are_measured_apart_from_those_of_stable(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    async with routed(tmp_path, FakeEngine()) as router:
        await until_phase(desk, start(desk), "running")
        for caller in range(40):
            await ask_as(router, caller)
        text = router.metrics.render().decode()
    for arm, revision in (("canary", "sql@2"), ("stable", "sql@1")):
        assert f'answers_total{{adapter="sql",arm="{arm}",outcome="ok",revision="{revision}",route=""}}' in text


async def test_without_traffic_nothing_happens_and_it_says_so(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    async with routed(tmp_path, FakeEngine()):
        canary = start(desk)
        await until_phase(desk, canary, "running")
        await asyncio.sleep(1.5)
        record = desk.registry.canaries.get(canary.id)
        assert (record.phase, record.step, record.weight) == ("running", 0, 20.0)


async def test_what_was_rolled_back_is_not_tried_again_without_a_reason(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router:
        canary = start(desk)
        await until_phase(desk, canary, "running")
        engine.scripts["sql@2"] = Script(fault="busy_503")
        async with traffic(router):
            await until_phase(desk, canary, "rolled_back")
        with pytest.raises(Conflict, match="was rolled back before"):
            start(desk)
        assert start(desk, why="the data was mended").phase == "pending"
