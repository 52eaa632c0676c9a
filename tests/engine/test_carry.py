"""Streams outlive their replica, on the real engine: cut connections stand for replicas that die."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from loadtests.chaos import Report, measure, prompts, show
from tests.engine.conftest import TOKEN, Stack, free_ports
from tests.fakes.cutter import Cutter

pytestmark = pytest.mark.engine
STREAMS = 200
TOKENS = 120


@contextmanager
def router_over(cutters: list[int], folder: Path) -> Iterator[str]:
    """A router of its own whose replicas are the ports `cutters`; its admin port is the next one to its own."""
    port = next(port for port in free_ports(20) if _is_free(port + 1))
    replicas = [{"url": f"http://127.0.0.1:{one}", "token": TOKEN} for one in cutters]
    file = folder / "router.yaml"
    file.write_text(yaml.safe_dump({"port": port, "admin_port": port + 1, "replicas": replicas}))
    process = subprocess.Popen([sys.executable, "-m", "router", "--config", str(file)], stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def _until_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline:
            try:
                if (await client.get(f"{url}/healthz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def _chaos(stack: Stack, folder: Path) -> Report:
    port = int(stack.replica_url.rpartition(":")[2])
    async with Cutter(port).running() as one, Cutter(port).running() as other:

        @asynccontextmanager
        async def cutting() -> AsyncIterator[list[float]]:
            kills: list[float] = []

            async def cut() -> None:
                while True:
                    for cutter in (one, other):
                        await asyncio.sleep(2)
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

        with router_over([one.port, other.port], folder) as url:
            await _until_ready(url)
            return await measure(url, prompts(STREAMS, TOKENS), cutting)


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
