"""Request as it is read from a client, and the reply that is written back."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

from patchbay.core.asgi import Headers, header
from patchbay.core.errors import BodyTooLarge, InvalidRequest

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_NO_BODY = (204, 304)


class Flow(Protocol):
    """Source of an answer's body that can be paused while the client reads too slowly."""

    def pause(self) -> None:
        """Stops giving data for now."""

    def resume(self) -> None:
        """Gives data again."""


class Wire(Protocol):
    """Interface of the client connection that a reply writes to."""

    @property
    def date(self) -> bytes:
        """The current `date` header line."""

    @property
    def blocked(self) -> bool:
        """Whether the client reads more slowly than it is sent to."""

    @property
    def ending(self) -> bool:
        """Whether no other request may follow the current one."""

    def write(self, data: bytes) -> None:
        """Sends bytes now."""

    def write_soon(self, data: bytes) -> None:
        """Sends bytes along with the next ones, if those come at once."""

    def reply_ended(self, *, keep: bool) -> None:
        """Notes that the reply is whole. `keep`: whether another may follow on this connection."""


class Request:
    """Request of a client, filled in by the connection that reads it.

    `path`: decoded, without the query; `headers`: names in lower case; `gone`: whether its client left;
    `awaits_continue`: whether its client sends the body only after a `100 Continue`; `peer`: the address that it came
    from, empty where that is not known. `limit_bytes`: the largest body;
    `write`: sends bytes to the client.
    """

    __slots__ = (
        "_complete",
        "_first_part",
        "_joined",
        "_limit",
        "_size",
        "_waiter",
        "_write",
        "awaits_continue",
        "gone",
        "headers",
        "http10",
        "keep_alive",
        "method",
        "path",
        "peer",
        "query",
    )

    def __init__(self, limit_bytes: int, write: Callable[[bytes], None]) -> None:
        self.method = ""
        self.path = ""
        self.query = b""
        self.peer = ""
        self.headers: Headers = []
        self.http10 = False
        self.keep_alive = True
        self.awaits_continue = False
        self.gone = False
        self._limit = limit_bytes
        self._write = write
        self._first_part = b""
        self._joined: bytearray | None = None
        self._size = 0
        self._complete = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def complete(self) -> bool:
        """Whether the whole request has arrived."""
        return self._complete

    def set_url(self, url: bytes) -> None:
        """Sets path and query from the request's target, as it came."""
        path, _, self.query = url.partition(b"?")
        self.path = unquote(path.decode("latin-1")) if b"%" in path else path.decode("latin-1")

    def feed(self, data: bytes) -> int:
        """Takes a part of the body and returns the body's size so far, in bytes. Keeps nothing beyond the limit."""
        self._size += len(data)
        if self._size <= self._limit:
            self._keep(data)
        elif self._waiter is not None:
            self._wake()
        return self._size

    def _keep(self, data: bytes) -> None:
        # A body that comes in one part is not copied. One of very many small parts is joined as it comes, since an
        # object for each would cost far more memory than its bytes.
        if not self._first_part:
            self._first_part = data
        elif self._joined is None:
            self._joined = bytearray(self._first_part + data)
        else:
            self._joined += data

    def end(self) -> None:
        """Notes that the whole request has arrived."""
        self._complete = True
        self._wake()

    async def body(self, timeout_s: float) -> bytes:
        """Waits for the whole body and returns it.

        Raises BodyTooLarge as soon as it is known to be, and InvalidRequest where it is not whole after `timeout_s`.
        """
        if int(header(self.headers, b"content-length") or 0) > self._limit:
            raise BodyTooLarge(self._limit)
        if not self._complete:
            await self._wait(timeout_s)
        if self._size > self._limit:
            raise BodyTooLarge(self._limit)
        return self._first_part if self._joined is None else bytes(self._joined)

    async def _wait(self, timeout_s: float) -> None:
        if self.awaits_continue:
            self.awaits_continue = False
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                await self._waiter
        except TimeoutError as error:
            raise InvalidRequest(f"The request's body did not arrive within {timeout_s:g} s.") from error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Reply:
    """Reply to one request: writes status, headers and body in HTTP/1.1 framing.

    `started`: whether its head is out; `status`: HTTP's, 0 before that; `finished`: whether it is whole; `flow`: the
    source of its body, paused while the client does not read.
    """

    __slots__ = ("_chunked", "_keep", "_request", "_wire", "_without_body", "finished", "flow", "started", "status")

    def __init__(self, request: Request, wire: Wire) -> None:
        self._request = request
        self._wire = wire
        self._chunked = self._without_body = False
        self._keep = True
        self.started = self.finished = False
        self.status = 0
        self.flow: Flow | None = None

    def start(self, status: int, headers: Headers, *, length: int | None = None) -> None:
        """Sends the head. `length`: of the body, in bytes; None where `headers` have it, or where the body is chunked
        or ends with the connection."""
        request = self._request
        # A client that waits for `100 Continue` may send its body now or not. So the next bytes could be either that
        # body or a new request, and the connection cannot be kept.
        self._keep = request.keep_alive and not request.awaits_continue and not self._wire.ending
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, self._wire.date]
        lines += [b"%b: %b\r\n" % pair for pair in headers]
        if length is not None:
            lines.append(b"content-length: %d\r\n" % length)
        elif status not in _NO_BODY and header(headers, b"content-length") is None:
            self._mark_end(lines)
        if not self._keep:
            lines.append(b"connection: close\r\n")
        elif request.http10:
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self._without_body = request.method == "HEAD" or status in _NO_BODY
        self.started = True
        self.status = status
        self._wire.write_soon(b"".join(lines))

    def follow(self, flow: Flow) -> None:
        """Takes the source of the body, to pause it while the client does not read."""
        self.flow = flow
        if self._wire.blocked:
            flow.pause()

    def write(self, data: bytes) -> None:
        """Sends a part of the body. An empty one would end a chunked body, so `data` must not be empty."""
        if not self._without_body:
            self._wire.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, data: bytes = b"") -> None:
        """Sends the last part of the body."""
        if data:
            self.write(data)
        if self._chunked and not self._without_body:
            self._wire.write(b"0\r\n\r\n")
        self.finished = True
        self.flow = None
        self._wire.reply_ended(keep=self._keep)

    def _mark_end(self, lines: list[bytes]) -> None:
        if self._request.http10:
            # HTTP/1.0 has no chunks: only the end of the connection marks the end of the body.
            self._keep = False
        else:
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")


App = Callable[[Request, Reply], Awaitable[None]]
