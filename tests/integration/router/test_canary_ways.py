"""Canaries of pools, by copies, over HTTP, within a scope, by the configuration; whom their end is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from patchbay.registry.canary_decisions import CanaryMoves
from patchbay.registry.canary_records import CanaryDraft, CanaryRecord
from patchbay.router.canary.config import CanaryConfig
from patchbay.router.canary.plan import ScopeConfig, ShadowStep
from patchbay.router.control.announcer import Announcer
from patchbay.router.process.app import Router
from tests.fakes.canary_records import canary_record
from tests.fakes.engine import TOKEN, FakeEngine, Script
from tests.fakes.installation import Installation
from tests.fakes.routers import until
from tests.integration.router.trying import (
    QUICK,
    SLOW,
    ask_as,
    routed,
    start,
    traffic,
    two_revisions,
    until_phase,
)

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def served(take: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A server that gives each POST to `take`."""
    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


def two_pools(old: FakeEngine, new: FakeEngine) -> tuple[dict[str, str], ...]:
    first = {"url": old.url, "name": "old", "token": TOKEN}
    return first, {"url": new.url, "name": "new", "token": TOKEN, "pool": "next"}


def start_pool(installation: Installation) -> CanaryRecord:
    return installation.registry.canaries.start(
        CanaryDraft(adapter="", number=0, plan=QUICK.model_dump(mode="json"), actor="ml", pool="next")
    )


@asynccontextmanager
async def pools_served(
    folder: Path, installation: Installation, **settings: Any
) -> AsyncIterator[tuple[Router, FakeEngine, FakeEngine]]:
    """A router in front of two pools of a replica each, the old one's and the new one's."""
    two_revisions(installation)
    old, new = FakeEngine("old"), FakeEngine("new")
    async with (
        old.running_server(),
        new.running_server(),
        routed(folder, replicas=two_pools(old, new), **settings) as router,
    ):
        yield router, old, new


async def until_promotable(installation: Installation) -> bool:
    """Whether the loop still does its work: another adapter can be promoted."""
    installation.push("other", 1)
    moved = await asyncio.to_thread(installation.lifecycle.promote, "other@1", actor="ml")
    assert moved.rollout is not None
    done = await asyncio.to_thread(installation.lifecycle.wait_for_rollout, moved.rollout, timeout_s=10)
    return done.state == "done"


async def test_the_end_of_a_canary_is_told_on_disk_and_by_the_webhook(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    engine, told = FakeEngine(), []

    async def take(request: web.Request) -> web.Response:
        told.append((request.headers.get("authorization"), await request.json()))
        return web.Response(status=503 if len(told) == 1 else 204)

    async with served(take) as url:
        canary = {"webhook": url, "webhook_token": "hook-secret"}
        async with routed(tmp_path, engine, canary=canary) as router:
            made = start(installation)
            await until_phase(installation, made, "running")
            engine.scripts["sql@2"] = Script(fault="busy_503")
            async with traffic(router):
                await until_phase(installation, made, "rolled_back")
                await until(lambda: len(told) == 2, timeout_s=10)
    assert told[0] == told[1], "what was refused is told again"
    assert told[1][0] == "Bearer hook-secret"
    assert (told[1][1]["revision"], told[1][1]["outcome"]) == ("sql@2", "rolled_back")
    folder = tmp_path / "incidents" / "canary-1-sql-2"
    assert "sql@2 was rolled back" in (folder / "summary.md").read_text()
    assert (folder / "evidence.svg").read_text().startswith("<svg")


async def test_an_event_is_made_in_the_cluster_that_the_router_runs_in(tmp_path: Path) -> None:
    posted = []

    async def take(request: web.Request) -> web.Response:
        posted.append((request.path, request.headers.get("authorization"), await request.json()))
        return web.Response(status=201)

    for name, text in (("token", "pod-token"), ("namespace", "models")):
        (tmp_path / name).write_text(text)
    now = datetime.now(UTC)
    record = canary_record(now, phase="rolled_back", reason="errors: 9 of 20", weight=0.0, ended_at=now)
    async with served(take) as url:
        host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "HOSTNAME": "router-0"}
        await Announcer(CanaryConfig(incidents=tmp_path / "incidents"), environ, tmp_path).ended(record, ())
    [(path, token, event)] = posted
    assert (path, token) == ("/api/v1/namespaces/models/events", "Bearer pod-token")
    told = event["reason"], event["type"], event["involvedObject"]["name"]
    assert told == ("CanaryRolledBack", "Warning", "router-0")


async def test_a_revision_that_a_replica_refuses_never_gets_a_request(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router:
        await until(lambda: bool(engine.revisions))
        engine.refused["sql"] = "its rank is too high"
        canary = start(installation)
        ended = await until_phase(installation, canary, "failed")
        assert "its rank is too high" in ended.reason
        assert await ask_as(router, 1) == "sql@1"


async def test_a_scope_keeps_a_canary_to_its_route(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    plan = SLOW.model_copy(update={"scope": ScopeConfig(route="beta")})
    async with routed(tmp_path, FakeEngine(), routes={"beta": {"model": "sql"}}) as router:
        await until_phase(installation, start(installation, plan), "running")
        await until(lambda: bool(router.live_canaries.running))
        assert {await ask_as(router, caller, "beta") for caller in range(40)} == {"sql@1", "sql@2"}
        assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}


async def test_a_caller_stays_in_one_arm(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()) as router:
        await until_phase(installation, start(installation, SLOW), "running")
        await until(lambda: bool(router.live_canaries.running))
        first = [await ask_as(router, caller) for caller in range(30)]
        assert [await ask_as(router, caller) for caller in range(30)] == first
        assert set(first) == {"sql@1", "sql@2"}


async def test_a_canary_that_the_configuration_asks_for_is_run_once(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    declared = {"sql": {"revision": 2, "plan": QUICK.model_dump(mode="json")}}
    engine = FakeEngine()
    async with engine.running_server():
        async with routed(tmp_path, engine, canaries=declared) as router, traffic(router):
            await until(lambda: bool(installation.registry.canaries.history("sql")), timeout_s=10)
            await until_phase(installation, installation.registry.canaries.history("sql")[0], "promoted")
        async with routed(tmp_path, engine, canaries=declared):
            await asyncio.sleep(1)
    assert len(installation.registry.canaries.history("sql")) == 1


async def test_a_pool_gets_its_share_and_nothing_once_it_was_rolled_back(
    tmp_path: Path, installation: Installation
) -> None:
    made = start_pool(installation)
    async with pools_served(tmp_path, installation) as (router, _, new):
        await until_phase(installation, made, "running")
        async with traffic(router) as answers:
            await until(lambda: len(new.seen) > 5, timeout_s=10)
            new.script = Script(fault="busy_503")
            ended = await until_phase(installation, made, "rolled_back")
        assert "error" not in answers
        assert ended.name == "pool next"
        told = router.metrics.render().decode()
        assert 'patchbay_router_canary_evidence{adapter="next",metric="errors",revision="pool next"}' in told
        seen = len(new.seen)
        assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}
        assert len(new.seen) == seen


async def test_the_only_pool_answers_whatever_its_canary_says(
    tmp_path: Path, installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    two_revisions(installation)
    canaries = installation.registry.canaries
    made = canaries.start(
        CanaryDraft(adapter="", number=0, plan=QUICK.model_dump(mode="json"), actor="ml", pool="default")
    )
    # As one stands that began while there was another pool.
    made = canaries.change(made, {"phase": "running", "weight": 1.0}, actor="canary", action="canary.run")
    engine = FakeEngine()
    async with engine.running_server(), routed(tmp_path, engine) as router:
        async with traffic(router) as answers:
            await until(lambda: "sql@1" in answers, timeout_s=10)
        assert router.live_canaries.pool is not None
        assert {await ask_as(router, caller) for caller in range(20)} == {"sql@1"}
        await until(lambda: canaries.get(made.id).reason.startswith("no data: there is no replica of another pool"))
        assert canaries.get(made.id).phase == "running"
        aborted = CanaryMoves(canaries).abort(canaries.get(made.id), actor="ml", why=None)
        await until_phase(installation, aborted, "rolled_back")
        assert {await ask_as(router, caller) for caller in range(20)} == {"sql@1"}
        assert 'patchbay_router_canary_alone_total{pool="default"} ' in router.metrics.render().decode()
    assert "the pool default gets all requests, whatever its canary says" in caplog.text


async def test_a_canary_of_the_only_pool_is_refused(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    engine = FakeEngine()
    async with (
        engine.running_server(),
        routed(tmp_path, engine) as router,
        httpx.AsyncClient(base_url=router.admin_url) as admin,
    ):
        async with traffic(router) as answers:
            await until(lambda: "sql@1" in answers, timeout_s=10)
        refused = await admin.post("/admin/v1/canaries", json={"pool": "default"})
        assert refused.status_code == 400
        assert "There is no other pool to compare 'default' with" in refused.json()["error"]["message"]
        # As a command that does not know what is served.
        for pool, says in (("default", "no other pool to compare 'default' with"), ("nope", "There is no pool 'nope'")):
            draft = CanaryDraft(adapter="", number=0, plan=QUICK.model_dump(mode="json"), actor="ml", pool=pool)
            ended = await until_phase(installation, installation.registry.canaries.start(draft), "failed")
            assert says in ended.reason
            assert await ask_as(router, 1) == "sql@1"
        assert router.live_canaries.pool is None


async def test_a_pool_that_is_no_worse_gets_everything(tmp_path: Path, installation: Installation) -> None:
    made = start_pool(installation)
    async with pools_served(tmp_path, installation) as (router, old, _):
        async with traffic(router):
            await until_phase(installation, made, "promoted")
        await until(lambda: router.live_canaries.pool is not None and router.live_canaries.pool.share == 1.0)
        seen = len(old.seen)
        assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}
        assert len(old.seen) == seen


async def test_a_reserved_pool_gets_requests_only_while_its_canary_is_under_way(
    tmp_path: Path, installation: Installation
) -> None:
    async with pools_served(tmp_path, installation, canary={"reserved_pools": ["next"]}) as (router, _, new):
        async with traffic(router) as answers:
            await until(lambda: "sql@1" in answers, timeout_s=10)
        assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}
        assert not new.seen
        running = await until_phase(installation, start_pool(installation), "running")
        async with traffic(router):
            await until(lambda: len(new.seen) > 5, timeout_s=10)
        # It may have grown meanwhile.
        running = installation.registry.canaries.get(running.id)
        promoting = installation.registry.canaries.promote(running, actor="ml", why="it is good")
        await until_phase(installation, promoting, "promoted")
        await until(lambda: router.live_canaries.pool is not None and router.live_canaries.pool.share == 0.0)
        seen = len(new.seen)
        assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}
        assert len(new.seen) == seen


async def test_a_canary_is_started_judged_and_asked_about_over_http(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        plan = {**QUICK.model_dump(mode="json"), "win_margin": 0.1}
        made = await admin.post("/admin/v1/canaries", json={"adapter": "sql", "revision": 2, "plan": plan})
        assert made.status_code == 201, made.text
        canary = installation.registry.canaries.get(made.json()["id"])
        await until_phase(installation, canary, "running")
        async with traffic(router):
            await until(lambda: bool(router.live_canaries.running))
            for _ in range(60):
                pair = await admin.post(f"/admin/v1/canaries/{canary.id}/pairs", json={"value": 0})
                if pair.status_code == 404:
                    break
                assert pair.status_code == 204, pair.text
                await asyncio.sleep(0.02)
            ended = await until_phase(installation, canary, "rolled_back")
        assert ended.reason.startswith("wins: ")
        verdict = (await admin.get("/admin/v1/canaries/verdict", params={"adapter": "sql"})).json()
        assert (verdict["verdict"], verdict["phase"]) == (-1, "rolled_back")
        gauge = (await admin.get("/metrics")).text
        assert 'patchbay_router_canary_verdict{adapter="sql",revision="sql@2"} -1.0' in gauge
        for path in ("", f"/{canary.id}", f"/{canary.id}/looks"):
            assert (await admin.get(f"/admin/v1/canaries{path}")).status_code == 200
        assert (await admin.post(f"/admin/v1/canaries/{canary.id}/abort", json={})).status_code == 409
        assert (await admin.post("/admin/v1/canaries", json={"adapter": "sql"})).status_code == 400


async def test_a_canary_answers_copies_before_any_caller_sees_it(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    plan = QUICK.model_copy(update={"shadow": ShadowStep(share=0.5, samples=10)})
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router:
        canary = start(installation, plan)
        await until_phase(installation, canary, "running")
        async with traffic(router) as answers:
            async with asyncio.timeout(20):
                while not installation.registry.canaries.get(canary.id).weight:
                    seen = len(answers)
                    await asyncio.sleep(0.02)
            assert set(answers[:seen]) == {"sql@1"}
            copies = [one for one in engine.seen if one.headers.get("x-patchbay-revision", "").startswith("sql@2")]
            assert len(copies) >= 10
            await until_phase(installation, canary, "promoted")


async def test_a_canary_that_fails_on_copies_is_rolled_back_unseen(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    plan = QUICK.model_copy(update={"shadow": ShadowStep(share=0.5, samples=1000)})
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router:
        canary = start(installation, plan)
        await until_phase(installation, canary, "running")
        engine.scripts["sql@2"] = Script(fault="error_500")
        async with traffic(router) as answers:
            await until_phase(installation, canary, "rolled_back")
        assert set(answers) == {"sql@1"}


async def test_a_canary_goes_on_after_the_only_router_was_restarted(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    engine = FakeEngine()
    async with engine.running_server():
        async with routed(tmp_path, engine) as router:
            canary = start(installation, SLOW)
            await until_phase(installation, canary, "running")
            async with traffic(router) as answers:
                await until(lambda: len(answers) > 60, timeout_s=20)
                await asyncio.sleep(2.5)
        before = installation.registry.canaries.looks(canary.id)[-1].verdict["requests"]
        async with routed(tmp_path, engine) as router:
            await until(lambda: bool(router.live_canaries.running))
            engine.scripts["sql@2"] = Script(fault="busy_503")
            async with traffic(router):
                await until_phase(installation, canary, "rolled_back")
        after = next(
            one.verdict for one in installation.registry.canaries.looks(canary.id)[::-1] if "requests" in one.verdict
        )
    assert before[0] > 0
    assert after["requests"][1] > before[1], "what was known before the restart is forgotten"


async def test_a_plan_that_this_version_cannot_read_gets_no_request_and_harms_nobody(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()) as router:
        plan = {**QUICK.model_dump(mode="json"), "of_a_later_version": 1}
        installation.registry.canaries.start(CanaryDraft(adapter="sql", number=2, plan=plan, actor="ml"))
        await asyncio.sleep(2)
        assert {await ask_as(router, caller) for caller in range(20)} == {"sql@1"}
        assert await until_promotable(installation)
