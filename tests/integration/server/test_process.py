"""A replica's process ends within a bound, whatever hangs, once its engine is gone or it was asked to."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from tests.fakes.launch_run import Run, free_port

pytestmark = pytest.mark.anyio
_CHAT = {"model": "tiny", "messages": [], "stream": True}


@dataclass
class House:
    """A replica's process under test, and a client of its."""

    run: Run
    client: httpx.AsyncClient
    port: int

    async def core(self) -> psutil.Process:
        return psutil.Process(int((await self.run.line("core ")).rpartition(" ")[2]))

    async def says(self, path: str) -> int:
        try:
            return (await self.client.get(path)).status_code
        except httpx.TransportError:
            return 0

    async def until(self, path: str, status: int) -> None:
        async with asyncio.timeout(60):
            while await self.says(path) != status:
                await asyncio.sleep(0.02)

    async def ended(self) -> int:
        """Its exit code, once nothing of it lives."""
        code = await self.run.end()
        assert self.run.processes() == []
        return code


@asynccontextmanager
async def house(folder: Path, hang: str = "", **changes: Any) -> AsyncIterator[House]:
    port = free_port()
    data = {
        "base": {"model": "org/tiny", "name": "tiny"},
        "port": port,
        "artifacts": {"url": str(folder / "artifacts")},
        "cache_dir": str(folder / "cache"),
        "drain_timeout_s": 1,
        "end_timeout_s": 1,
    }
    file = folder / "replica.yaml"
    file.write_text(yaml.safe_dump(data | changes))
    argv = ["-m", "tests.fakes.replica_process", str(file), "--hang", hang]
    async with (
        Run.start(argv) as run,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield House(run, client, port)


async def test_it_drains_and_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.until("/readyz", 200)
        here.run.up.terminate()
        assert await here.ended() == 0


@pytest.mark.parametrize("hang", ["", "tiers", "close", "thread", "exit"])
async def test_its_engines_death_is_its_own_and_says_so(tmp_path: Path, hang: str) -> None:
    """`tiers`: as vLLM, which never answers what it was asked when it died."""
    async with house(tmp_path, hang) as here:
        await here.until("/readyz", 200)
        asking = asyncio.create_task(here.says("/internal/status"))
        (await here.core()).kill()
        assert await here.ended() == 1
        await asking
        assert "its core has gone" in await here.run.line("error: ")
        assert not _listens(here.port)


@pytest.mark.parametrize("hang", ["loop", "lock"])
async def test_its_engines_death_ends_it_where_even_its_event_loop_or_pythons_lock_hangs(
    tmp_path: Path, hang: str
) -> None:
    async with house(tmp_path, hang) as here:
        await here.until("/readyz", 200)
        (await here.core()).kill()
        assert await here.ended() in (1, -signal.SIGALRM)


async def test_a_request_that_waits_for_the_dead_engine_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with house(tmp_path, "tiers", end_timeout_s=15) as here:
        await here.until("/readyz", 200)
        (await here.core()).kill()
        waiting = [asyncio.create_task(here.says("/internal/adapters")) for _ in range(3)]
        assert await here.ended() == 1
        await asyncio.gather(*waiting)
        assert "did not end by itself" not in "\n".join(here.run.log)


@pytest.mark.parametrize("stream", [True, False])
async def test_requests_under_way_break_off_at_once_when_its_engine_dies(tmp_path: Path, stream: bool) -> None:
    """With an error of its own a router would take that for their answer; so another replica is asked."""
    async with house(tmp_path, "tiers", end_timeout_s=15) as here:
        await here.until("/readyz", 200)
        asking = asyncio.create_task(here.client.post("/v1/chat/completions", json=_CHAT | {"stream": stream}))
        async with asyncio.timeout(30):
            while (await here.client.get("/internal/status")).json()["requests"]["running"] == 0:
                await asyncio.sleep(0.02)
        (await here.core()).kill()
        with pytest.raises(httpx.RemoteProtocolError):
            await asking
        assert await here.ended() == 1


async def test_its_health_is_bad_once_its_engine_is_dead_and_good_before(tmp_path: Path) -> None:
    async with house(tmp_path, "close", end_timeout_s=10) as here:
        await here.until("/healthz", 200)
        await here.until("/readyz", 200)
        assert await here.says("/healthz") == 200
        # It stands still while its core dies, so that what it answers first is an answer of afterwards.
        here.run.up.send_signal(signal.SIGSTOP)
        asking = [asyncio.create_task(here.client.get(path)) for path in ("/healthz", "/readyz")]
        core = await here.core()
        core.kill()
        await asyncio.to_thread(_wait_for_death, core)
        here.run.up.send_signal(signal.SIGCONT)
        health, ready = await asyncio.gather(*asking)
        assert (health.status_code, health.json()["status"]) == (503, "dead")
        assert ready.status_code == 503
        here.run.up.kill()


async def test_its_health_is_good_while_it_starts_and_drains(tmp_path: Path) -> None:
    async with house(tmp_path, "start") as here:
        await here.until("/healthz", 200)
        assert await here.says("/readyz") == 503
        here.run.up.kill()
    async with house(tmp_path, drain_timeout_s=20) as here, _streaming(here):
        here.run.up.terminate()
        await here.until("/readyz", 503)
        assert await here.says("/healthz") == 200
        here.run.up.kill()


@pytest.mark.parametrize("hang", ["start", "close", "thread", "loop", "lock", "exit", "busy"])
async def test_sigterm_ends_it_whatever_hangs(tmp_path: Path, hang: str) -> None:
    async with house(tmp_path, hang) as here:
        await here.core()
        if hang == "busy":
            await here.run.line("busy")
        elif hang != "start":
            await here.until("/readyz", 200)
        here.run.up.terminate()
        assert await here.ended() in (128 + signal.SIGTERM, 1, -signal.SIGALRM)


async def test_a_request_that_never_ends_is_cut_at_the_end_of_the_drain(tmp_path: Path) -> None:
    async with house(tmp_path, end_timeout_s=15) as here, _streaming(here):
        here.run.up.terminate()
        assert await here.ended() == 0


async def test_an_engine_that_dies_while_its_replica_drains_ends_the_drain(tmp_path: Path) -> None:
    async with house(tmp_path, "close", drain_timeout_s=600) as here, _streaming(here):
        here.run.up.terminate()
        await here.until("/readyz", 503)
        (await here.core()).kill()
        assert await here.ended() == 1


async def test_a_second_sigterm_ends_it_at_once(tmp_path: Path) -> None:
    async with house(tmp_path, drain_timeout_s=600, end_timeout_s=600) as here, _streaming(here):
        here.run.up.terminate()
        await here.until("/readyz", 503)
        here.run.up.terminate()
        assert await here.ended() == 128 + signal.SIGTERM


async def test_an_event_loop_that_stands_still_for_good_ends_it(tmp_path: Path) -> None:
    async with house(tmp_path, "stall", stall_timeout_s=5) as here:
        await here.until("/healthz", 200)
        assert await here.ended() == -signal.SIGALRM


@asynccontextmanager
async def _streaming(here: House) -> AsyncIterator[None]:
    """A stream of the replica's that is under way, and does not end by itself."""
    await here.until("/readyz", 200)
    async with here.client.stream("POST", "/v1/chat/completions", json=_CHAT) as answer:
        chunks = answer.aiter_raw()
        await anext(chunks)
        yield
        with contextlib.suppress(httpx.TransportError):
            async for _ in chunks:
                pass


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _wait_for_death(process: psutil.Process) -> None:
    """Waits until it has ended, though its parent, which stands still, has not taken note of that."""
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            os.sched_yield()
