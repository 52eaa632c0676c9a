"""Streams outlive their replica, on the real engine: cut connections stand for replicas that die."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadtests.chaos import Report, measure, prompts, show
from tests.engine.conftest import TOKEN, Stack, free_ports, router_process
from tests.fakes.cutter import Cutter

pytestmark = pytest.mark.engine
STREAMS = 200
TOKENS = 120


async def _has_worked(cutter: Cutter) -> None:
    """Until its streams have got some ten tokens each: by work and not by time, so that as many streams are cut on a
    fast machine as on a slow one."""
    began, before = time.monotonic(), cutter.passed
    while not cutter.streams or cutter.passed - before < 2500 * cutter.streams:
        await asyncio.sleep(0.05)
        if time.monotonic() - began > 20:
            return


async def _chaos(stack: Stack, folder: Path) -> Report:
    port = int(stack.replica_url.rpartition(":")[2])
    async with Cutter(port).running() as one, Cutter(port).running() as other:

        @asynccontextmanager
        async def cutting() -> AsyncIterator[list[float]]:
            kills: list[float] = []

            async def cut() -> None:
                while True:
                    for cutter in (one, other):
                        await _has_worked(cutter)
                        cutter.die()
                        kills.append(time.monotonic())
                        await asyncio.sleep(1)
                        await cutter.revive()

            task = asyncio.create_task(cut())
            try:
                yield kills
            finally:
                task.cancel()
                await asyncio.wait({task})

        port, admin_port = free_ports(2)
        replicas = [{"url": way.url, "token": TOKEN} for way in (one, other)]
        # Deaths come so often that one request may see many before its turn in the engine, and does not cause them.
        patient = {"retry": {"deaths": 100}, "carry_timeout_s": 120}
        config = {"port": port, "admin_port": admin_port, "admin_open": True, "replicas": replicas, **patient}
        started = router_process(folder, config)
        # It waits, and what it waits for goes through this event loop.
        url = await asyncio.to_thread(started.__enter__)
        try:
            return await measure(url, f"http://127.0.0.1:{admin_port}", prompts(STREAMS, TOKENS), cutting)
        finally:
            await asyncio.to_thread(started.__exit__, None, None, None)


@pytest.mark.timeout(600)
def test_two_hundred_streams_under_dying_replicas_are_whole_and_say_what_undisturbed_ones_say(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = asyncio.run(_chaos(stack, tmp_path))
    with capsys.disabled():
        show(report)
    assert report.failed == 0, report.examples
    assert report.carried > STREAMS / 4, "hardly any stream was cut"
    assert report.agree >= report.agree_undisturbed - 0.02
