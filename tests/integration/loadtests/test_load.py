"""A load run against a real router in front of the fake engine; the sending process is a real one."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loadtests.load.driving import Driven, drive
from loadtests.load.figures import figures
from loadtests.load.plan import plan
from loadtests.load.records import Job, Planned
from loadtests.load.scenario import Scenario
from patchbay.command import build_app
from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import running_router, threaded_router

pytestmark = pytest.mark.anyio
MODELS = ("sql", "label")


def engine(**script: Any) -> FakeEngine:
    made = FakeEngine(revisions=tuple(revision(name) for name in MODELS))
    for name, value in script.items():
        setattr(made.script, name, value)
    return made


def scenario(**changed: Any) -> Scenario:
    base = {"seconds": 2, "arrivals": {"per_second": 30}, "requests": {"models": MODELS, "streams": 1}}
    return Scenario.model_validate(base | changed)


def job_of(router: Router, planned: tuple[Planned, ...], **changed: Any) -> Job:
    return Job(**{"url": router.url, "requests": planned, "keys": {}, "timeout_s": 20, "drain_s": 20, **changed})


async def driven(job: Job) -> Driven:
    return await asyncio.to_thread(drive, job, lambda sent, done: None)


async def test_a_stall_of_the_server_slows_no_arrival_and_shows_in_the_percentiles() -> None:
    wanted, gate, fake = scenario(), asyncio.Semaphore(0), engine()
    fake.script.gate = gate
    planned, loop = plan(wanted), asyncio.get_running_loop()
    all_sent, told = asyncio.Event(), list[tuple[int, int]]()

    def tell(sent: int, done: int) -> None:
        told.append((sent, done))
        if sent == len(planned):
            loop.call_soon_threadsafe(all_sent.set)

    async with running_router(fake) as router, asyncio.timeout(40):
        running = asyncio.create_task(asyncio.to_thread(drive, job_of(router, planned), tell))
        await all_sent.wait()
        # A closed loop would wait here for the first answers, and ask no more.
        assert told[-1] == (len(planned), 0)
        for _ in range(20 * len(planned)):
            gate.release()
        found = figures(wanted, planned, (await running).records).counted
    assert (found.answered, found.failed) == (len(planned), 0)
    assert found.ttft is not None
    first_due, last_due = planned[0].due_s, planned[-1].due_s
    # The first was due when the stall began, so it waited for all of it; half of them for half of it, at least.
    assert found.ttft.most >= last_due - first_due
    assert found.ttft.p50 >= (last_due - first_due) / 4


async def test_the_numbers_are_those_of_what_was_sent() -> None:
    wanted, fake = scenario(requests={"models": MODELS, "streams": 0.5}), engine(chunks=7)
    planned = plan(wanted)
    async with running_router(fake) as router:
        done = await driven(job_of(router, planned))
    found = figures(wanted, planned, done.records)
    assert found.sent == len(planned) == len(fake.seen) == done.locust_requests
    assert Counter(seen.json["model"] for seen in fake.seen) == {name: one.sent for name, one in found.by_model.items()}
    asked = {seen.json["messages"][0]["content"] for seen in fake.seen}
    assert asked == {one.body["messages"][0]["content"] for one in planned}
    assert (found.counted.tokens, found.counted.answered) == (7 * len(planned), len(planned))
    assert found.by_revision.keys() == {"sql@1", "label@1"}
    assert found.counted.ttft is not None
    assert found.counted.ttft.count == sum(bool(seen.json.get("stream")) for seen in fake.seen)
    assert done.locust_failures == 0


async def test_a_client_that_leaves_hangs_up_and_its_request_ends_at_the_engine() -> None:
    wanted = scenario(requests={"models": MODELS, "streams": 1, "cancels": 1, "cancel_after": 2})
    planned, fake = plan(wanted)[:10], engine(chunks=2000, delay_s=0.02)
    async with running_router(fake) as router:
        done = await driven(job_of(router, planned))
        async with asyncio.timeout(10):
            await asyncio.gather(*(seen.cancelled.wait() for seen in fake.seen))
    assert len(fake.seen) == 10
    assert {record.outcome for record in done.records} == {"cancelled"}
    assert all(0 < record.tokens < 2000 for record in done.records)


async def test_what_is_unfinished_when_time_is_up_has_failed() -> None:
    planned, fake = plan(scenario())[:3], engine(fault="hang")
    async with running_router(fake) as router:
        done = await driven(job_of(router, planned, drain_s=0.3))
    assert [record.kind for record in done.records] == ["unfinished"] * 3


@contextmanager
def on_router(tmp_path: Path, slo: str) -> Iterator[list[str]]:
    file = tmp_path / "short.yaml"
    file.write_text(f"seconds: 1\narrivals: {{per_second: 20}}\nrequests: {{models: [sql, label]}}\nslo: {{{slo}}}\n")
    with threaded_router(engine()) as router:
        yield ["load", "run", str(file), "--url", router.url, "--report", str(tmp_path / "report"), "--json"]


@pytest.mark.parametrize(("slo", "code"), [("availability: 1, ttft_p95_s: 30", 0), ("ttft_p95_s: 0.000001", 1)])
def test_the_exit_code_says_whether_the_targets_are_met(slo: str, code: int, tmp_path: Path) -> None:
    with on_router(tmp_path, slo) as command:
        done = CliRunner().invoke(build_app(), command)
    assert done.exit_code == code, done.output
    told, kept = json.loads(done.stdout), json.loads((tmp_path / "report" / "report.json").read_text())
    assert told["met"] == kept["met"] == (code == 0)
    assert told["figures"] == kept["figures"]
    assert (tmp_path / "report" / "report.html").exists()
