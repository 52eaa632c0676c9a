"""File descriptors that run out: idle clients go first, and no replica is blamed."""

import asyncio
import contextlib
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from patchbay.core.errors import Unavailable
from patchbay.router.http.port import Port, PortLimits
from patchbay.router.http.request import Reply, Request
from patchbay.router.upstream.client import Call, ReplicaClient
from tests.fakes.engine import TOKEN, FakeEngine
from tests.fakes.routers import free_port, read_until
from tests.integration.router.wire import CHAT, ask

pytestmark = pytest.mark.anyio
_GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class House:
    """A port with room for a few, that answers when it is told to."""

    def __init__(self, most: int) -> None:
        self.shed: list[str] = []
        self.go_on = asyncio.Event()
        self.asked = asyncio.Semaphore(0)
        bound = socket.create_server(("127.0.0.1", 0))
        bound.setblocking(False)
        self.address = bound.getsockname()
        self.port = Port(
            self.answer,
            bound,
            limits=PortLimits(body_bytes=1000, head_timeout_s=60, descriptors=most),
            shed=self.shed.append,
        )

    async def answer(self, request: Request, reply: Reply) -> None:
        self.asked.release()
        await self.go_on.wait()
        reply.start(200, [], length=2)
        reply.end(b"ok")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self.port.run_until_stopped())
        await self.port.up.wait()
        try:
            yield
        finally:
            self.port.stop(at_once=True)
            await running

    async def connect(self, *, asks: bool = False) -> Streams:
        reader, writer = await asyncio.open_connection(*self.address)
        if asks:
            writer.write(_GET)
            await self.asked.acquire()
        return reader, writer


async def test_the_oldest_idle_connection_makes_room_and_one_that_is_answered_never_does() -> None:
    house = House(most=5)
    async with house.open(), asyncio.timeout(60):
        busy = await house.connect(asks=True)
        oldest, older = await house.connect(), await house.connect()
        # Two for the one that is answered, and one each: that is all, so the oldest goes for each of these.
        third = await house.connect()
        newest = await house.connect()
        assert (await oldest[0].read()).startswith(b"HTTP/1.1 503 Service Unavailable")
        assert house.shed == ["refused"]
        third[1].write(_GET)
        await house.asked.acquire()
        assert (await older[0].read()).startswith(b"HTTP/1.1 503 Service Unavailable")
        house.go_on.set()
        for reader, _ in (busy, third):
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK")
        for _, writer in (busy, oldest, older, third, newest):
            writer.close()


async def test_one_that_was_answered_makes_room_before_one_that_has_not_asked_yet() -> None:
    house = House(most=4)
    house.go_on.set()
    async with house.open(), asyncio.timeout(60):
        fresh, answered = await house.connect(), await house.connect(asks=True)
        assert (await answered[0].readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK")
        others = [await house.connect() for _ in range(3)]
        assert await answered[0].read() == b""
        assert house.shed == ["idle"]
        for _, writer in (fresh, answered, *others):
            writer.close()


async def test_a_burst_of_clients_that_ask_at_once_is_answered_or_told_why_and_never_reset() -> None:
    house = House(most=6)
    house.go_on.set()

    async def one() -> bytes:
        reader, writer = await asyncio.open_connection(*house.address)
        writer.write(_GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        try:
            return await reader.read()
        finally:
            writer.close()

    async with house.open(), asyncio.timeout(60):
        answers = await asyncio.gather(*(one() for _ in range(60)))
    assert {answer[:12] for answer in answers} <= {b"HTTP/1.1 200", b"HTTP/1.1 503"}
    assert house.shed.count("refused") == sum(answer.startswith(b"HTTP/1.1 503") for answer in answers)


async def test_where_all_are_answered_a_new_connection_is_told_so_and_counted() -> None:
    house = House(most=4)
    async with house.open(), asyncio.timeout(60):
        busy = [await house.connect(asks=True) for _ in range(2)]
        refused = await house.connect()
        assert (await refused[0].read()).startswith(b"HTTP/1.1 503 Service Unavailable")
        assert house.shed == ["refused"]
        house.go_on.set()
        for reader, writer in (*busy, refused):
            with contextlib.suppress(asyncio.IncompleteReadError):
                await reader.readuntil(b"ok")
            writer.close()


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process has none left."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_a_connection_that_this_process_has_no_descriptor_for_is_no_failure_of_the_replica() -> None:
    with socket.create_server(("127.0.0.1", 0)) as replica:
        url = f"http://127.0.0.1:{replica.getsockname()[1]}"
        async with ReplicaClient(url, connect_timeout_s=5, read_timeout_s=5) as client:
            with no_descriptors(), pytest.raises(Unavailable, match="no file descriptors left"):
                await client.open(Call(method="GET", path="/"))


async def test_idle_clients_that_want_every_descriptor_stop_nobody_elses_requests(tmp_path: Path) -> None:
    async with FakeEngine().running_server() as fake:
        port, admin_port = free_port(), free_port()
        config = {"replicas": [{"url": fake.url, "token": TOKEN, "name": "one"}], "port": port}
        (tmp_path / "router.yaml").write_text(yaml.safe_dump({**config, "admin_port": admin_port, "admin_open": True}))
        # 96 descriptors in all, of which a router at rest has some twenty.
        command = f"ulimit -n 96; exec {sys.executable} -m patchbay.router --config {tmp_path}/router.yaml"
        router = await asyncio.create_subprocess_exec("sh", "-c", command, stderr=asyncio.subprocess.PIPE)
        idle: list[socket.socket] = []
        try:
            await read_until(router.stderr, "listening on", 60)
            idle += [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
            async with httpx.AsyncClient(timeout=60) as client:
                asking = (client.post(f"http://127.0.0.1:{port}{CHAT}", json=ask()) for _ in range(8))
                assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
                told = (await client.get(f"http://127.0.0.1:{admin_port}/metrics")).text
                (replica,) = (await client.get(f"http://127.0.0.1:{admin_port}/admin/v1/replicas")).json()["replicas"]
            assert (replica["state"], replica["circuit"]) == ("ready", "closed")
            assert 'patchbay_router_connections_shed_total{how="refused"}' in told
            assert "patchbay_router_upstream_failures_total{" not in told
        finally:
            for one in idle:
                one.close()
            router.kill()
            await router.communicate()
