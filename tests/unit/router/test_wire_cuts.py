"""The network may cut anything anywhere: what is read must not depend on where."""

import asyncio
from typing import cast

import pytest

from patchbay.router.http.connection import ClientConnection
from patchbay.router.http.port_state import PortState
from patchbay.router.http.request import Reply, Request
from patchbay.router.upstream.connection import Connection
from patchbay.router.upstream.failure import ReplicaFailure
from tests.fakes.transport import Transport

pytestmark = pytest.mark.anyio

EVENTS = b'data: {"a": 1}\n\ndata: {"b": "\xc3\xa9"}\r\n\r\ndata: [DONE]\n\n'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'10\r\ndata: {"a": 1}\n\n\r\n15;x=y\r\ndata: {"b": "\xc3\xa9"}\r\n\r\n'
    b"\r\nd\r\ndata: [DONE]\n\r\n1\r\n\n\r\n0\r\nx: y\r\n\r\n"
)
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(EVENTS), EVENTS)
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED
TO_THE_END = b"HTTP/1.0 200 OK\r\n\r\n" + EVENTS


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def read(parts: list[bytes], *, until_close: bool = False) -> tuple[int, bytes, bool]:
    """An answer that comes in `parts`: its status, its body, and whether its connection can carry another."""
    connection = Connection(asyncio.get_running_loop())
    connection.connection_made(cast(asyncio.Transport, Transport()))
    asking = asyncio.create_task(connection.ask(b"x"))
    await settle()
    pumped: list[bytes] = []
    pumping: asyncio.Task[None] | None = None
    for part in parts:
        connection.data_received(part)
        await settle()
        if asking.done() and pumping is None:
            pumping = asyncio.create_task(connection.pump(pumped.append))
            await settle()
    if until_close:
        connection.connection_lost(None)
    await asking
    await (pumping or connection.pump(pumped.append))
    return connection.status, b"".join(pumped), connection.reusable


@pytest.mark.parametrize("wire", [CHUNKED, SIZED, CONTINUED, TO_THE_END], ids=["chunked", "sized", "100", "to the end"])
async def test_an_answer_cut_in_two_at_any_byte_is_read_the_same(wire: bytes) -> None:
    whole = (200, EVENTS, wire is not TO_THE_END)
    for cut in range(len(wire) + 1):
        parts = [part for part in (wire[:cut], wire[cut:]) if part]
        assert await read(parts, until_close=wire is TO_THE_END) == whole, f"cut at {cut}"


@pytest.mark.parametrize("wire", [CHUNKED, SIZED, TO_THE_END], ids=["chunked", "sized", "to the end"])
async def test_an_answer_that_comes_byte_by_byte_is_read_the_same(wire: bytes) -> None:
    parts = [wire[at : at + 1] for at in range(len(wire))]
    assert await read(parts, until_close=wire is TO_THE_END) == (200, EVENTS, wire is not TO_THE_END)


@pytest.mark.parametrize("wire", [CHUNKED, SIZED], ids=["chunked", "sized"])
async def test_an_answer_whose_connection_ends_early_never_passes_for_whole(wire: bytes) -> None:
    for cut in range(len(wire)):
        with pytest.raises(ReplicaFailure):
            await read([wire[:cut]] if cut else [], until_close=True)


async def test_bytes_after_an_answer_never_become_the_next_ones() -> None:
    assert await read([SIZED + b"HTTP/1.1 200 OK\r\n"]) == (200, EVENTS, False)


@pytest.mark.parametrize("slow", ["the client", "the router", "nobody"])
async def test_a_connection_reads_the_next_answer_however_slowly_the_last_was_taken(slow: str) -> None:
    """A paused connection in the pool would keep another client's request waiting until the replica counts as silent.

    The client is slow at the last part, or the router takes the answer only when all of it, over the limit, is here.
    """
    transport = Transport()
    connection = Connection(asyncio.get_running_loop())
    connection.connection_made(cast(asyncio.Transport, transport))
    body = b"x" * 100_000
    for _ in range(2):
        asking = asyncio.create_task(connection.ask(b"x"))
        await settle()
        assert transport.reads
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\nx" % len(body))
        await asking
        if slow == "the router":
            connection.data_received(body[1:])
            await connection.gather(1 << 20)
            assert connection.take() == body
        else:
            pumping = asyncio.create_task(pump(connection, pauses_at_end=slow == "the client"))
            await settle()
            connection.data_received(body[1:])
            assert await pumping == body
        assert (connection.complete, connection.reusable, transport.reads) == (True, True, True)


async def pump(connection: Connection, *, pauses_at_end: bool) -> bytes:
    """Takes an answer's body as a client does that, where it `pauses_at_end`, reads no more once the last part came."""
    parts: list[bytes] = []

    def sink(part: bytes) -> None:
        parts.append(part)
        if pauses_at_end and connection.complete:
            connection.pause()

    await connection.pump(sink)
    return b"".join(parts)


async def test_an_answer_whose_last_part_cannot_be_taken_keeps_nobody_waiting() -> None:
    """asyncio closes a connection whose protocol fails, and nothing else would end the wait for the answer."""
    connection = Connection(asyncio.get_running_loop())
    connection.connection_made(cast(asyncio.Transport, Transport()))
    asking = asyncio.create_task(connection.ask(b"x"))
    await settle()
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx")
    await asking

    def sink(part: bytes) -> None:
        if connection.complete:
            raise KeyError(part)

    pumping = asyncio.create_task(connection.pump(sink))
    await settle()
    with pytest.raises(KeyError) as fault:
        connection.data_received(b"x")
    connection.connection_lost(fault.value)
    await settle()
    assert pumping.done()
    with pytest.raises(ReplicaFailure):
        await pumping


BODY = b'{"model": "x"}'
REQUEST = b"POST /v1/completions?a=b HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
IN_CHUNKS = (
    b"POST /v1/completions?a=b HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (BODY[:4], len(BODY) - 4, BODY[4:])
)
H2C = REQUEST.replace(b"X-One: 1\r\n", b"X-One: 1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n")


async def answered(parts: list[bytes]) -> list[tuple[str, str, bytes, bytes]]:
    """What the application sees of requests that come in `parts`."""
    seen: list[tuple[str, str, bytes, bytes]] = []

    async def app(request: Request, reply: Reply) -> None:
        body = await request.body(5)
        seen.append((request.method, request.path, request.query, body))
        reply.start(200, [], length=2)
        reply.end(b"ok")

    connection = ClientConnection(PortState(app=app, limit_bytes=1000, idle_s=60, head_s=60))
    transport = Transport()
    connection.connection_made(cast(asyncio.Transport, transport))
    for part in parts:
        connection.data_received(part)
        await settle()
    await settle()
    await settle()
    assert transport.written.count(b"HTTP/1.1 200 OK\r\n") == len(seen)
    return seen


@pytest.mark.parametrize("wire", [REQUEST, IN_CHUNKS, H2C], ids=["sized", "chunked", "h2c is not taken up"])
async def test_two_requests_cut_in_two_at_any_byte_are_both_answered(wire: bytes) -> None:
    expected = ("POST", "/v1/completions", b"a=b", BODY)
    both = wire + wire
    for cut in range(1, len(both)):
        assert await answered([both[:cut], both[cut:]]) == [expected, expected], f"cut at {cut}"


async def test_requests_that_come_byte_by_byte_are_answered() -> None:
    both = REQUEST + IN_CHUNKS
    assert len(await answered([both[at : at + 1] for at in range(len(both))])) == 2
