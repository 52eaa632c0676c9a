"""Whom a canary reaches, and which revisions routes pin beside it: before fake replicas, over a real registry."""

from pathlib import Path

import httpx
import pytest

from patchbay.registry.records import RouterBeat
from patchbay.router.canary.plan import MetricConfig, ScopeConfig
from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation
from tests.fakes.routers import until
from tests.integration.router.trying import SLOW, ask_as, routed, start, two_revisions, until_phase
from tests.integration.router.wire import CHAT, ask, client_of

pytestmark = pytest.mark.anyio


async def test_a_revision_that_a_route_pins_has_no_replica(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    routes = {"old": {"model": "sql@1"}, "next": {"split": [{"model": "sql@2"}]}}
    async with routed(tmp_path, FakeEngine(), routes=routes) as router:
        await until(lambda: "sql@2" in router.fleet.view.table)
        assert await ask_as(router, 1, "next") == "sql@2", "before it is promoted"
        installation.lifecycle.promote("sql@2", actor="ml", now=True)
        installation.push("sql", 3)
        installation.lifecycle.promote("sql@3", actor="ml", now=True)
        await until(lambda: "sql@3" in router.fleet.view.table)
        assert await ask_as(router, 1, "old") == "sql@1", "after two promotions"


async def test_a_scopes_header_is_compared_with_its_case(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    plan = SLOW.model_copy(update={"scope": ScopeConfig(header={"X-Beta": "1"})})
    async with routed(tmp_path, FakeEngine()) as router, client_of(router) as client:
        await until_phase(installation, start(installation, plan), "running")
        await until(lambda: bool(router.live_canaries.running))
        for headers, arms in (({"X-BETA": "1"}, {"canary", "stable"}), ({}, {None})):
            told = [await client.post(CHAT, json=ask("sql", user=f"caller-{n}"), headers=headers) for n in range(40)]
            assert {one.headers.get("x-patchbay-arm") for one in told} - {"stable"} == arms - {"stable", None}


async def test_a_plan_that_reaches_nobody_or_sees_nothing_is_tried(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    async with (
        routed(tmp_path, FakeEngine(), routes={"desk": {"model": "sql"}, "other": {"model": "tiny"}}) as router,
        httpx.AsyncClient(base_url=router.admin_url) as admin,
    ):
        plan = {**SLOW.model_dump(mode="json"), "scope": {"route": "dessk"}}
        refused = await admin.post("/admin/v1/canaries", json={"adapter": "sql", "revision": 2, "plan": plan})
        assert refused.status_code == 400
        assert "did you mean 'desk'?" in refused.text
        for changes, says in (
            ({"scope": ScopeConfig(tenant="acne")}, "the tenant 'acne', which is not there"),
            ({"scope": ScopeConfig(route="other")}, "the route 'other', by which no request for sql comes"),
            ({"metrics": {"schema": MetricConfig()}}, "metrics.schema will see nothing: no guard of desk, sql is"),
        ):
            # As the command does where no file tells it what is served.
            ended = await until_phase(installation, start(installation, SLOW.model_copy(update=changes)), "failed")
            assert says in ended.reason


async def test_a_plan_that_only_another_router_can_judge_is_ended_by_the_one_that_leads(
    tmp_path: Path, installation: Installation
) -> None:
    """Configurations differ while a new one is being rolled out."""
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()):
        plan = SLOW.model_copy(update={"metrics": {"schema": MetricConfig()}})
        served = {"found": {"": ["schema"]}, "votes": True, "pools": ["default"], "reserved": [], "routes": {}}
        now = installation.registry.clock()
        installation.registry.beat(RouterBeat("another", 1, now, now), served)
        await until_phase(installation, start(installation, plan), "running")
