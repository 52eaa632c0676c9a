"""Canaries by a Prometheus server: whose counts they are, what is missing, and what is said of a wrong address."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from patchbay.registry.registry import Registry
from patchbay.router.canary.config import CanaryConfig
from patchbay.router.control.prometheus import Freshness, NoData, PrometheusSource, Scraped
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.postgres import Postgres
from tests.fakes.prometheus import NO_PROMETHEUS, has_prometheus, running_prometheus
from tests.fakes.routers import free_port
from tests.integration.canaries.conftest import Place, callers, made_place, router_processes, until_ready

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.fixture
def other_place(place: Place, postgres: Postgres) -> Iterator[Place]:
    """Another installation, whose adapter, revisions and canaries have the same names and numbers."""
    folder = place.folder / "other"
    folder.mkdir()
    url = postgres.new_database()
    with Registry.open(url) as registry:
        yield made_place(folder, url, registry)


async def test_one_prometheus_for_two_installations_gives_each_the_verdict_that_its_own_counts_give(
    place: Place, other_place: Place
) -> None:
    """The first is judged by the server that scrapes both, and is bad. The second, by its routers' own counts, is as
    bad; then the first's next canary, which is good, is promoted beside what the server has of the bad ones."""
    if not has_prometheus():
        pytest.skip(NO_PROMETHEUS)
    port = free_port()
    engine, other_engine = FakeEngine(), FakeEngine()
    by_server = {"metrics": "prometheus", "prometheus_url": f"http://127.0.0.1:{port}"}
    async with engine.running_server(), other_engine.running_server():
        with (
            router_processes(place, engine, 2, **by_server) as ours,
            router_processes(other_place, other_engine, 2) as others,
        ):
            await until_ready([*ours, *others])
            with running_prometheus(port, [one.admin_url for one in (*ours, *others)]):
                first, second = place.start(), other_place.start()
                assert first.id == second.id
                async with callers(ours), callers(others):
                    await place.until(first, "running")
                    await other_place.until(second, "running")
                    engine.scripts["sql@2"] = other_engine.scripts["sql@2"] = Script(fault="busy_503")
                    ended = await place.until(first, "rolled_back")
                    beside = await other_place.until(second, "rolled_back")
                    engine.scripts.clear()
                    good = place.start(why="mended")
                    await place.until(good, "promoted")
    assert ended.reason.startswith("errors: ")
    assert beside.reason.startswith("errors: ")
    assert place.counted_by(first) <= {"prometheus", "routers"}


async def test_a_router_that_is_not_scraped_is_noticed_and_nothing_is_decided(place: Place) -> None:
    if not has_prometheus():
        pytest.skip(NO_PROMETHEUS)
    engine, port = FakeEngine(), free_port()
    settings = {"metrics": "prometheus", "prometheus_url": f"http://127.0.0.1:{port}"}
    async with engine.running_server():
        with router_processes(place, engine, 2, **settings) as routers:
            await until_ready(routers)
            with running_prometheus(port, [routers[0].admin_url]):
                canary = place.start()
                async with callers(routers):
                    await place.until(canary, "running")
                    await place.until_reason(canary, "Prometheus has not scraped router-1")
                    engine.scripts["sql@2"] = Script(fault="busy_503")
                    async with callers(routers) as more:
                        while len(more) < 100:
                            await place.until_reason(canary, "Prometheus has not scraped router-1")
                blind = place.registry.canaries.get(canary.id)
                said = [look for look in place.registry.canaries.looks(canary.id) if look.verdict["kind"] == "blind"]
    assert blind.phase == "running"
    assert len(said) <= 2, "what is missing is said once"


@asynccontextmanager
async def answering(
    response: Callable[[], web.Response], asked: list[str] | None = None
) -> AsyncIterator[PrometheusSource]:
    """A source whose server answers everything so. `asked`: gets its queries."""

    async def answer(request: web.Request) -> web.Response:
        if asked is not None:
            asked.append(request.query["query"])
        return response()

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/prom"
    source = PrometheusSource(CanaryConfig(metrics="prometheus", prometheus_url=url))
    try:
        yield source
    finally:
        await source.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (lambda: web.Response(text="<html>\n<h1>Grafana</h1>\n</html>", content_type="text/html"), "right URL"),
        (lambda: web.Response(status=302, headers={"location": "/login"}), "HTTP 302, a redirect to /login"),
        (lambda: web.Response(status=401, text="no\nyou may not"), "HTTP 401"),
        (lambda: web.json_response({"status": "error", "error": "bad\nquery"}, status=422), "HTTP 422, bad"),
        (lambda: web.json_response({"data": {"result": []}}), "has not scraped router-0"),
    ],
)
async def test_a_wrong_address_becomes_many_lines(response: Callable[[], web.Response], says: str) -> None:
    async with answering(response) as source:
        with pytest.raises(NoData) as found:
            await source.read(1, Scraped("id", ["router-0"]), {})
    assert says in str(found.value)
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 250


async def test_a_query_counts_what_other_installations_have() -> None:
    labels = {"router": "router-0", "arm": "canary", "share": "0.1", "event": "request"}
    told, asked = {"data": {"result": [{"metric": labels, "value": [10.0, "10"]}]}}, list[str]()
    async with answering(lambda: web.json_response(told), asked) as source:
        reading = await source.read(7, Scraped("ours", ["router-0"]), {})
    assert [one.canary for one in reading.counts] == [10]
    assert len(asked) == 2
    assert all('{installation="ours"' in query for query in asked)


@given(interval_s=st.floats(3.5, 60), outage_s=st.floats(0, 300))
def test_an_interval_above_what_is_stale_flips_for_ever(interval_s: float, outage_s: float) -> None:
    fresh, at_s, said = Freshness(3), 1000.0, set[str | None]()
    for scrape in range(6):
        at_s += interval_s + (outage_s if scrape == 3 else 0)
        for age_s in (0.0, interval_s - 0.1):
            told = fresh.fault({"one": at_s}, ["one"], at_s + age_s)
            if scrape > 0:
                said.add(told)
    assert None not in said
    assert all("below Prometheus' scrape interval" in (one or "") for one in said)


def test_an_outage_is_taken_for_an_interval() -> None:
    fresh = Freshness(3)
    assert [fresh.fault({"one": at}, ["one"], at) for at in (0.0, 1.0, 2.0)] == [None] * 3
    assert fresh.fault({"one": 2.0}, ["one"], 90.0) == "Prometheus' data about one is older than 3 s"
    assert fresh.fault({"one": 91.0}, ["one"], 91.0) is None
    assert fresh.fault({"one": 91.0}, ["one", "two"], 91.0) == "Prometheus has not scraped two"
