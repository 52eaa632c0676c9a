"""One client's connection: an asyncio protocol that reads requests and has them answered, one after the other.

Source: RFC 9112 (HTTP/1.1); the parser is llhttp, Node's, which refuses what could be read in two ways.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Literal, cast

import httptools

from patchbay.core.errors import InvalidRequest, RequestError, RequestTimeout, Unavailable, openai_body
from patchbay.router.http.body_budget import BodyBudget
from patchbay.router.http.request import App, Reply, Request
from patchbay.router.http.request_head import check_head

Shed = Literal["idle", "refused"]
_HEAD_LIMIT = 64 * 1024
# Of a head, or of what else is no body, that has come and has no end yet.
_BESIDE_LIMIT = 4 * _HEAD_LIMIT
_DISCARD_LIMIT = 32 * 1024 * 1024
_ON_ITS_WAY_S = 0.5
_MOST_LINES = 256
# What is parsed in one turn of the event loop: there may be thousands of chunks or requests in it.
_SLICE = 32 * 1024
# Requests that are read before those that came earlier are answered.
_AHEAD = 16


def date_line() -> bytes:
    """The `date` header of an answer that is sent now."""
    return f"date: {formatdate(usegmt=True)}\r\n".encode()


@dataclass(slots=True)
class Shared:
    """What all connections of a port share. `limit_bytes`: of a request's body; `bodies`: what all of them may hold
    together; `idle_s`: how long a connection may
    be open without a request; `head_s`: how long a request's head may take; `ending`: whether no request is to follow
    the ones that are being answered; `closed`: set when a connection has ended; `most`: file descriptors
    for clients, of which one that is being answered takes two, its own and one to a replica; `shed`: told of each
    connection that is closed for want of them; `idle`: connections without a request, the oldest first."""

    app: App
    limit_bytes: int
    idle_s: float
    head_s: float
    most: int = 1 << 20
    shed: Callable[[Shed], None] = lambda how: None
    bodies: BodyBudget = field(default_factory=lambda: BodyBudget(1 << 40))
    ending: bool = False
    date: bytes = field(default_factory=date_line)
    connections: "set[ClientConnection]" = field(default_factory=set)
    idle: "dict[ClientConnection, None]" = field(default_factory=dict)
    tasks: "set[asyncio.Task[None]]" = field(default_factory=set)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def make_room(self, newest: "ClientConnection") -> None:
        """Closes idle connections, the oldest first, while there are too many, and `newest` where no other is idle."""
        while 2 * len(self.connections) - len(self.idle) > self.most:
            oldest = next(iter(self.idle), None)
            if oldest is None:
                return
            self.idle.pop(oldest)
            self.connections.discard(oldest)
            self.shed("refused" if oldest is newest else "idle")
            oldest.give_way(refused=oldest is newest)


class ClientConnection(asyncio.Protocol):
    """Reads what a client sends, starts a task for each request in its turn, and writes what that answers."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._reading: Request | None = None
        self._url = b""
        self._head_bytes = self._head_lines = self._beside_bytes = 0
        self._in_head = False
        self._unread = b""
        self._slicing = False
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._reply: Reply | None = None
        self._task: asyncio.Task[None] | None = None
        self._since = self._loop.time()
        self._blocked = False
        self._held = b""

    @property
    def date(self) -> bytes:
        """The `date` header line."""
        return self._shared.date

    @property
    def blocked(self) -> bool:
        """Whether the client does not read what it was sent."""
        return self._blocked

    def write(self, data: bytes) -> None:
        """Sends bytes, unless the client is gone."""
        if self._held:
            data, self._held = self._held + data, b""
        if self._transport is not None:
            self._transport.write(data)

    def write_soon(self, data: bytes) -> None:
        """Sends bytes along with the next ones, if those come in this turn of the event loop: a system call less."""
        self._held += data
        self._loop.call_soon(self._write_held)

    def _write_held(self) -> None:
        if self._held:
            self.write(b"")

    def reply_ended(self, *, keep: bool) -> None:
        """Notes that the current reply is whole. What remains of its request is read and dropped, for a while: a client
        may only look for the answer once it has sent its body, and closing at once would reset the connection."""
        if self._current is not None:
            self._current.drop()
        if not keep or self._shared.ending:
            self._close_when_read()

    def check_times(self, now: float) -> None:
        """Closes the connection where nothing has been asked on it for long, or not to the end of a head."""
        if self._current is not None:
            return
        if self._in_head and now - self._since > self._shared.head_s:
            self._refuse(RequestTimeout(f"The request's head did not arrive within {self._shared.head_s:g} s."))
        elif not self._in_head and (now - self._since > self._shared.idle_s or self._rest_is_late(now)):
            self._close()

    def _rest_is_late(self, now: float) -> bool:
        """Whether a request that was answered before its end goes on for too long."""
        return self._reading is not None and now - self._since > self._shared.head_s

    @property
    def ending(self) -> bool:
        """Whether no other request is to follow the current one."""
        return self._shared.ending

    def finish(self) -> None:
        """Ends with the answer that is being given. Where there is none, a request that is on its way may still come:
        its answer says that it is the last one."""
        self._loop.call_later(_ON_ITS_WAY_S, self._close_idle)

    def _close_idle(self) -> None:
        if self._current is None:
            self._close()

    def give_way(self, *, refused: bool) -> None:
        """Ends for want of room. `refused`: with an answer that says so, since nothing was asked on it yet."""
        if refused:
            self._refuse(Unavailable("There are too many connections."))
        else:
            self._close()

    def abort(self) -> None:
        """Ends at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._shared.connections.add(self)
        self._shared.idle[self] = None
        self._shared.make_room(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._shared.connections.discard(self)
        self._shared.idle.pop(self, None)
        self._shared.closed.set()
        for request in filter(None, (self._current, self._reading, *self._waiting)):
            request.drop()
        self._waiting.clear()
        self._unread = b""
        if self._current is not None and self._reply is not None and not self._reply.finished:
            self._current.gone = True
            if self._task is not None:
                self._task.cancel()
        # They refer to us: without this only the garbage collector would free what a connection had.
        self._parser = self._reading = self._current = self._reply = self._task = None

    def pause_writing(self) -> None:
        self._blocked = True
        if self._reply is not None and self._reply.flow is not None:
            self._reply.flow.pause()

    def resume_writing(self) -> None:
        self._blocked = False
        if self._reply is not None and self._reply.flow is not None:
            self._reply.flow.resume()

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        short = len(data) <= _SLICE and len(self._waiting) < _AHEAD and not self._slicing
        if short and not self._unread and transport is not None and not transport.is_closing():
            self._parse(data)
            return
        began = bool(self._unread)
        self._unread += data
        if not began:
            self._read_on()

    def _read_on(self) -> None:
        """Parses what was read, a slice each turn of the event loop, and reads no more before it is parsed."""
        transport = self._transport
        if not self._unread or transport is None or transport.is_closing():
            return
        if len(self._waiting) >= _AHEAD:
            # Goes on when there are fewer.
            transport.pause_reading()
            return
        data, self._unread = self._unread[:_SLICE], self._unread[_SLICE:]
        if self._unread:
            self._slicing = True
            transport.pause_reading()
            self._loop.call_soon(self._read_on)
        elif self._slicing:
            self._slicing = False
            transport.resume_reading()
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._refuse(_cause_of(error))
            return
        if self._reading is not None:
            self._beside_bytes += len(data)
            if self._beside_bytes > _BESIDE_LIMIT:
                self._refuse(InvalidRequest("The request's head is too large."))
                return
        self._next()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = self._head_lines = self._beside_bytes = 0
        self._url = b""
        if self._current is None:
            self._since = self._loop.time()
        self._reading = Request(self._shared.limit_bytes, self.write, self._shared.bodies)

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        self._head_lines += 1
        if self._head_lines > _MOST_LINES:
            raise InvalidRequest(f"The request's head has more than {_MOST_LINES} lines.")
        request = self._reading
        if request is None or not self._in_head:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            request.awaits_continue = True
        request.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        request, parser = self._reading, self._parser
        if request is None or parser is None:
            return
        request.set_url(self._url)
        request.method = parser.get_method().decode("ascii")
        request.http10 = parser.get_http_version() == "1.0"
        request.keep_alive = parser.should_keep_alive()
        if request.method == "CONNECT":
            raise InvalidRequest("This server is no tunnel.")
        check_head(request)
        self._waiting.append(request)

    def on_body(self, data: bytes) -> None:
        request = self._reading
        if request is None:
            return
        self._beside_bytes = 0
        # Whoever awaits a 100 but sends its body anyway has sent it.
        request.awaits_continue = False
        size = request.feed(data)
        if size > self._shared.limit_bytes + _DISCARD_LIMIT and self._transport is not None:
            self._transport.close()

    def on_message_complete(self) -> None:
        if self._reading is not None:
            self._reading.end()
            self._reading = None

    def _without_upgrade(self, rest: bytes) -> None:
        """Reads a request whose client would go on with another protocol as if it did not say so: that is the server's
        to choose (RFC 9110, section 7.8). llhttp took the head for the whole, so it is given it anew."""
        request = self._waiting.pop()
        version = b"1.0" if request.http10 else b"1.1"
        lines = [b"%b: %b\r\n" % pair for pair in request.headers if pair[0] != b"upgrade"]
        start = b"%b %b HTTP/%b\r\n" % (request.method.encode("ascii"), self._url, version)
        self._parser = httptools.HttpRequestParser(self)
        self._parse(start + b"".join(lines) + b"\r\n" + rest)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _HEAD_LIMIT:
            raise InvalidRequest("The request's head is too large.")

    def _next(self) -> None:
        """Begins the next request, if there is one and its turn has come."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._current is not None:
            if self._waiting:
                # Whoever sends more before having an answer waits: nothing piles up here.
                self._transport.pause_reading()
            return
        if self._waiting:
            request = self._current = self._waiting.popleft()
            self._shared.idle.pop(self, None)
            self._shared.make_room(self)
            self._reply = Reply(request, self)
            self._task = self._loop.create_task(self._answer(request, self._reply))
            self._shared.tasks.add(self._task)
            self._task.add_done_callback(self._shared.tasks.discard)

    async def _answer(self, request: Request, reply: Reply) -> None:
        try:
            await self._shared.app(request, reply)
        finally:
            request.drop()
            self._answered(request, reply)

    def _answered(self, request: Request, reply: Reply) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not reply.finished:
            # A cut connection tells that the answer is not whole; an orderly end would hide it.
            transport.abort()
            return
        self._task = self._reply = self._current = None
        self._since = self._loop.time()
        self._shared.idle[self] = None
        if self._shared.ending:
            self._close_when_read()
            return
        if self._unread:
            self._read_on()
        else:
            transport.resume_reading()
        self._next()

    def _close_when_read(self) -> None:
        if self._reading is None:
            self._close()
        else:
            # The rest of the body is read for a while, and whatever would follow it is not.
            self._loop.call_later(1.0, self._close)

    def _close(self) -> None:
        self._write_held()
        if self._transport is not None:
            self._transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Tells what is wrong with what the client sends, where no answer is under way, and closes the connection."""
        transport = self._transport
        if transport is None:
            return
        if self._reply is None or not self._reply.started:
            body = openai_body(error)
            reason = HTTPStatus(error.status).phrase.encode()
            head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\nconnection: close\r\n" % (error.status, reason)
            transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        transport.close()


def _cause_of(error: httptools.HttpParserError) -> RequestError:
    """What a client is told. The error is not kept: its traceback has the frames that it came through."""
    cause = error.__context__
    return cause if isinstance(cause, RequestError) else InvalidRequest("Invalid HTTP request received.")
