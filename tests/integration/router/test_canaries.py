"""Canaries in front of fake replicas: what is bad goes, what is good becomes stable, and nothing happens by itself."""

import asyncio
import itertools
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from patchbay.core.errors import Conflict
from patchbay.registry.canary_decisions import CanaryMoves
from patchbay.registry.canary_records import CanaryRecord, CanaryTally
from patchbay.registry.records import Rollout
from patchbay.router.canary.plan import MetricConfig, StepConfig
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.installation import Installation, registry_settings
from tests.fakes.routers import running_router, until
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
from tests.integration.router.wire import CHAT, ask, client_of

pytestmark = pytest.mark.anyio


async def test_with_prometheus_nobody_is_told_what_is_seen_of_callers(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    told: list[CanaryTally] = []

    def heard(
        record: CanaryRecord, tallies: Sequence[CanaryTally], rollout: Rollout | None, stable: int | None
    ) -> None:
        told[:] = tallies

    by_server = {"metrics": "prometheus", "prometheus_url": "http://127.0.0.1:9"}
    async with routed(tmp_path, FakeEngine(), canary=by_server) as router, traffic(router):
        canary = await until_phase(installation, start(installation, SLOW), "running")
        await until(lambda: installation.registry.canaries.look(canary.id, heard).live and bool(told), timeout_s=10)
    assert {(one.counts["seen"][0], one.counts["canary"], one.counts["other"]) for one in told} == {("caller", 0, 0)}


async def test_a_canary_that_fails_is_rolled_back_and_nobody_sees_its_errors(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    engine = FakeEngine()
    engine.scripts["sql@2"] = Script(fault="error_500")
    async with routed(tmp_path, engine) as router:
        engine.scripts.clear()
        canary = start(installation)
        await until_phase(installation, canary, "running")
        engine.scripts["sql@2"] = Script(fault="busy_503")
        async with traffic(router) as answers:
            ended = await until_phase(installation, canary, "rolled_back")
        assert "error" not in answers, "the stable revision answers where the canary does not"
        assert "no share left on 1 router" in ended.reason
        assert installation.registry.snapshot().adapters["sql"].number("canary") is None
        assert {await ask_as(router, caller) for caller in range(100)} == {"sql@1"}


async def test_a_canary_that_is_no_worse_is_promoted(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()) as router:
        canary = start(installation)
        async with traffic(router) as answers:
            await until_phase(installation, canary, "promoted")
            await until(lambda: answers[-20:] == ["sql@2"] * 20, timeout_s=20)
        assert installation.registry.snapshot().adapters["sql"].number("stable") == 2


async def test_what_was_counted_of_a_canary_is_written_when_the_router_ends(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()) as router:
        await until_phase(installation, start(installation, SLOW), "running")
        await until(lambda: "sql" in router.live_canaries.running)
        for caller in range(12):
            await ask_as(router, caller)
    with closing(sqlite3.connect(tmp_path / "registry.db")) as registry:
        rows = [json.loads(row[0]) for row in registry.execute("select counts from tallies")]
    assert sum(one["canary"] + one["other"] for one in rows) == 12


async def test_a_canarys_answers_are_measured_apart_from_those_of_stable(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()) as router:
        await until_phase(installation, start(installation), "running")
        for caller in range(40):
            await ask_as(router, caller)
        text = router.metrics.render().decode()
    for arm, revision in (("canary", "sql@2"), ("stable", "sql@1")):
        assert f'answers_total{{adapter="sql",arm="{arm}",outcome="ok",revision="{revision}",route=""}}' in text


async def test_without_traffic_nothing_happens_and_it_says_so(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()):
        canary = start(installation)
        await until_phase(installation, canary, "running")
        await asyncio.sleep(1.5)
        record = installation.registry.canaries.get(canary.id)
        assert (record.phase, record.step, record.weight) == ("running", 0, 20.0)


async def test_what_was_rolled_back_is_not_tried_again_without_a_reason(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    engine = FakeEngine()
    async with routed(tmp_path, engine) as router:
        canary = start(installation)
        await until_phase(installation, canary, "running")
        engine.scripts["sql@2"] = Script(fault="busy_503")
        async with traffic(router):
            await until_phase(installation, canary, "rolled_back")
        with pytest.raises(Conflict, match="was rolled back before"):
            start(installation)
        assert start(installation, why="the data was mended").phase == "pending"


async def test_a_paused_canary_does_not_grow_and_what_is_bad_still_goes(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    engine, moves = FakeEngine(), CanaryMoves(installation.registry.canaries)
    async with routed(tmp_path, engine) as router:
        canary = start(installation)
        running = await until_phase(installation, canary, "running")
        moves.pause(running, actor="sre", why="night")
        async with traffic(router) as answers:
            await until(lambda: len(answers) > 120, timeout_s=20)
            paused = installation.registry.canaries.get(canary.id)
            assert (paused.phase, paused.step) == ("paused", 0)
            engine.scripts["sql@2"] = Script(fault="busy_503")
            await until_phase(installation, canary, "rolled_back")


async def test_an_aborted_canary_gets_nothing_more_within_two_seconds(
    tmp_path: Path, installation: Installation
) -> None:
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()) as router:
        canary = start(installation, SLOW)
        running = await until_phase(installation, canary, "running")
        async with traffic(router) as answers:
            await until(lambda: "sql@2" in answers, timeout_s=10)
            CanaryMoves(installation.registry.canaries).abort(running, actor="sre", why="customers complain")
            ended = await until_phase(installation, canary, "rolled_back", timeout_s=5)
        assert ended.reason.startswith("aborted by sre: customers complain")
        assert {await ask_as(router, caller) for caller in range(50)} == {"sql@1"}


async def test_a_gate_waits_for_somebody(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    steps = (StepConfig(weight=20, hold_s=0, samples=5), StepConfig(weight=50, hold_s=0, samples=5, gate=True))
    async with routed(tmp_path, FakeEngine()) as router:
        canary = start(installation, QUICK.model_copy(update={"steps": steps}))
        await until_phase(installation, canary, "running")
        async with traffic(router) as answers:
            await until(lambda: len(answers) > 120, timeout_s=20)
            await until(lambda: installation.registry.canaries.get(canary.id).is_at_gate, timeout_s=20)
            record = installation.registry.canaries.get(canary.id)
            assert record.step == 0
            CanaryMoves(installation.registry.canaries).resume(record, actor="ml", why=None)
            await until_phase(installation, canary, "promoted")


async def test_a_canary_ends_when_somebody_else_moves_stable(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    installation.push("sql", 3)
    async with routed(tmp_path, FakeEngine()):
        canary = start(installation, SLOW)
        await until_phase(installation, canary, "running")
        installation.lifecycle.promote("sql@3", actor="ml", now=True)
        ended = await until_phase(installation, canary, "failed")
        assert "'stable' was moved meanwhile" in ended.reason


async def test_callers_votes_roll_a_canary_back(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    plan = QUICK.model_copy(update={"metrics": {"votes": MetricConfig(most=0.3)}})
    async with routed(tmp_path, FakeEngine()) as router, client_of(router) as client:
        canary = start(installation, plan)
        await until_phase(installation, canary, "running")
        for caller in range(3000):
            answer = await client.post(CHAT, json=ask("sql", user=f"caller-{caller}"))
            if answer.headers["x-patchbay-arm"] == "canary":
                told = {"completion_id": answer.headers["x-request-id"], "vote": "down"}
                assert (await client.post("/v1/feedback", json=told)).status_code == 200
            if installation.registry.canaries.get(canary.id).phase != "running":
                break
        ended = await until_phase(installation, canary, "rolled_back")
        assert ended.reason.startswith("votes: ")


async def test_answers_of_an_unsafe_canary_are_cut_with_an_error(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    guards = {"pii": {"kind": "rules", "sets": ["pii"], "action": "redact"}}
    routes = {"desk": {"model": "sql", "guards": ["pii"]}}
    plan = QUICK.model_copy(update={"metrics": {"guards": MetricConfig(most=0.2, cut=True)}, "settle_s": 0.5})
    engine = FakeEngine()
    async with routed(tmp_path, engine, guards=guards, routes=routes, guard_cache=tmp_path / "cache") as router:
        canary = start(installation, plan)
        await until_phase(installation, canary, "running")
        await until(lambda: bool(router.live_canaries.running))
        callers = [caller for caller in range(100) if await ask_as(router, caller, "desk") == "sql@2"]
        engine.scripts["sql@2"] = Script(words=("fine " * 20, "so ", "far "), gate=asyncio.Semaphore(1))
        async with client_of(router) as client:
            body = ask("desk", stream=True, user=f"caller-{callers[0]}")
            async with client.stream("POST", CHAT, json=body) as response:
                reading = response.aiter_text()
                await anext(reading)
                engine.scripts["sql@2"] = Script(words=("write to jo@example.org",))
                async with traffic(router, "desk") as answers:
                    await until_phase(installation, canary, "rolled_back")
                rest = "".join([part async for part in reading])
        assert "was rolled back while it answered" in rest
        assert "[DONE]" not in rest
        assert answers


async def test_a_canary_that_is_slow_is_rolled_back(tmp_path: Path, installation: Installation) -> None:
    two_revisions(installation)
    slow = {"token_time": MetricConfig(tolerated=1.5, most=0.3), "ttft": MetricConfig(tolerated=1.5, most=0.3)}
    engine = FakeEngine()
    engine.script = Script(chunks=10, delay_s=0.001)
    engine.scripts["sql@2"] = Script(chunks=10, delay_s=0.03)
    async with routed(tmp_path, engine) as router, client_of(router) as client:
        canary = start(installation, QUICK.model_copy(update={"metrics": slow, "max_s": 600}))
        await until_phase(installation, canary, "running")

        async def call() -> None:
            while True:
                body = ask("sql", stream=True, user=f"caller-{next(numbers)}")
                await client.post(CHAT, json=body)

        numbers = itertools.count()
        calling = [asyncio.create_task(call()) for _ in range(3)]
        ended = await until_phase(installation, canary, "rolled_back", "promoted", timeout_s=30)
        for task in calling:
            task.cancel()
        await asyncio.gather(*calling, return_exceptions=True)
    assert ended.reason.startswith("token_time: ")


async def test_a_router_that_has_not_heard_of_the_canary_charges_it_with_errors(
    tmp_path: Path, installation: Installation
) -> None:
    """The second router learns of what its replicas have a good while after the canary has begun."""
    two_revisions(installation)
    engine = FakeEngine()
    registry = registry_settings(tmp_path, keep_warm_s=600)
    async with (
        engine.running_server(),
        routed(tmp_path, engine),
        running_router(engine, name="second", registry=registry, registry_poll_s=0.05, poll_interval_s=4.0) as second,
    ):
        await until(lambda: "sql" in second.fleet.view.table)
        canary = start(installation, SLOW)
        await until_phase(installation, canary, "running")
        await until(lambda: bool(second.live_canaries.running))
        assert "sql@2" not in second.fleet.view.table, "it has not asked yet"
        assert {await ask_as(second, caller) for caller in range(40)} == {"sql@1"}
        assert not second.live_canaries.take(), "what it does not know is no evidence"
        await until(lambda: "sql@2" in second.fleet.view.table, timeout_s=10)
        assert {await ask_as(second, caller) for caller in range(40)} == {"sql@1", "sql@2"}
        assert installation.registry.canaries.get(canary.id).phase == "running"
