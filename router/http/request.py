"""One request as it comes in, and the way back."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

from patchbay.core.asgi import Headers, header
from patchbay.core.errors import BodyTooLarge, InvalidRequest, Unavailable
from patchbay.router.http.body_budget import BodyBudget

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_NO_BODY = (204, 304)


class Flow(Protocol):
    """What an answer is made from, and can be held back."""

    def pause(self) -> None:
        """Makes no more for now."""

    def resume(self) -> None:
        """Goes on."""


class Wire(Protocol):
    """The connection, as a request and its reply need it."""

    @property
    def date(self) -> bytes:
        """A header line with the time."""

    @property
    def blocked(self) -> bool:
        """Whether the client does not read what it was sent."""

    @property
    def ending(self) -> bool:
        """Whether no other request is to follow the current one."""

    def write(self, data: bytes) -> None:
        """Sends bytes."""

    def write_soon(self, data: bytes) -> None:
        """Sends bytes along with the next ones, if those come at once."""

    def reply_ended(self, *, keep: bool) -> None:
        """Is told that the reply is whole; `keep`: whether another may follow on this connection."""


class Request:
    """A request. `path`: decoded, without the query; `headers`: names in lower case; `gone`: whether its client left.

    Its parts are filled in by the connection that reads it. What is kept of its body counts to `budget`, until `drop`.
    """

    __slots__ = (
        "_budget",
        "_complete",
        "_dropped",
        "_first",
        "_kept",
        "_limit",
        "_over",
        "_rest",
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
        "query",
    )

    def __init__(self, limit_bytes: int, write: Callable[[bytes], None], budget: BodyBudget) -> None:
        self.method = ""
        self.path = ""
        self.query = b""
        self.headers: Headers = []
        self.http10 = False
        self.keep_alive = True
        self.awaits_continue = False
        self.gone = False
        self._limit = limit_bytes
        self._write = write
        self._budget = budget
        self._dropped = self._over = False
        self._kept = 0
        self._first = b""
        self._rest: bytearray | None = None
        self._size = 0
        self._complete = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def complete(self) -> bool:
        """Whether all of it has arrived."""
        return self._complete

    def set_url(self, url: bytes) -> None:
        """Takes the request's target as it came."""
        path, _, self.query = url.partition(b"?")
        self.path = unquote(path.decode("latin-1")) if b"%" in path else path.decode("latin-1")

    def feed(self, data: bytes) -> int:
        """Takes a part of the body, and returns its size so far. What is over a limit is not kept."""
        self._size += len(data)
        if self._dropped:
            return self._size
        self._over = self._size <= self._limit and not self._budget.take(len(data), self._size)
        if self._size > self._limit or self._over:
            self.drop()
            self._wake()
        else:
            self._kept += len(data)
            self._keep(data)
        return self._size

    def drop(self) -> None:
        """Forgets the body, what is still to come of it included: nobody asks for it any more."""
        self._dropped = True
        self._budget.give_back(self._kept)
        self._kept, self._first, self._rest = 0, b"", None

    def _keep(self, data: bytes) -> None:
        # A body that comes whole is not copied. Of one in very many parts no object each is kept.
        if not self._first:
            self._first = data
        elif self._rest is None:
            self._rest = bytearray(self._first + data)
        else:
            self._rest += data

    def end(self) -> None:
        """Notes that all of it has arrived."""
        self._complete = True
        self._wake()

    async def body(self, timeout_s: float) -> bytes:
        """The whole body.

        Raises BodyTooLarge as soon as it is known to be, Unavailable where those of all requests are, and
        InvalidRequest where it is not whole after `timeout_s`.
        """
        if int(header(self.headers, b"content-length") or 0) > self._limit:
            raise BodyTooLarge(self._limit)
        if not self._complete and not self._dropped:
            await self._wait(timeout_s)
        if self._size > self._limit:
            raise BodyTooLarge(self._limit)
        if self._over:
            raise Unavailable("The requests that are under way are too large together.")
        if self._rest is not None:
            self._first, self._rest = bytes(self._rest), None
        return self._first

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
    """The answer to one request. `started`: whether its head is out; `status`: HTTP's, 0 before that; `finished`:
    whether it is whole; `flow`: what it is made from, held back while the client does not read.

    No more goes out than its head says: what would follow would pass for the answer to another request.
    """

    __slots__ = ("_chunked", "_keep", "_left", "_request", "_silent", "_wire", "finished", "flow", "started", "status")

    def __init__(self, request: Request, wire: Wire) -> None:
        self._request = request
        self._wire = wire
        self._chunked = self._silent = False
        self._keep = True
        self._left: int | None = None
        self.started = self.finished = False
        self.status = 0
        self.flow: Flow | None = None

    def start(self, status: int, headers: Headers, *, length: int | None = None) -> None:
        """Sends the head. Without a `length`, and without one in `headers`, the body's end shows by its framing. A
        status that has no body has no length either (RFC 9110, section 8.6)."""
        request = self._request
        # A client that waits to be asked for its body will not send it now: what comes next is not that body.
        self._keep = request.keep_alive and not request.awaits_continue and not self._wire.ending
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, self._wire.date]
        lines += [b"%b: %b\r\n" % pair for pair in headers if pair[0] != b"content-length"]
        self._left = _declared(headers) if length is None else length
        if status not in _NO_BODY:
            if self._left is None:
                self._frame(lines)
            else:
                lines.append(b"content-length: %d\r\n" % self._left)
        if not self._keep:
            lines.append(b"connection: close\r\n")
        elif request.http10:
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self._silent = request.method == "HEAD" or status in _NO_BODY
        self.started = True
        self.status = status
        self._wire.write_soon(b"".join(lines))

    def follow(self, flow: Flow) -> None:
        """Takes what the body is made from, to hold it back while the client does not read."""
        self.flow = flow
        if self._wire.blocked:
            flow.pause()

    def write(self, data: bytes) -> None:
        """Sends a part of the body."""
        if self._left is not None and not self._silent:
            if len(data) > self._left:
                data, self._keep = data[: self._left], False
            self._left -= len(data)
        if data and not self._silent and not self.finished:
            self._wire.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, data: bytes = b"") -> None:
        """Sends the last part of the body. One that is shorter than was said ends with the connection."""
        if self.finished:
            return
        self.write(data)
        if self._left and not self._silent:
            self._keep = False
        if self._chunked and not self._silent:
            self._wire.write(b"0\r\n\r\n")
        self.finished = True
        self.flow = None
        self._wire.reply_ended(keep=self._keep)

    def _frame(self, lines: list[bytes]) -> None:
        if self._request.http10:
            # Nothing but the connection's end tells such a client where the body ends.
            self._keep = False
        else:
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")


def _declared(headers: Headers) -> int | None:
    """The length that a body is said to have, None where it is not said, or cannot be read."""
    given = header(headers, b"content-length")
    return int(given) if given is not None and given.isdigit() else None


App = Callable[[Request, Reply], Awaitable[None]]
