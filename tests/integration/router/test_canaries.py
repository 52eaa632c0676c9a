"""Canaries in front of fake replicas: what is bad goes, what is good becomes stable, and nothing happens by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from adapters.canary_moves import CanaryMoves
from adapters.errors import Conflict
from adapters.registry.canary_records import CanaryDraft, CanaryRecord
from router.app import Router
from router.canary.config import CanaryConfig
from router.canary.plan import MetricConfig, PlanConfig, ScopeConfig, ShadowStep, StepConfig
from router.control.announcer import Announcer
from tests.fakes.desk import Desk, registry_settings
from tests.fakes.engine import TOKEN, FakeEngine, Script
from tests.fakes.routers import running_router, until
from tests.integration.router.wire import CHAT, ask, client_of, content, post

pytestmark = pytest.mark.anyio

ERRORS = {"errors": MetricConfig(most=0.2)}
SLOW = PlanConfig(steps=(StepConfig(weight=50, hold_s=600),), metrics=ERRORS)
QUICK = PlanConfig(steps=(StepConfig(weight=20, hold_s=0, samples=5), StepConfig(weight=50, hold_s=0)), metrics=ERRORS)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk.at(tmp_path) as made:
        yield made


@asynccontextmanager
async def routed(folder: Path, *engines: FakeEngine, **settings: Any) -> AsyncIterator[Router]:
    registry = registry_settings(folder, keep_warm_s=600)
    canary = {"incidents": str(folder / "incidents"), **settings.pop("canary", {})}
    async with running_router(*engines, registry=registry, registry_poll_s=0.05, canary=canary, **settings) as router:
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


async def ask_as(router: Router, caller: int, model: str = "sql") -> str:
    """The revision that answers a caller, `error` where none does."""
    response = await post(router, ask(model, user=f"caller-{caller}"))
    return content(response).partition("-")[0] if response.status_code == 200 else "error"


@asynccontextmanager
async def traffic(router: Router, model: str = "sql") -> AsyncIterator[list[str]]:
    """Callers, each with one request, as long as the block runs."""
    answers: list[str] = []

    async def call() -> None:
        while True:
            answers.append(await ask_as(router, len(answers), model))

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


async def test_the_end_of_a_canary_is_told_on_disk_and_by_the_webhook(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    engine, told = FakeEngine(), []

    async def take(request: web.Request) -> web.Response:
        told.append((request.headers.get("authorization"), await request.json()))
        return web.Response(status=503 if len(told) == 1 else 204)

    async with served(take) as url:
        canary = {"webhook": url, "webhook_token": "hook-secret"}
        async with routed(tmp_path, engine, canary=canary) as router:
            made = start(desk)
            await until_phase(desk, made, "running")
            engine.scripts["sql@2"] = Script(fault="busy_503")
            async with traffic(router):
                await until_phase(desk, made, "rolled_back")
                await until(lambda: len(told) == 2, timeout_s=10)
    assert told[0] == told[1], "what was refused is told again"
    assert told[1][0] == "Bearer hook-secret"
    assert (told[1][1]["revision"], told[1][1]["outcome"]) == ("sql@2", "rolled_back")
    folder = tmp_path / "incidents" / "canary-1-sql-2"
    assert "sql@2 was rolled back" in (folder / "summary.md").read_text()
    assert (folder / "evidence.svg").read_text().startswith("<svg")


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


async def test_an_event_is_made_in_the_cluster_that_the_router_runs_in(tmp_path: Path) -> None:
    posted = []

    async def take(request: web.Request) -> web.Response:
        posted.append((request.path, request.headers.get("authorization"), await request.json()))
        return web.Response(status=201)

    for name, text in (("token", "pod-token"), ("namespace", "models")):
        (tmp_path / name).write_text(text)
    now = datetime.now(UTC)
    record = CanaryRecord(
        *(1, "sql", 2, 1, {}, "rolled_back", "errors: 9 of 20", 0, 0.0, False, 0, 1, 1, None, False, "ml", None),
        *(now, now, now, now, now),
    )
    async with served(take) as url:
        host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "HOSTNAME": "router-0"}
        await Announcer(CanaryConfig(incidents=tmp_path / "incidents"), environ, tmp_path).ended(record, ())
    [(path, token, event)] = posted
    assert (path, token) == ("/api/v1/namespaces/models/events", "Bearer pod-token")
    told = event["reason"], event["type"], event["involvedObject"]["name"]
    assert told == ("CanaryRolledBack", "Warning", "router-0")


async def test_a_paused_canary_does_not_grow_and_what_is_bad_still_goes(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    engine, moves = FakeEngine(), CanaryMoves(desk.registry.canaries)
    async with routed(tmp_path, engine) as router:
        canary = start(desk)
        running = await until_phase(desk, canary, "running")
        moves.pause(running, actor="sre", why="night")
        async with traffic(router) as answers:
            await until(lambda: len(answers) > 120, timeout_s=20)
            paused = desk.registry.canaries.get(canary.id)
            assert (paused.phase, paused.step) == ("paused", 0)
            engine.scripts["sql@2"] = Script(fault="busy_503")
            await until_phase(desk, canary, "rolled_back")


async def test_an_aborted_canary_gets_nothing_more_within_two_seconds(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    async with routed(tmp_path, FakeEngine()) as router:
        canary = start(desk, SLOW)
        running = await until_phase(desk, canary, "running")
        async with traffic(router) as answers:
            await until(lambda: "sql@2" in answers, timeout_s=10)
            CanaryMoves(desk.registry.canaries).abort(running, actor="sre", why="customers complain")
            ended = await until_phase(desk, canary, "rolled_back", timeout_s=5)
        assert ended.reason.startswith("aborted by sre: customers complain")
        assert {await ask_as(router, caller) for caller in range(50)} == {"sql@1"}


async def test_a_gate_waits_for_somebody(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    steps = (StepConfig(weight=20, hold_s=0, samples=5), StepConfig(weight=50, hold_s=0, samples=5, gate=True))
    async with routed(tmp_path, FakeEngine()) as router:
        canary = start(desk, QUICK.model_copy(update={"steps": steps}))
        await until_phase(desk, canary, "running")
        async with traffic(router) as answers:
            await until(lambda: len(answers) > 120, timeout_s=20)
            record = desk.registry.canaries.get(canary.id)
            assert record.step == 0
            CanaryMoves(desk.registry.canaries).resume(record, actor="ml", why=None)
            await until_phase(desk, canary, "promoted")


async def test_a_canary_ends_when_somebody_else_moves_stable(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    desk.push("sql", 3)
    async with routed(tmp_path, FakeEngine()):
        canary = start(desk, SLOW)
        await until_phase(desk, canary, "running")
        desk.lifecycle.promote("sql@3", actor="ml", now=True)
        ended = await until_phase(desk, canary, "failed")
        assert "'stable' was moved meanwhile" in ended.reason


async def test_a_revision_that_a_replica_refuses_never_gets_a_request(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router:
        await until(lambda: bool(engine.revisions))
        engine.refused["sql"] = "its rank is too high"
        canary = start(desk)
        ended = await until_phase(desk, canary, "failed")
        assert "its rank is too high" in ended.reason
        assert await ask_as(router, 1) == "sql@1"


async def test_callers_votes_roll_a_canary_back(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    plan = QUICK.model_copy(update={"metrics": {"votes": MetricConfig(most=0.3)}})
    async with routed(tmp_path, FakeEngine()) as router, client_of(router) as client:
        canary = start(desk, plan)
        await until_phase(desk, canary, "running")
        for caller in range(3000):
            answer = await client.post(CHAT, json=ask("sql", user=f"caller-{caller}"))
            if answer.headers["x-patchbay-arm"] == "canary":
                told = {"completion_id": answer.headers["x-request-id"], "vote": "down"}
                assert (await client.post("/v1/feedback", json=told)).status_code == 200
            if desk.registry.canaries.get(canary.id).phase != "running":
                break
        ended = await until_phase(desk, canary, "rolled_back")
        assert ended.reason.startswith("votes: ")


async def test_a_scope_keeps_a_canary_to_its_route(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    plan = SLOW.model_copy(update={"scope": ScopeConfig(route="beta")})
    async with routed(tmp_path, FakeEngine(), routes={"beta": {"model": "sql"}}) as router:
        await until_phase(desk, start(desk, plan), "running")
        await until(lambda: bool(router.trials.running))
        assert {await ask_as(router, caller, "beta") for caller in range(40)} == {"sql@1", "sql@2"}
        assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}


async def test_a_caller_stays_in_one_arm(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    async with routed(tmp_path, FakeEngine()) as router:
        await until_phase(desk, start(desk, SLOW), "running")
        await until(lambda: bool(router.trials.running))
        first = [await ask_as(router, caller) for caller in range(30)]
        assert [await ask_as(router, caller) for caller in range(30)] == first
        assert set(first) == {"sql@1", "sql@2"}


async def test_a_canary_that_the_configuration_asks_for_is_run_once(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    declared = {"sql": {"revision": 2, "plan": QUICK.model_dump(mode="json")}}
    engine = FakeEngine()
    async with engine.running_server():
        async with routed(tmp_path, engine, canaries=declared) as router, traffic(router):
            await until(lambda: bool(desk.registry.canaries.history("sql")), timeout_s=10)
            await until_phase(desk, desk.registry.canaries.history("sql")[0], "promoted")
        async with routed(tmp_path, engine, canaries=declared):
            await asyncio.sleep(1)
    assert len(desk.registry.canaries.history("sql")) == 1


async def test_answers_of_an_unsafe_canary_are_cut_with_an_error(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    guards = {"pii": {"kind": "rules", "sets": ["pii"], "action": "redact"}}
    routes = {"desk": {"model": "sql", "guards": ["pii"]}}
    plan = QUICK.model_copy(update={"metrics": {"guards": MetricConfig(most=0.2, cut=True)}, "settle_s": 0.5})
    engine = FakeEngine()
    async with routed(tmp_path, engine, guards=guards, routes=routes, guard_cache=tmp_path / "cache") as router:
        canary = start(desk, plan)
        await until_phase(desk, canary, "running")
        await until(lambda: bool(router.trials.running))
        callers = [caller for caller in range(100) if await ask_as(router, caller, "desk") == "sql@2"]
        engine.scripts["sql@2"] = Script(words=("fine " * 20, "so ", "far "), gate=asyncio.Semaphore(1))
        async with client_of(router) as client:
            body = ask("desk", stream=True, user=f"caller-{callers[0]}")
            async with client.stream("POST", CHAT, json=body) as response:
                reading = response.aiter_text()
                await anext(reading)
                engine.scripts["sql@2"] = Script(words=("write to jo@example.org",))
                async with traffic(router, "desk") as answers:
                    await until_phase(desk, canary, "rolled_back")
                rest = "".join([part async for part in reading])
        assert "was rolled back while it answered" in rest
        assert "[DONE]" not in rest
        assert answers


def two_pools(old: FakeEngine, new: FakeEngine) -> tuple[dict[str, str], ...]:
    first = {"url": old.url, "name": "old", "token": TOKEN}
    return first, {"url": new.url, "name": "new", "token": TOKEN, "pool": "next"}


def start_pool(desk: Desk) -> CanaryRecord:
    return desk.registry.canaries.start(CanaryDraft("", 0, QUICK.model_dump(mode="json"), "ml", pool="next"))


async def test_a_pool_gets_its_share_and_nothing_once_it_was_rolled_back(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    old, new = FakeEngine("old"), FakeEngine("new")
    async with old.running_server(), new.running_server():
        made = start_pool(desk)
        async with routed(tmp_path, replicas=two_pools(old, new)) as router:
            await until_phase(desk, made, "running")
            async with traffic(router) as answers:
                await until(lambda: len(new.seen) > 5, timeout_s=10)
                new.script = Script(fault="busy_503")
                ended = await until_phase(desk, made, "rolled_back")
            assert "error" not in answers
            assert ended.name == "pool next"
            seen = len(new.seen)
            assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}
            assert len(new.seen) == seen


async def test_a_pool_that_is_no_worse_gets_everything(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    old, new = FakeEngine("old"), FakeEngine("new")
    async with old.running_server(), new.running_server():
        made = start_pool(desk)
        async with routed(tmp_path, replicas=two_pools(old, new)) as router:
            async with traffic(router):
                await until_phase(desk, made, "promoted")
            await until(lambda: router.trials.pool is not None and router.trials.pool.share == 1.0)
            seen = len(old.seen)
            assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}
            assert len(old.seen) == seen


async def test_a_reserved_pool_gets_requests_only_while_its_canary_is_under_way(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    old, new = FakeEngine("old"), FakeEngine("new")
    async with old.running_server(), new.running_server():
        reserved = {"reserved_pools": ["next"]}
        async with routed(tmp_path, replicas=two_pools(old, new), canary=reserved) as router:
            async with traffic(router) as answers:
                await until(lambda: "sql@1" in answers, timeout_s=10)
            assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}
            assert not new.seen
            running = await until_phase(desk, start_pool(desk), "running")
            async with traffic(router):
                await until(lambda: len(new.seen) > 5, timeout_s=10)
            promoting = desk.registry.canaries.promote(running, actor="ml", why="it is good")
            await until_phase(desk, promoting, "promoted")
            await until(lambda: router.trials.pool is not None and router.trials.pool.share == 0.0)
            seen = len(new.seen)
            assert {await ask_as(router, caller) for caller in range(40)} == {"sql@1"}
            assert len(new.seen) == seen


async def test_a_canary_is_started_judged_and_asked_about_over_http(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    async with routed(tmp_path, FakeEngine()) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        plan = {**QUICK.model_dump(mode="json"), "win_margin": 0.1}
        made = await admin.post("/admin/v1/canaries", json={"adapter": "sql", "revision": 2, "plan": plan})
        assert made.status_code == 201, made.text
        canary = desk.registry.canaries.get(made.json()["id"])
        await until_phase(desk, canary, "running")
        async with traffic(router):
            await until(lambda: bool(router.trials.running))
            for _ in range(60):
                pair = await admin.post(f"/admin/v1/canaries/{canary.id}/pairs", json={"value": 0})
                if pair.status_code == 404:
                    break
                assert pair.status_code == 204, pair.text
                await asyncio.sleep(0.02)
            ended = await until_phase(desk, canary, "rolled_back")
        assert ended.reason.startswith("wins: ")
        verdict = (await admin.get("/admin/v1/canaries/verdict", params={"adapter": "sql"})).json()
        assert (verdict["verdict"], verdict["phase"]) == (-1, "rolled_back")
        gauge = (await admin.get("/metrics")).text
        assert 'patchbay_router_canary_verdict{adapter="sql",revision="sql@2"} -1.0' in gauge
        for path in ("", f"/{canary.id}", f"/{canary.id}/looks"):
            assert (await admin.get(f"/admin/v1/canaries{path}")).status_code == 200
        assert (await admin.post(f"/admin/v1/canaries/{canary.id}/abort", json={})).status_code == 409
        assert (await admin.post("/admin/v1/canaries", json={"adapter": "sql"})).status_code == 400


async def test_a_canary_answers_copies_before_any_caller_sees_it(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    plan = QUICK.model_copy(update={"shadow": ShadowStep(share=0.5, samples=10)})
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router:
        canary = start(desk, plan)
        await until_phase(desk, canary, "running")
        async with traffic(router) as answers:
            async with asyncio.timeout(20):
                while not desk.registry.canaries.get(canary.id).weight:
                    seen = len(answers)
                    await asyncio.sleep(0.02)
            assert set(answers[:seen]) == {"sql@1"}
            copies = [one for one in engine.seen if one.headers.get("x-patchbay-revision", "").startswith("sql@2")]
            assert len(copies) >= 10
            await until_phase(desk, canary, "promoted")


async def test_a_canary_that_fails_on_copies_is_rolled_back_unseen(tmp_path: Path, desk: Desk) -> None:
    two_revisions(desk)
    plan = QUICK.model_copy(update={"shadow": ShadowStep(share=0.5, samples=1000)})
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router:
        canary = start(desk, plan)
        await until_phase(desk, canary, "running")
        engine.scripts["sql@2"] = Script(fault="error_500")
        async with traffic(router) as answers:
            await until_phase(desk, canary, "rolled_back")
        assert set(answers) == {"sql@1"}
