"""Three routers over one PostgreSQL: one judges, all obey, and its death changes nothing but who judges."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from patchbay.router.canary.config import plan_of
from patchbay.router.canary.replay import replayed
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.prometheus import NO_PROMETHEUS, has_prometheus, running_prometheus
from tests.fakes.routers import free_port
from tests.integration.canaries.conftest import (
    Place,
    RouterProcess,
    callers,
    router_processes,
    until_ready,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@asynccontextmanager
async def three_routers(place: Place) -> AsyncIterator[tuple[FakeEngine, list[RouterProcess]]]:
    """Three, ready, before one replica."""
    engine = FakeEngine()
    async with engine.running_server():
        with router_processes(place, engine, 3) as routers:
            await until_ready(routers)
            yield engine, routers


async def leader_of(routers: list[RouterProcess]) -> RouterProcess:
    async with asyncio.timeout(30):
        while True:
            for one in routers:
                if await asyncio.to_thread(one.metric, "patchbay_router_reconciling") == 1.0:
                    return one
            await asyncio.sleep(0.1)


async def test_a_canary_outlives_the_router_that_judged_it_and_is_still_rolled_back(place: Place) -> None:
    async with three_routers(place) as (engine, routers):
        canary = place.start()
        async with callers(routers) as answers:
            await place.until(canary, "running")
            await asyncio.sleep(1)
            leader = await leader_of(routers)
            leader.process.kill()
            engine.scripts["sql@2"] = Script(fault="busy_503")
            ended = await place.until(canary, "rolled_back")
        assert "error" not in answers, "the stable revision answers where the canary does not"
        assert ended.reason.startswith("errors: ")
        looks = place.registry.canaries.looks(canary.id)
        again = list(replayed(plan_of(dict(ended.plan), ended.id), looks))
        assert all(one.same for one in again)
        assert [look.number for look in looks] == list(range(1, len(looks) + 1)), "a look was taken twice, or lost"


async def test_three_routers_promote_what_is_no_worse(place: Place) -> None:
    async with three_routers(place) as (_, routers):
        canary = place.start()
        async with callers(routers):
            await place.until(canary, "promoted")
        assert place.registry.snapshot().adapters["sql"].number("stable") == 2


async def test_no_router_sends_anything_two_seconds_after_the_verdict(place: Place) -> None:
    async with three_routers(place) as (engine, routers):
        canary = place.start()
        async with callers(routers) as answers:
            await place.until(canary, "running")
            engine.scripts["sql@2"] = Script(fault="busy_503")
            rolling = await place.until(canary, "rolling_back", "rolled_back")
            ended = await place.until(canary, "rolled_back")
            took_s = float(ended.reason.rpartition("after ")[2].split()[0])
            assert took_s < 2, ended.reason
            seen = requests_of(engine, "sql@2")
            await asyncio.sleep(1)
            assert requests_of(engine, "sql@2") == seen
            assert answers
        assert rolling.weight == 0


def requests_of(engine: FakeEngine, revision: str) -> int:
    asked = [one.headers.get("x-patchbay-revision") or "" for one in engine.seen]
    return sum(one.startswith(f"{revision}-") for one in asked)


async def test_prometheus_gives_the_same_verdict_and_its_absence_holds(place: Place) -> None:
    if not has_prometheus():
        pytest.skip(NO_PROMETHEUS)
    engine, port = FakeEngine(), free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"metrics": "prometheus", "prometheus_url": url, "stale_s": 3}
    async with engine.running_server():
        with router_processes(place, engine, 2, **settings) as routers:
            await until_ready(routers)
            canary = place.start()
            async with callers(routers):
                await place.until(canary, "running")
                await place.until_reason(canary, "no data")
                engine.scripts["sql@2"] = Script(fault="busy_503")
                await asyncio.sleep(2)
                assert place.registry.canaries.get(canary.id).phase == "running", "no data is no verdict"
                leader = await leader_of(routers)
                assert leader.metric("patchbay_router_canary_blind") == 1.0
                with running_prometheus(port, [one.admin_url for one in routers]):
                    ended = await place.until(canary, "rolled_back")
            assert ended.reason.startswith("errors: ")
            assert place.counted_by(canary) <= {"prometheus", "routers"}
            seen = place.registry.canaries.judged(canary.id)[canary.id].verdict["seen"]
            assert seen["unit"] == "caller"
            assert seen["callers"] > 0, "what Prometheus does not have, routers tell"


async def test_prometheus_promotes_what_is_no_worse(place: Place) -> None:
    if not has_prometheus():
        pytest.skip(NO_PROMETHEUS)
    engine, port = FakeEngine(), free_port()
    settings = {"metrics": "prometheus", "prometheus_url": f"http://127.0.0.1:{port}"}
    async with engine.running_server():
        with router_processes(place, engine, 2, **settings) as routers:
            await until_ready(routers)
            with running_prometheus(port, [one.admin_url for one in routers]):
                canary = place.start()
                async with callers(routers):
                    await place.until(canary, "promoted")
