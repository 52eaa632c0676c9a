"""A client's connection: what goes out together, and whose the work is when it ends."""

import asyncio
from typing import cast

import pytest

from patchbay.router.http.connection import ClientConnection
from patchbay.router.http.port_state import PortState
from patchbay.router.http.request import App, Reply, Request
from tests.fakes.transport import Transport

pytestmark = pytest.mark.anyio


class Writes(Transport):
    """Keeps each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keeps `data`."""
        super().write(data)
        self.parts.append(data)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def opened(app: App) -> tuple[ClientConnection, PortState, Writes]:
    state = PortState(app=app, limit_bytes=1000, idle_s=60, head_s=60)
    connection, transport = ClientConnection(state), Writes()
    connection.connection_made(cast(asyncio.Transport, transport))
    return connection, state, transport


async def whole(request: Request, reply: Reply) -> None:
    reply.start(204 if request.path == "/none" else 200, [], length=2, body_is_here=True)
    reply.end(b"ok")


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [("GET /", "200 OK", "ok"), ("HEAD /", "200 OK", ""), ("GET /none", "204 No Content", "")],
)
async def test_a_whole_answer_is_one_write_with_its_head_also_where_it_has_no_body(
    request_line: str, status: str, body: str
) -> None:
    connection, _, transport = await opened(whole)
    for _ in range(2):
        connection.data_received(f"{request_line} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        await settle()
    assert len(transport.parts) == 2
    for part in transport.parts:
        head, _, sent = part.decode().partition("\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status}\r\ndate: ")
        assert sent == body


async def test_the_head_of_a_stream_does_not_wait_for_its_first_part() -> None:
    go_on = asyncio.Event()

    async def stream(request: Request, reply: Reply) -> None:
        reply.start(200, [])
        await go_on.wait()
        reply.end(b"ok")

    connection, _, transport = await opened(stream)
    connection.data_received(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await settle()
    assert len(transport.parts) == 1
    assert transport.parts[0].endswith(b"\r\n\r\n")
    go_on.set()
    await settle()
    assert transport.written.endswith(b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")


@pytest.mark.parametrize("cut_by", ["port", "client"])
async def test_the_port_has_the_work_of_a_connection_that_ends_before_it_and_no_other(cut_by: str) -> None:
    cleaned_up = asyncio.Event()

    async def slow(request: Request, reply: Reply) -> None:
        if request.path == "/quick":
            await whole(request, reply)
            return
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.set()

    connection, state, _ = await opened(slow)
    connection.data_received(b"GET /quick HTTP/1.1\r\nhost: x\r\n\r\n")
    await settle()
    connection.data_received(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    await settle()
    assert not state.tasks
    if cut_by == "port":
        connection.abort()
        assert len(state.tasks) == 1
    connection.connection_lost(None)
    assert len(state.tasks) == 1
    await asyncio.wait(state.tasks, timeout=20)
    assert cleaned_up.is_set()
    await settle()
    assert not state.tasks


async def test_a_read_of_very_many_chunks_is_parsed_in_one_turn_of_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fed: list[bytes] = []
    feed = Request.feed

    def noted(self: Request, data: bytes) -> int:
        fed.append(data)
        return feed(self, data)

    monkeypatch.setattr(Request, "feed", noted)
    connection, _, _ = await opened(whole)
    # As much as asyncio reads at once.
    count = 256 * 1024 // len(b"1\r\nx\r\n")
    connection.data_received(
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * count
    )
    assert 0 < len(fed) < count / 7
    async with asyncio.timeout(10):
        while len(fed) < count:
            await asyncio.sleep(0)
    assert fed == [b"x"] * count
