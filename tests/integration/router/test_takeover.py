"""Two routers on one port, the newer taking over from the older: nothing is lost."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from patchbay.core.errors import StartError
from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine
from tests.fakes.routers import free_port, router_config, running_router, until
from tests.integration.router.wire import CHAT, ask, events, post

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def taking_turns(fake: FakeEngine, port: int, turns: int) -> AsyncIterator[asyncio.Task[None]]:
    """A task that replaces the router on `port` again and again, the next one always up before the last one ends."""

    async def replace() -> None:
        running: asyncio.Task[None] | None = None
        before: Router | None = None
        for _ in range(turns):
            router = Router(router_config(fake, port=port, reuse_port=True))
            task = asyncio.create_task(router.run())
            await router.up.wait()
            if before is not None and running is not None:
                before.stop()
                await running
            before, running = router, task
            await asyncio.sleep(0.05)
        over.set()
        await done.wait()
        if before is not None and running is not None:
            before.stop()
            await running

    over, done = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(replace())
    try:
        yield asyncio.create_task(_wait(over))
    finally:
        done.set()
        await task


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def answered(url: str) -> bool:
    """Keeps trying until the first router is there."""
    with contextlib.suppress(httpx.ConnectError):
        async with httpx.AsyncClient() as client:
            return (await client.post(url, json=ask())).status_code == 200
    return False


async def fresh_connections(url: str, over: asyncio.Task[None], seen: Counter[str]) -> None:
    while not over.done():
        async with httpx.AsyncClient(timeout=20) as client:
            seen[f"fresh {(await client.post(url, json=ask())).status_code}"] += 1


async def kept_connections(url: str, over: asyncio.Task[None], seen: Counter[str]) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        while not over.done():
            seen[f"kept {(await client.post(url, json=ask())).status_code}"] += 1


async def streams(url: str, over: asyncio.Task[None], seen: Counter[str]) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        while not over.done():
            answer = await client.post(url, json=ask(stream=True))
            seen[f"stream {events(answer.text)[-1]}"] += 1


async def test_routers_that_replace_each_other_on_a_port_lose_no_request_and_no_stream() -> None:
    fake = FakeEngine()
    fake.script.chunks, fake.script.delay_s = 10, 0.02
    url = f"http://127.0.0.1:{(port := free_port())}{CHAT}"
    seen: Counter[str] = Counter()
    async with fake.running_server(), taking_turns(fake, port, turns=8) as over:
        while not await answered(url):
            await asyncio.sleep(0.02)
        async with asyncio.TaskGroup() as clients:
            for work in (fresh_connections, kept_connections, streams) * 4:
                clients.create_task(work(url, over, seen))
    assert set(seen) == {"fresh 200", "kept 200", "stream [DONE]"}
    assert min(seen.values()) > 10


async def test_a_router_that_is_not_ready_takes_nothing_from_the_one_that_is() -> None:
    port, good, absent = free_port(), FakeEngine(), FakeEngine("absent")
    absent.port = free_port()
    async with running_router(good, port=port, reuse_port=True):
        late = Router(router_config(absent, port=port, reuse_port=True))
        running = asyncio.create_task(late.run())
        await asyncio.sleep(0.2)
        async with httpx.AsyncClient() as client:
            for _ in range(20):
                answer = await client.get(f"http://127.0.0.1:{port}/healthz", headers={"connection": "close"})
                assert answer.status_code == 200
        late.stop()
        await running


async def test_a_shared_port_alone_serves_as_any_other_and_a_port_is_not_shared_unasked() -> None:
    async with running_router(FakeEngine(), reuse_port=True) as router:
        assert (await post(router)).status_code == 200
        other = FakeEngine("x")
        other.port = 1
        with pytest.raises(StartError, match="is taken"):
            Router(router_config(other, port=int(router.url.rpartition(":")[2])))
        await until(lambda: router.public_app.in_flight == 0)
