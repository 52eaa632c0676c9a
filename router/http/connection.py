"""Client connection: an asyncio protocol that reads requests and has them answered, one after the other.

Source: RFC 9112 (HTTP/1.1); the parser is llhttp, Node's, which refuses what could be read in two ways.
"""

import asyncio
import contextlib
import os
from collections import deque
from http import HTTPStatus
from typing import cast

import httptools

from patchbay.core.error_bodies import openai_body
from patchbay.core.errors import InvalidRequest, RequestError, RequestTimeout, Unavailable
from patchbay.router.http.port_state import PortState
from patchbay.router.http.request import Reply, Request
from patchbay.router.http.request_head import check_head

_HEAD_LIMIT = 64 * 1024
# For a head, or trailers, without an end, however they are cut.
_NON_BODY_LIMIT = 4 * _HEAD_LIMIT
_DISCARD_LIMIT = 32 * 1024 * 1024
# Time for a request that a client sent just before it could know that the router is ending.
_LAST_REQUEST_S = 0.5
_LAST_BODY_S = 1.0
_MAX_LINES = 256
# Bytes parsed in one turn of the event loop. They may hold thousands of chunks or requests, and streams wait meanwhile.
_SLICE = 32 * 1024
# Requests that a client may send before the earlier ones are answered (pipelining).
_PIPELINE_LIMIT = 16


class ClientConnection(asyncio.Protocol):
    """Protocol of one client connection: parses requests, runs a task for each in its turn, and writes the answers."""

    def __init__(self, state: PortState) -> None:
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._reading: Request | None = None
        self._peer = ""
        self._url = b""
        self._head_bytes = self._head_lines = self._non_body_bytes = 0
        self._in_head = False
        self._unread = b""
        self._slicing = False
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._reply: Reply | None = None
        self._task: asyncio.Task[None] | None = None
        self._since_s = self._loop.time()
        self._blocked = False
        self._unsent = b""

    @property
    def date(self) -> bytes:
        """The current `date` header line, without its end."""
        return self._state.date

    @property
    def blocked(self) -> bool:
        """Whether the client reads more slowly than it is sent to."""
        return self._blocked

    def write(self, data: bytes) -> None:
        """Sends bytes, unless the client is gone."""
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        if self._transport is not None:
            self._transport.write(data)

    def hold(self, data: bytes) -> None:
        """Keeps bytes for the next ones, or for the end of the reply."""
        self._unsent += data

    def write_soon(self, data: bytes) -> None:
        """Sends bytes along with the next ones, if those come in this turn of the event loop. Saves a system call."""
        self._unsent += data
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._unsent:
            self.write(b"")

    def reply_ended(self, *, keep: bool) -> None:
        """Notes that the current reply is whole, and closes the connection where no other may follow.

        What remains of the request is read and dropped first, for a while: some clients look for the answer only once
        they have sent their body, and closing at once would reset the connection.
        """
        self._flush()
        if self._current is not None:
            self._current.drop()
        if not keep or self._state.ending:
            self._close_when_read()

    def check_times(self, now: float) -> None:
        """Closes the connection where it was idle for too long, or where a request's head takes too long.

        `now`: the event loop's time, in seconds.
        """
        if self._current is not None:
            return
        if self._in_head and now - self._since_s > self._state.head_s:
            self._refuse(RequestTimeout(f"The request's head did not arrive within {self._state.head_s:g} s."))
        elif not self._in_head and (now - self._since_s > self._state.idle_s or self._is_rest_late(now)):
            self._close()

    def _is_rest_late(self, now: float) -> bool:
        """Whether a request that was answered before its end goes on for too long."""
        return self._reading is not None and now - self._since_s > self._state.head_s

    @property
    def ending(self) -> bool:
        """Whether no other request may follow the current one."""
        return self._state.ending

    def finish(self) -> None:
        """Ends the connection with its current answer.

        Where there is none, a request that is on its way may still come for a moment: its answer says that it is the
        last one.
        """
        self._loop.call_later(_LAST_REQUEST_S, self._close_idle)

    def _close_idle(self) -> None:
        if self._current is None:
            self._close()

    def close_for_room(self, *, refused: bool) -> None:
        """Ends the connection for want of file descriptors. `refused`: whether to answer so first, since no request
        came on it yet."""
        if refused:
            self._drop_unread()
            self._refuse(Unavailable("There are too many connections."))
        else:
            self._close()

    def _drop_unread(self) -> None:
        """Reads what the client has sent, and drops it: the system resets a connection that is closed with unread
        bytes, and its client never sees the answer."""
        bound = self._transport.get_extra_info("socket") if self._transport is not None else None
        if bound is not None:
            with contextlib.suppress(OSError):
                os.read(bound.fileno(), _HEAD_LIMIT)

    def abort(self) -> None:
        """Ends the connection at once."""
        self._leave_task()
        if self._transport is not None:
            self._transport.abort()

    def _leave_task(self) -> None:
        """Leaves the task that is under way to the port, which holds and awaits what no connection has any more."""
        if self._task is not None and not self._task.done():
            self._state.tasks.add(self._task)
            self._task.add_done_callback(self._state.tasks.discard)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._state.connections.add(self)
        self._state.fresh[self] = None
        self._state.make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._state.connections.discard(self)
        self._state.leave(self)
        self._state.closed.set()
        for request in filter(None, (self._current, self._reading, *self._waiting)):
            request.drop()
        self._waiting.clear()
        self._unread = b""
        self._leave_task()
        if self._current is not None and self._reply is not None and not self._reply.finished:
            self._current.gone = True
            if self._task is not None:
                self._task.cancel()
        # They refer back to this object. Only the garbage collector would free such cycles.
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
        # The usual case, which must cost nothing: one small read, and nothing before it.
        short = len(data) <= _SLICE and len(self._waiting) < _PIPELINE_LIMIT and not self._slicing
        if short and not self._unread and transport is not None and not transport.is_closing():
            self._parse(data)
            return
        already_parsing = bool(self._unread)
        self._unread += data
        if not already_parsing:
            self._parse_slice()

    def _parse_slice(self) -> None:
        """Parses one slice of what was read, in each turn of the event loop, and pauses reading until all is parsed."""
        transport = self._transport
        if not self._unread or transport is None or transport.is_closing():
            return
        if len(self._waiting) >= _PIPELINE_LIMIT:
            # `_request_ended` goes on once there are fewer.
            transport.pause_reading()
            return
        data, self._unread = self._unread[:_SLICE], self._unread[_SLICE:]
        if self._unread:
            self._slicing = True
            transport.pause_reading()
            self._loop.call_soon(self._parse_slice)
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
            self._non_body_bytes += len(data)
            if self._non_body_bytes > _NON_BODY_LIMIT:
                self._refuse(InvalidRequest("The request's head is too large."))
                return
        self._start_next()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = self._head_lines = self._non_body_bytes = 0
        self._url = b""
        if self._current is None:
            self._since_s = self._loop.time()
        self._reading = Request(self._state.limit_bytes, self.write, self._state.bodies)
        self._reading.peer = self._peer

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        if self._head_bytes > _HEAD_LIMIT:
            raise self._too_large()
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        self._head_lines += 1
        if self._head_bytes > _HEAD_LIMIT or self._head_lines > _MAX_LINES:
            raise self._too_large()
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
        self._non_body_bytes = 0
        # A client that awaits a 100 may send its body without one. Then there is nothing left to ask for.
        request.awaits_continue = False
        size = request.feed(data)
        if size > self._state.limit_bytes + _DISCARD_LIMIT and self._transport is not None:
            self._transport.close()

    def on_message_complete(self) -> None:
        if self._reading is not None:
            self._reading.end()
            self._reading = None

    def _without_upgrade(self, rest: bytes) -> None:
        """Parses a request that asks for another protocol as if it did not. The server may ignore that (RFC 9110,
        section 7.8).

        llhttp takes the head of such a request for the whole of it. So a new parser gets the head again, without the
        header, and then `rest`, what followed it.
        """
        request = self._waiting.pop()
        version = b"1.0" if request.http10 else b"1.1"
        lines = [b"%b: %b\r\n" % pair for pair in request.headers if pair[0] != b"upgrade"]
        start = b"%b %b HTTP/%b\r\n" % (request.method.encode("ascii"), self._url, version)
        self._parser = httptools.HttpRequestParser(self)
        self._parse(start + b"".join(lines) + b"\r\n" + rest)

    def _too_large(self) -> InvalidRequest:
        if self._head_bytes > _HEAD_LIMIT:
            return InvalidRequest("The request's head is too large.")
        return InvalidRequest(f"The request's head has more than {_MAX_LINES} lines.")

    def _start_next(self) -> None:
        """Starts the next request, if there is one and none is being answered."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._current is not None:
            if self._waiting:
                # A client that pipelines waits, so that its requests do not pile up here.
                self._transport.pause_reading()
            return
        if self._waiting:
            request = self._current = self._waiting.popleft()
            self._state.leave(self)
            self._state.make_room()
            self._reply = Reply(request, self)
            self._task = self._loop.create_task(self._answer(request, self._reply))

    async def _answer(self, request: Request, reply: Reply) -> None:
        try:
            await self._state.app(request, reply)
        finally:
            request.drop()
            self._request_ended(reply)

    def _request_ended(self, reply: Reply) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not reply.finished:
            # A reset shows the client that its answer is not whole. An orderly end would hide it.
            transport.abort()
            return
        self._task = self._reply = self._current = None
        self._since_s = self._loop.time()
        self._state.idle[self] = None
        if self._state.ending:
            self._close_when_read()
            return
        if self._unread:
            self._parse_slice()
        else:
            transport.resume_reading()
        self._start_next()

    def _close_when_read(self) -> None:
        if self._reading is None:
            self._close()
        else:
            # Reads the rest of the body for a while, but no request after it.
            self._loop.call_later(_LAST_BODY_S, self._close)

    def _close(self) -> None:
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Answers with `error`, where no answer is under way, and closes the connection."""
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
    """Returns what the client is told. httptools wraps what its callbacks raise. The error itself is not kept: the
    frames of its traceback refer to the connection."""
    cause = error.__context__
    return cause if isinstance(cause, RequestError) else InvalidRequest("Invalid HTTP request received.")
