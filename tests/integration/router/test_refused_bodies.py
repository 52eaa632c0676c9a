"""Bodies that nobody asked for: a router keeps nothing of them, with or without a key."""

import asyncio
import gc
import weakref

import pytest

from patchbay.router.http.connection import ClientConnection
from tests.fakes.engine import FakeEngine
from tests.fakes.routers import running_router, until

pytestmark = pytest.mark.anyio
KEY = "k" * 32


@pytest.mark.parametrize(
    ("line", "key", "status"),
    [
        ("POST /v1/chat/completions", "", 401),
        ("POST /v1/chat/completions", "x" * 32, 401),
        ("POST /v1/nothing", KEY, 404),
        ("GET /v1/models", KEY, 200),
        ("POST /v1/chat/completions", KEY, 0),
        ("POST /v1/feedback", KEY, 0),
    ],
)
async def test_what_is_refused_by_its_head_or_ends_early_is_kept_by_nobody(line: str, key: str, status: int) -> None:
    async with running_router(FakeEngine(), api_keys=(KEY,)) as router:
        shared = router._public._shared  # noqa: SLF001 - nobody else has a reason to ask what is held
        gc.collect()
        gc.disable()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(router.url.rpartition(":")[2]))
            await until(lambda: len(shared.connections) == 1)
            there: weakref.ref[ClientConnection] = weakref.ref(next(iter(shared.connections)))
            writer.write(f"{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n".encode())
            writer.write(b"content-length: 9000000\r\n\r\n" + b"x" * 500_000)
            if status:
                assert (await reader.readline()).startswith(b"HTTP/1.1 %d " % status)
                writer.write(b"x" * 4_000_000)
                await writer.drain()
                assert shared.bodies.held_bytes == 0
            else:
                await until(lambda: shared.bodies.held_bytes == 500_000)
            writer.transport.abort()
            await until(lambda: there() is None)
            assert shared.bodies.held_bytes == 0
        finally:
            gc.enable()
