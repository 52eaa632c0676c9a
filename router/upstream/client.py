"""HTTP client of one replica, with a pool of connections to it."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from patchbay.core import descriptors
from patchbay.core.asgi import Headers, header
from patchbay.core.background import keep_running
from patchbay.core.errors import PatchbayError, Unavailable
from patchbay.router.http.headers import downstream_headers
from patchbay.router.upstream.connection import Connection, Sink
from patchbay.router.upstream.failure import ReplicaFailure

# Servers close idle connections, many after 5 s (uvicorn's default). The router closes them before that. A request on a
# connection that its server is just closing would look like a server that died on the request.
_KEEP_IDLE_S = 3.0
# A body up to this size is joined with the head: a copy is cheaper than a second write.
_JOIN_LIMIT = 64 * 1024
# For an answer that the router reads for itself.
_DOCUMENT_LIMIT = 8 * 1024 * 1024


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Request to a replica. `path`: with its query, as it goes on the wire; `headers`: without host and length."""

    method: str
    path: str
    headers: Headers = msgspec.field(default_factory=list)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Document:
    """Small answer of a replica that was read whole."""

    status: int
    body: bytes


class Answer:
    """Answer of a replica whose first bytes have arrived. The rest is read from its connection."""

    def __init__(self, connection: Connection, client: "ReplicaClient") -> None:
        self._connection = connection
        self._client = client
        self.status = connection.status
        self.headers: Headers = downstream_headers(connection.headers)

    def has(self, name: bytes) -> bool:
        """Whether the replica sent a header called `name` (lower case), even one that clients do not get."""
        return header(self._connection.headers, name) is not None

    @property
    def is_event_stream(self) -> bool:
        """Whether this is a stream of server-sent events that can be read as it is."""
        kind = header(self.headers, b"content-type") or b""
        encoding = header(self.headers, b"content-encoding") or b"identity"
        return kind.startswith(b"text/event-stream") and encoding == b"identity"

    @property
    def whole(self) -> bool:
        """Whether all of the body has arrived."""
        return self._connection.complete

    @property
    def strayed(self) -> bool:
        """Whether the replica sent bytes after the end of its answer."""
        return self._connection.strayed

    async def gather(self, limit: int) -> None:
        """Waits until the body is whole, or `limit` bytes of it are here. Raises ReplicaFailure."""
        await self._connection.gather(limit)

    def take(self) -> bytes:
        """Returns the part of the body that has arrived and was not taken yet."""
        return self._connection.take()

    async def pump(self, sink: Sink) -> None:
        """Gives the body to `sink` as it is read, to its end. Raises ReplicaFailure where it is not whole."""
        await self._connection.pump(sink)

    def stop(self, cause: PatchbayError) -> None:
        """Ends the exchange without the rest of the answer: `pump` raises `cause`."""
        self._connection.stop(cause)

    def pause(self) -> None:
        """Stops reading from the replica, so that `sink` gets no more for now."""
        self._connection.pause()

    def resume(self) -> None:
        """Reads from the replica again."""
        self._connection.resume()

    def close(self) -> None:
        """Ends the exchange. The replica sees its connection closed, unless the answer was whole."""
        self._client.release(self._connection)


class ReplicaClient:
    """HTTP client of the replica at `url`, with a pool of connections. Open it with `async with`.

    `connect_timeout_s`: to open a connection; `read_timeout_s`: the longest silence of a replica that is answering;
    `on_stray`: called where the replica sends bytes after the end of an answer.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        on_stray: Callable[[], None] = lambda: None,
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._root = parts.path
        self._host_line = f" HTTP/1.1\r\nhost: {parts.netloc}".encode("latin-1")
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._on_stray = on_stray
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Takes calls from now on, until `close`."""
        self._watch = asyncio.create_task(keep_running("connections to replicas", self._enforce_times))

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""
        return bool(self._busy)

    async def close(self) -> None:
        """Ends all exchanges and closes the connections."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
        self._watch = None
        for connection in [*self._idle, *self._busy]:
            connection.fail(ReplicaFailure("the router is ending", kind="disconnect"))
        self._idle.clear()

    async def open(self, call: Call) -> Answer:
        """Sends `call` and waits for the first bytes of the answer's body.

        Until this returns, nothing can have reached the client, so the call may be made again elsewhere. Raises
        ReplicaFailure, and Unavailable where this process has no file descriptor left.
        """
        connection = self._take_idle() or await self._connect()
        self._busy.add(connection)
        try:
            await connection.ask(*self._encode(call))
        except BaseException:
            self._busy.discard(connection)
            connection.abort()
            raise
        return Answer(connection, self)

    async def fetch(self, call: Call, *, timeout_s: float) -> Document:
        """Sends `call` and reads its small answer, all within `timeout_s`. Raises ReplicaFailure, also where that is
        larger than 8 MiB."""
        body = bytearray()

        def take(data: bytes) -> None:
            body.extend(data)
            if len(body) > _DOCUMENT_LIMIT:
                raise ReplicaFailure(f"its answer to {call.path} is over {_DOCUMENT_LIMIT} bytes", kind="error")

        try:
            async with asyncio.timeout(timeout_s):
                with contextlib.closing(await self.open(call)) as answer:
                    await answer.pump(take)
                    return Document(answer.status, bytes(body))
        except TimeoutError as error:
            raise ReplicaFailure("it did not answer in time", kind="timeout") from error

    def release(self, connection: Connection) -> None:
        """Takes back a connection, for another exchange where it can carry one; closes it otherwise."""
        self._busy.discard(connection)
        if connection.reusable and self._watch is not None:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.abort()

    def _take_idle(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        # The newest first, so that the pool shrinks to what is needed.
        while self._idle:
            connection = self._idle.pop()
            if connection.open and connection.reusable and now - connection.idle_since < _KEEP_IDLE_S:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> Connection:
        if self._watch is None:
            raise ReplicaFailure("it is not among the replicas any more", kind="connect")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, self._on_stray), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise ReplicaFailure("cannot connect: it took too long", kind="connect") from error
        except OSError as error:
            if not descriptors.are_left():
                # Not the replica's fault, and no other one would be reached either.
                raise Unavailable("The router has no file descriptors left.") from error
            raise ReplicaFailure(f"cannot connect: {error.strerror or error}", kind="connect") from error
        return connection

    def _encode(self, call: Call) -> Iterable[bytes]:
        lines = [f"{call.method} {self._root}{call.path}".encode("latin-1") + self._host_line]
        lines += [b": ".join(pair) for pair in call.headers]
        if call.body or call.method != "GET":
            lines.append(b"content-length: %d" % len(call.body))
        # The empty line, and what follows it.
        lines += (b"", b"" if len(call.body) > _JOIN_LIMIT else call.body)
        head = b"\r\n".join(lines)
        return (head, call.body) if len(call.body) > _JOIN_LIMIT else (head,)

    async def _enforce_times(self) -> None:
        """Ends exchanges in which the replica is silent for too long, and closes connections that are idle for long."""
        loop = asyncio.get_running_loop()
        tick_s = min(1.0, self._read_timeout_s / 4)
        while True:
            await asyncio.sleep(tick_s)
            now = loop.time()
            for connection in list(self._busy):
                if connection.is_waiting and now - connection.heard_at > self._read_timeout_s:
                    connection.fail(ReplicaFailure("it did not answer in time", kind="timeout"))
            fresh = [
                connection
                for connection in self._idle
                if connection.open and now - connection.idle_since < _KEEP_IDLE_S
            ]
            for connection in set(self._idle).difference(fresh):
                connection.abort()
            self._idle[:] = fresh
