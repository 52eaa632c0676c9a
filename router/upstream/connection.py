"""Connection to a replica: an asyncio protocol that carries one exchange at a time.

The answer's body goes to a function as it is read, without a task that wakes up for each read. That wake-up would cost
as much as everything else on a token's way.
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
_MAX_LINES = 1024
_NO_BODY = (204, 304)
# Bytes that are parsed at a time, and the parts of a body after which others have their turn on the event loop: one
# read may hold 40,000 parts.
_SLICE = 16 * 1024
_MOST_PARTS = 512
Sink = Callable[[bytes], None]


class Connection(asyncio.Protocol):
    """Protocol of one connection to a replica.

    `heard_at`: when the replica last sent anything, in the loop's time, while `is_waiting`; `idle_since`: when the last
    exchange ended; `open`: whether the connection is; `reusable`: whether another exchange may follow; `complete`:
    whether the answer's body has arrived, or there is no exchange. `status` and `headers` are the answer's, once `ask`
    has returned. `on_stray`: called once where bytes come after the end of an answer, which are dropped with the
    connection; `strayed`: whether any came.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_stray: Callable[[], None] = lambda: None) -> None:
        self._loop = loop
        self._on_stray = on_stray
        self.strayed = False
        self._unparsed = b""
        self._next_turn: asyncio.Handle | None = None
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
        self._non_body_bytes = 0
        self._has_head = self._has_length = False
        self._paused = self._full = False
        self._fresh: list[bytes] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._limit = _BUFFER_LIMIT
        self._sink: Sink | None = None
        self._failure: ReplicaFailure | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the replica is expected to send something now. It is not while the router does not read."""
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
            self._set_flow(full=False, paused=self._paused)
            await self._wait()

    def take(self) -> bytes:
        """Returns the part of the body that has arrived and was not taken yet."""
        parts, self._parts, self._size = self._parts, [], 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def pump(self, sink: Sink) -> None:
        """Gives the rest of the body to `sink`, read by read, to its end.

        Raises ReplicaFailure where the body is not whole, and any PatchbayError that `sink` raises.
        """
        self._sink = sink
        if self._parts:
            sink(self.take())
        if self._failure is not None:
            raise self._failure
        if not self.complete:
            self._set_flow(full=False, paused=self._paused)
            await self._wait()

    def pause(self) -> None:
        """Stops reading for now, since the client is slower than the replica."""
        self._set_flow(full=self._full, paused=True)

    def resume(self) -> None:
        """Reads again."""
        self._set_flow(full=self._full, paused=False)

    def fail(self, failure: ReplicaFailure) -> None:
        """Closes the connection, and ends the exchange, if there is one, with `failure`."""
        self.abort()
        if not self.complete and self._failure is None:
            self._failure = failure
            self._wake(failure)

    def stop(self, cause: PatchbayError) -> None:
        """Ends the exchange without the rest of the answer: `pump` raises `cause`."""
        self.abort()
        self._wake(cause)

    def abort(self) -> None:
        """Closes the connection at once."""
        self.open = self.reusable = self._reads = False
        self._unparsed = b""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        # The usual case, which must cost nothing: one short read, and nothing before it that waits.
        if self._reads and self._next_turn is None and len(data) <= _SLICE:
            self._parse(data)
            self._hand_on()
            return
        self._unparsed = self._unparsed + data if self._unparsed else data
        if self._next_turn is None:
            self._parse_on()

    def _parse_on(self) -> None:
        """Parses what was read, up to a number of parts in each turn of the event loop, and passes the parts on."""
        self._next_turn = None
        if self._full or self._paused:
            self._update_flow()
            return
        while self._unparsed and self.open and len(self._fresh) < _MOST_PARTS:
            data, self._unparsed = self._unparsed[:_SLICE], self._unparsed[_SLICE:]
            self._parse(data)
        self._hand_on()
        self._update_flow()

    def _parse(self, data: bytes) -> None:
        parser, before = self._parser, len(self._fresh)
        # Bytes outside an exchange must not pass for the next answer.
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
        # Bytes that are no body: a head, or trailers.
        self._non_body_bytes = 0 if len(self._fresh) > before else self._non_body_bytes + len(data)
        if self._non_body_bytes > _HEAD_LIMIT and not self.complete:
            self.fail(ReplicaFailure("its answer's head has no end", kind="protocol"))

    def _stray(self) -> None:
        """Drops what comes after an answer's end, and the connection. The answer itself is whole."""
        self.abort()
        if not self.strayed:
            self.strayed = True
            self._on_stray()

    def _hand_on(self) -> None:
        """Passes on what was parsed, as one part."""
        fresh = self._fresh
        part = fresh[0] if len(fresh) == 1 else b"".join(fresh)
        fresh.clear()
        if self._failure is not None or not self._has_head:
            self._keep(part)
        elif self._sink is not None:
            self._give(self._sink, part)
        elif part or self.complete:
            self._keep(part)
            if self._size > self._limit:
                self._set_flow(full=True, paused=self._paused)
            self._wake(None)

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._size += len(part)

    def _give(self, sink: Sink, part: bytes) -> None:
        """Gives `part` to `sink`, and ends the exchange where it was the last one."""
        try:
            if part:
                sink(part)
        except PatchbayError as error:
            self.stop(error)
            return
        if self.complete:
            self._wake(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._unparsed and self.open:
            self._parse(self._unparsed)
            self._hand_on()
        self.open = self.reusable = False
        self._unparsed = b""
        # The parser refers back to this object. Only the garbage collector would free such a cycle.
        self._parser = None
        if self.complete:
            # Nobody waits for an answer that is whole, unless its last part could not be taken.
            self._wake(ReplicaFailure("the end of its answer could not be taken", kind="protocol"))
            return
        if exc is None and self._has_head and not self._has_length and self.status not in _NO_BODY:
            # Such an answer ends with its connection (RFC 9112, section 6.3).
            self.complete = True
            self._wake(None)
        else:
            self.fail(ReplicaFailure("it closed the connection", kind="disconnect"))

    def on_message_begin(self) -> None:
        # A second answer in one exchange was not asked for. It must not pass for the first one's body, nor for the
        # answer to the next request.
        if self.complete:
            raise ReplicaFailure("it answered what nobody asked", kind="protocol")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            if len(self.headers) >= _MAX_LINES:
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
            # An interim answer (1xx). The real one follows.
            self.headers = []

    def on_body(self, data: bytes) -> None:
        self._fresh.append(data)

    def on_message_complete(self) -> None:
        if self._has_head:
            self._set_flow(full=False, paused=False)
            self.complete = True
            self.reusable = self._parser is not None and self._parser.should_keep_alive() and self.open

    def _set_flow(self, *, full: bool, paused: bool) -> None:
        """Pauses or resumes reading. `full`: whether too much has arrived that was not taken; `paused`: whether the
        client is too slow.

        An answer that is whole pauses nothing: its connection may go to another exchange, which would read nothing.
        """
        self._full, self._paused = full and not self.complete, paused and not self.complete
        self._update_flow()

    def _update_flow(self) -> None:
        """Pauses or resumes the transport, and plans the parsing of what was read already in a turn of its own."""
        stopped = self._full or self._paused
        if not self.open or self._transport is None:
            return
        if self._unparsed and not stopped and self._next_turn is None:
            self._next_turn = self._loop.call_soon(self._parse_on)
        reads = not stopped and not self._unparsed
        if reads == self._reads:
            return
        self._reads = reads
        if reads:
            # The silence while nobody read is not the replica's.
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
