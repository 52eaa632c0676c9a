"""One connection to a replica: an asyncio protocol that carries one exchange at a time.

The answer's body goes to a function as it is read, without a task that wakes up for each read: on the way of a token
that wake-up would cost as much as all the rest.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

from patchbay.core.asgi import Headers
from patchbay.core.errors import PatchbayError
from patchbay.router.upstream.failure import ReplicaFailure

_HEAD_LIMIT = 256 * 1024
_BUFFER_LIMIT = 64 * 1024
_MOST_LINES = 1024
_NO_BODY = (204, 304)
# What is parsed at a time, and after how many parts of a body others have their turn: a read may hold 40,000 of them.
_SLICE = 16 * 1024
_MOST_PARTS = 512
Sink = Callable[[bytes], None]


class Connection(asyncio.Protocol):
    """`heard_at`: when it last told anything, in the loop's time, while `waits`; `reusable`: whether another exchange
    may follow. `status` and `headers` are the answer's, once `ask` has returned. `on_stray`: is told where bytes come
    after an answer's end, which nobody asked for: they are dropped, and the connection with them; `strayed`: whether
    they did."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_stray: Callable[[], None] = lambda: None) -> None:
        self._loop = loop
        self._on_stray = on_stray
        self.strayed = False
        self._unread = b""
        self._later: asyncio.Handle | None = None
        self._reads = True
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.heard_at = self.idle_since = loop.time()
        self.open = True
        self._waiter: asyncio.Future[None] | None = None
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.complete = True
        self.reusable = False
        self._beside_bytes = 0
        self._has_head = self._has_length = False
        self._paused = self._full = False
        self._fresh: list[bytes] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._limit = _BUFFER_LIMIT
        self._sink: Sink | None = None
        self._failure: ReplicaFailure | None = None

    @property
    def waits(self) -> bool:
        """Whether the replica is to say something now."""
        return not self.complete and not self._paused and not self._full

    async def ask(self, *data: bytes) -> None:
        """Sends a request, and waits for its answer's head and the first bytes of its body. Raises ReplicaFailure."""
        if self._transport is None:
            raise RuntimeError("the connection is not open")
        self._reset()
        self.complete = False
        self.heard_at = self._loop.time()
        self._transport.writelines(data)
        await self._wait()

    async def gather(self, limit: int) -> None:
        """Waits until the body is whole, or `limit` bytes of it are here. Raises ReplicaFailure."""
        self._limit = limit
        while not self.complete and self._size < limit:
            if self._failure is not None:
                raise self._failure
            self._hold(full=False, paused=self._paused)
            await self._wait()

    def take(self) -> bytes:
        """What has arrived of the body and was not taken yet."""
        parts, self._parts, self._size = self._parts, [], 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def pump(self, sink: Sink) -> None:
        """Gives all that is still to come of the body to `sink`, read by read. Raises ReplicaFailure where it is not
        whole, and whatever PatchbayError `sink` raises."""
        self._sink = sink
        if self._parts:
            sink(self.take())
        if self._failure is not None:
            raise self._failure
        if not self.complete:
            self._hold(full=False, paused=self._paused)
            await self._wait()

    def pause(self) -> None:
        """Reads no more for now: whoever takes the body is slower than the replica."""
        self._hold(full=self._full, paused=True)

    def resume(self) -> None:
        """Reads again."""
        self._hold(full=self._full, paused=False)

    def fail(self, failure: ReplicaFailure) -> None:
        """Ends the exchange, if there is one, and the connection."""
        self.abort()
        if not self.complete and self._failure is None:
            self._failure = failure
            self._wake(failure)

    def stop(self, cause: PatchbayError) -> None:
        """Ends the exchange, since nobody wants the rest of it: `pump` raises `cause`."""
        self.abort()
        self._wake(cause)

    def abort(self) -> None:
        """Closes the connection at once."""
        self.open = self.reusable = False
        self._unread = b""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        self._unread = self._unread + data if self._unread else data
        if self._later is None:
            self._read_on()

    def _read_on(self) -> None:
        """Parses what was read, up to so many parts of a body each turn of the event loop, and gives them on."""
        self._later = None
        if self._full or self._paused:
            self._flow()
            return
        while self._unread and self.open and len(self._fresh) < _MOST_PARTS:
            data, self._unread = self._unread[:_SLICE], self._unread[_SLICE:]
            self._parse(data)
        self._gather_fresh()
        if self._failure is None and self._has_head and (self._parts or self.complete):
            self._deliver()
        self._flow()

    def _parse(self, data: bytes) -> None:
        parser, before = self._parser, len(self._fresh)
        if self.complete or parser is None:
            self._stray()
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.complete:
                self._stray()
            else:
                self.fail(ReplicaFailure("its answer is no sound HTTP", kind="protocol"))
            return
        # A head, or what else comes beside the body: trailers, say.
        self._beside_bytes = 0 if len(self._fresh) > before else self._beside_bytes + len(data)
        if self._beside_bytes > _HEAD_LIMIT and not self.complete:
            self.fail(ReplicaFailure("its answer's head has no end", kind="protocol"))

    def _stray(self) -> None:
        """Drops what comes after an answer's end, and the connection: the answer itself is whole."""
        self.abort()
        if not self.strayed:
            self.strayed = True
            self._on_stray()

    def _gather_fresh(self) -> None:
        if self._fresh:
            part = self._fresh[0] if len(self._fresh) == 1 else b"".join(self._fresh)
            self._fresh.clear()
            self._parts.append(part)
            self._size += len(part)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._unread and self.open:
            self._parse(self._unread)
            self._gather_fresh()
        self.open = self.reusable = False
        self._unread = b""
        # It refers to us: without this only the garbage collector would free what a connection had.
        self._parser = None
        if self.complete:
            return
        if exc is None and self._has_head and not self._has_length and self.status not in _NO_BODY:
            # Such an answer ends with its connection (RFC 9112, section 6.3).
            self.complete = True
            self._deliver()
        else:
            self.fail(ReplicaFailure("it closed the connection", kind="disconnect"))

    def on_message_begin(self) -> None:
        # Nobody asked for another answer: what follows one must not pass for its body, nor for the next one's.
        if self.complete:
            raise ReplicaFailure("it answered what nobody asked", kind="protocol")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            if len(self.headers) >= _MOST_LINES:
                raise ReplicaFailure("its answer's head has too many lines", kind="protocol")
            name = name.lower()
            if name in (b"content-length", b"transfer-encoding"):
                self._has_length = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser is not None:
            self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._has_head = True
        else:
            self.headers = []

    def on_body(self, data: bytes) -> None:
        self._fresh.append(data)

    def on_message_complete(self) -> None:
        if self._has_head:
            self._hold(full=False, paused=False)
            self.complete = True
            self.reusable = self._parser is not None and self._parser.should_keep_alive() and self.open

    def _deliver(self) -> None:
        if self._sink is None:
            if self._size > self._limit:
                self._hold(full=True, paused=self._paused)
            self._wake(None)
            return
        try:
            if self._parts:
                self._sink(self.take())
        except PatchbayError as error:
            self.stop(error)
            return
        if self.complete:
            self._wake(None)

    def _hold(self, *, full: bool, paused: bool) -> None:
        """Reads, or not: not while too much has arrived that nobody took, nor while whoever takes it is slow."""
        self._full, self._paused = full, paused
        self._flow()

    def _flow(self) -> None:
        """Has the transport read or not, and what was read already parsed in a turn of its own."""
        held = self._full or self._paused
        if not self.open or self._transport is None:
            return
        if self._unread and not held and self._later is None:
            self._later = self._loop.call_soon(self._read_on)
        reads = not held and not self._unread
        if reads == self._reads:
            return
        self._reads = reads
        if reads:
            self.heard_at = self._loop.time()
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self, failure: PatchbayError | None) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if failure is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(failure)
