"""Whatever bytes a replica sends, and however they are cut: a request gets one whole answer, or its connection ends."""

import asyncio
import re
from collections.abc import Sequence
from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patchbay.core.errors import UpstreamFailed
from patchbay.router.forward.relay import Relay
from patchbay.router.http.connection import ClientConnection
from patchbay.router.http.port_state import PortState
from patchbay.router.http.request import Reply, Request
from patchbay.router.upstream.client import Answer, ReplicaClient
from patchbay.router.upstream.connection import Connection
from patchbay.router.upstream.failure import ReplicaFailure
from tests.fakes.raw_replica import answer, chunked
from tests.fakes.transport import Transport
from tests.property.router.test_events import cut

EVIL = answer(b"PWNED!", extra=b"x-evil: 1\r\n")
ASKED = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n:]+: [^\r\n]*\r\n)*)\r\n")
pieces = st.sampled_from(
    [
        answer(b'{"a": 1}'),
        answer(EVIL),
        EVIL,
        answer(EVIL, 204),
        answer(EVIL, 304),
        answer(b"", 500),
        chunked(b"data: 1\n\n", EVIL),
        chunked(b"data: 1\n\n", end=False),
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early\r\ncontent-length: 9\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n",
        b"content-length: 8\r\n",
        b"content-length: 4\r\n\r\n",
        b"connection: content-length\r\ncontent-length: 3\r\n\r\n",
        b"transfer-encoding: chunked\r\n",
        b"transfer-encoding: identity\r\ncontent-length: 5\r\n\r\n",
        b"connection: close\r\n",
        b"x: a\rcontent-length: 1\r\n",
        b"x: a\nb: c\r\n",
        b"x: a\r\n b\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"0\r\n\r\n",
        b"5;x=y\r\nhello\r\n",
        b"data: [DONE]\n\n",
        b"\x00\xff",
    ]
)
replies = st.lists(pieces, min_size=1, max_size=7).map(b"".join)


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


class Proxy:
    """One client's connection, and a replica's behind each request of it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.strays = 0
        self.upstreams: list[Connection] = []
        self.client = Transport()
        self.connection = ClientConnection(PortState(app=self.app, limit_bytes=1000, idle_s=60, head_s=60))
        self.connection.connection_made(cast(asyncio.Transport, self.client))

    def stray(self) -> None:
        self.strays += 1

    async def app(self, request: Request, reply: Reply) -> None:
        upstream = Connection(self.loop, self.stray)
        upstream.connection_made(cast(asyncio.Transport, Transport()))
        self.upstreams.append(upstream)
        relay = Relay(reply)
        try:
            await upstream.ask(b"x")
            replied = Answer(upstream, ReplicaClient("http://x", connect_timeout_s=1, read_timeout_s=1))
            if not replied.is_event_stream:
                await replied.gather(1024)
            await relay.run(replied, [], ends_with_done=False)
            replied.close()
        except ReplicaFailure:
            relay.fail(UpstreamFailed("no"), [])

    async def ask(self, parts: Sequence[bytes], *, close: bool) -> None:
        """One more request, to which a replica says `parts`, and ends its connection where it is to."""
        self.connection.data_received(ASKED)
        await settle()
        upstream = self.upstreams[-1]
        for part in parts:
            if upstream.open:
                upstream.data_received(part)
            await settle()
        if close and upstream.open:
            upstream.connection_lost(None)
        elif not upstream.complete:
            upstream.fail(ReplicaFailure("silent", kind="timeout"))
        await settle()


def read_answer(wire: bytes) -> tuple[int, bytes, bytes] | None:
    """The first answer on a client's connection, strictly read: status, body, and what follows; None where it is not
    whole. Raises AssertionError where it is none."""
    head = HEAD.match(wire)
    if head is None:
        return None
    status, rest = int(head[1]), wire[head.end() :]
    names = [line.partition(b": ") for line in head[2].splitlines()]
    lengths = [int(value) for name, _, value in names if name == b"content-length"]
    framed = [value for name, _, value in names if name == b"transfer-encoding"]
    assert status not in (204, 304) or not (lengths or framed)
    if status in (204, 304):
        return status, b"", rest
    assert len(lengths) + len(framed) == 1
    if lengths:
        return (status, rest[: lengths[0]], rest[lengths[0] :]) if len(rest) >= lengths[0] else None
    body = b""
    while (line := rest.partition(b"\r\n"))[1]:
        size = int(line[0], 16)
        body, rest = body + line[2][:size], line[2][size + 2 :]
        if not size:
            return status, body, rest
        if len(line[2]) < size + 2:
            return None
    return None


async def converse(parts: Sequence[bytes], *, close: bool) -> tuple[Proxy, bytes]:
    """A connection on which a hostile replica answers the first request, and an honest one the second; and all that
    its client was sent."""
    proxy = Proxy()
    await proxy.ask(parts, close=close)
    if not proxy.client.closed:
        await proxy.ask([answer(b'{"honest": true}')], close=False)
    return proxy, proxy.client.written


@settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
@given(replies, st.lists(st.integers(0, 2000), max_size=6), st.booleans())
def test_a_client_gets_one_whole_answer_a_request_or_the_end(data: bytes, places: list[int], close: bool) -> None:
    proxy, wire = asyncio.run(converse(cut(data, places), close=close))
    first = read_answer(wire)
    if first is None:
        assert proxy.client.closed
        return
    second = read_answer(first[2])
    if second is None:
        assert first[2] == b""
        assert proxy.client.closed
        return
    assert second == (200, b'{"honest": true}', b"")


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([answer(b'{"a": 1}'), chunked(b"data: 1\n\n"), answer(b"", 304)]), st.integers(0, 400))
def test_a_second_answer_goes_to_nobody_and_ends_its_connection(data: bytes, place: int) -> None:
    proxy, wire = asyncio.run(converse(cut(data + answer(EVIL), [place]), close=False))
    upstream = proxy.upstreams[0]
    # What comes once the exchange is over finds its connection closed already.
    after = place % (len(data + answer(EVIL)) + 1) == len(data)
    assert (upstream.open, upstream.reusable, proxy.strays) == (False, False, 0 if after else 1)
    assert b"PWNED" not in wire
    first = read_answer(wire)
    assert first is not None
    assert read_answer(first[2]) == (200, b'{"honest": true}', b"")
