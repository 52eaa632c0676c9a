"""Real routers for tests: one in this event loop, or one in a process of its own."""

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from pydantic import SecretStr

from patchbay.router.process.app import Router
from patchbay.router.settings.config import ReplicaConfig, RouterConfig
from tests.fakes.engine import FakeEngine
from tests.fakes.raw_replica import RawReplica
from tests.fakes.turns import starting


@asynccontextmanager
async def running_router(*engines: FakeEngine | RawReplica, **settings: Any) -> AsyncIterator[Router]:
    """A router in front of `engines` (started here where they are not), on free ports. `settings`: RouterConfig's."""
    async with AsyncExitStack() as stack:
        for engine in engines:
            if isinstance(engine, FakeEngine) and not engine.port:
                await stack.enter_async_context(engine.running_server())
        with starting():
            router = Router(router_config(*engines, **settings))
            running = asyncio.create_task(router.run())
            up = asyncio.create_task(router.up.wait())
            await asyncio.wait({running, up}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield router
        finally:
            router.stop()
            router.stop()
            await running


def router_config(*engines: FakeEngine | RawReplica, **settings: Any) -> RouterConfig:
    """The configuration of a router in front of `engines`, on free ports, that polls fast."""
    replicas = tuple(
        ReplicaConfig(url=engine.url, name=engine.name, token=SecretStr(engine.token) if engine.token else None)
        for engine in engines
    )
    # Most tests are of other things than the admin port's token.
    opened = {"admin_open": not {"admin_token", "admin_tokens"} & settings.keys()}
    fast = {"port": 0, "admin_port": 0, "poll_interval_s": 0.05, "poll_interval_unready_s": 0.02}
    return RouterConfig.model_validate({"replicas": replicas, **fast, **opened, **settings})


async def until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Waits for `condition`, which some other task makes true. Raises TimeoutError where none does."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


def free_port() -> int:
    """A port that nobody listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def start_process(*arguments: str) -> asyncio.subprocess.Process:
    """`python -m patchbay.router` with `arguments`, its output piped."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "patchbay.router",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def read_until(stream: asyncio.StreamReader | None, text: str, timeout_s: float = 10) -> str:
    """What a process writes, up to and with the line that holds `text`. Raises TimeoutError where none comes."""
    lines: list[str] = []
    async with asyncio.timeout(timeout_s):
        while stream is not None and not (lines and text in lines[-1]):
            line = await stream.readline()
            if not line:
                break
            lines.append(line.decode())
    return "".join(lines)


@contextmanager
def threaded_router(*engines: FakeEngine, **settings: Any) -> Iterator[Router]:
    """A router in front of `engines` in a thread of its own, for tests that have no event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    opened = running_router(*engines, **settings)
    try:
        yield asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(20)
    finally:
        asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
