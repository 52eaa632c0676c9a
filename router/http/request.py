"""Request as it is read from a client, and the reply that is written back."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

from patchbay.core.asgi import Headers, header
from patchbay.core.errors import BodyTooLarge, InvalidRequest, Unavailable
from patchbay.router.http.body_budget import BodyBudget
from patchbay.router.http.content_encoding import CONTENT_ENCODING, packing, unpacked

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %b" % (status, status.phrase.encode()) for status in HTTPStatus}
_NO_BODY = (204, 304)
# Joined to the lines of a head, it makes the empty line after the last one.
_END_OF_HEAD = b"\r\n"
_ABSOLUTE = re.compile(rb"https?://(?P<authority>[^/?#@]+)(?P<path>/.*)?", re.IGNORECASE | re.DOTALL)
_TOO_LARGE_TOGETHER = "The requests that are under way are too large together."


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
        """The current `date` header line, without its end."""

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

    def hold(self, data: bytes) -> None:
        """Keeps bytes for the next ones, or for the end of the reply, which come before anything else is done."""

    def reply_ended(self, *, keep: bool) -> None:
        """Notes that the reply is whole. `keep`: whether another may follow on this connection."""


class Request:
    """Request of a client, filled in by the connection that reads it.

    `path`: decoded, without the query; `headers`: names in lower case; `gone`: whether its client left;
    `awaits_continue`: whether its client sends the body only after a `100 Continue`; `peer`: the address that it came
    from, empty where that is not known; `model`: that the path names, None where it does not. `limit_bytes`: the
    largest body; `write`: sends bytes to the client; `budget`: what is kept of the body counts to it, until `drop`.
    """

    __slots__ = (
        "_budget",
        "_complete",
        "_dropped",
        "_first_part",
        "_joined",
        "_kept_bytes",
        "_limit",
        "_over_budget",
        "_size",
        "_waiter",
        "_write",
        "awaits_continue",
        "gone",
        "headers",
        "http10",
        "keep_alive",
        "method",
        "model",
        "path",
        "peer",
        "query",
    )

    def __init__(self, limit_bytes: int, write: Callable[[bytes], None], budget: BodyBudget) -> None:
        self.method = ""
        self.path = ""
        self.model: str | None = None
        self.query = b""
        self.peer = ""
        self.headers: Headers = []
        self.http10 = False
        self.keep_alive = True
        self.awaits_continue = False
        self.gone = False
        self._limit = limit_bytes
        self._write = write
        self._budget = budget
        self._dropped = self._over_budget = False
        self._kept_bytes = 0
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
        if path[:1] != b"/":
            path = self._take_authority(path)
        self.path = unquote(path.decode("latin-1")) if b"%" in path else path.decode("latin-1")

    def _take_authority(self, target: bytes) -> bytes:
        """Takes the host from a `target` in absolute form, which replaces the header's. Returns the path in it.

        Source: RFC 9112, section 3.2.2.
        """
        match = _ABSOLUTE.fullmatch(target)
        if match is None:
            return target
        hosts = [(name, match["authority"] if name == b"host" else value) for name, value in self.headers]
        self.headers = hosts
        return match["path"] or b"/"

    def feed(self, data: bytes) -> int:
        """Takes a part of the body and returns the body's size so far, in bytes. Keeps nothing beyond a limit."""
        self._size += len(data)
        if self._dropped:
            return self._size
        self._over_budget = self._size <= self._limit and not self._budget.take(len(data), self._size)
        if self._size > self._limit or self._over_budget:
            self.drop()
            self._wake()
        else:
            self._kept_bytes += len(data)
            self._keep(data)
        return self._size

    def grow(self, more: int) -> None:
        """Counts `more` bytes, by which the body is to be longer, to the budget.

        Raises Unavailable where that is spent.
        """
        if not self._budget.take(more, more):
            raise Unavailable(_TOO_LARGE_TOGETHER)
        self._kept_bytes += more

    def drop(self) -> None:
        """Forgets the body, with what is still to come of it, once it is not needed any more."""
        self._dropped = True
        self._budget.give_back(self._kept_bytes)
        self._kept_bytes, self._first_part, self._joined = 0, b"", None

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
        """Waits for the whole body and returns it, unpacked where it came compressed.

        Raises BodyTooLarge as soon as it is known to be, Unavailable where those of all requests together are,
        InvalidRequest where it is not whole after `timeout_s`, and UnsupportedEncoding.
        """
        encoding = packing(self.headers)
        if int(header(self.headers, b"content-length") or 0) > self._limit:
            raise BodyTooLarge(self._limit)
        if not self._complete and not self._dropped:
            await self._wait(timeout_s)
        if self._size > self._limit:
            raise BodyTooLarge(self._limit)
        if self._over_budget:
            raise Unavailable(_TOO_LARGE_TOGETHER)
        if self._joined is not None:
            self._first_part, self._joined = bytes(self._joined), None
        if encoding is not None:
            await self._unpack(encoding)
        return self._first_part

    async def _unpack(self, encoding: bytes) -> None:
        """Puts the unpacked body in the place of the packed one, which it makes room for slice by slice."""
        packed_bytes, size = self._kept_bytes, 0
        parts: list[bytes] = []
        for part in unpacked(encoding, self._first_part):
            size += len(part)
            if size > self._limit:
                raise BodyTooLarge(self._limit)
            if not self._budget.take(len(part), size):
                raise Unavailable(_TOO_LARGE_TOGETHER)
            self._kept_bytes += len(part)
            parts.append(part)
            await asyncio.sleep(0)
        self._first_part = b"".join(parts)
        self._kept_bytes -= packed_bytes
        self._budget.give_back(packed_bytes)
        self.headers = [pair for pair in self.headers if pair[0] != CONTENT_ENCODING]

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
    source of its body, paused while the client does not read. No more goes out than the head says: the client would
    take more for the answer to another request.
    """

    __slots__ = (
        "_chunked",
        "_keep",
        "_request",
        "_unsent",
        "_wire",
        "_without_body",
        "finished",
        "flow",
        "started",
        "status",
    )

    def __init__(self, request: Request, wire: Wire) -> None:
        self._request = request
        self._wire = wire
        self._chunked = self._without_body = False
        self._keep = True
        self._unsent: int | None = None
        self.started = self.finished = False
        self.status = 0
        self.flow: Flow | None = None

    def start(self, status: int, headers: Headers, *, length: int | None = None, body_is_here: bool = False) -> None:
        """Sends the head.

        `body_is_here`: whether the caller goes on with `end` at once, so that the head can go out with the body;
        `length`: of the body, in bytes; None where `headers` have it, or where the body is chunked or ends with the
        connection. A status that has no body has no length either (RFC 9110, section 8.6).
        """
        request = self._request
        # A client that waits for `100 Continue` may send its body now or not. So the next bytes could be either that
        # body or a new request, and the connection cannot be kept.
        self._keep = request.keep_alive and not request.awaits_continue and not self._wire.ending
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status, self._wire.date]
        lines += [b": ".join(pair) for pair in headers if pair[0] != b"content-length"]
        self._unsent = _stated_length(headers) if length is None else length
        if status not in _NO_BODY:
            if self._unsent is None:
                self._mark_end(lines)
            else:
                lines.append(b"content-length: %d" % self._unsent)
        if not self._keep:
            lines.append(b"connection: close")
        elif request.http10:
            lines.append(b"connection: keep-alive")
        lines.append(_END_OF_HEAD)
        self._without_body = request.method == "HEAD" or status in _NO_BODY
        self.started = True
        self.status = status
        if body_is_here:
            self._wire.hold(b"\r\n".join(lines))
        else:
            self._wire.write_soon(b"\r\n".join(lines))

    @property
    def blocked(self) -> bool:
        """Whether the client reads more slowly than it is sent to."""
        return self._wire.blocked

    def follow(self, flow: Flow) -> None:
        """Takes the source of the body, to pause it while the client does not read."""
        self.flow = flow
        if self._wire.blocked:
            flow.pause()

    def write(self, data: bytes) -> None:
        """Sends a part of the body, up to the length that the head says."""
        if self._unsent is not None and not self._without_body:
            if len(data) > self._unsent:
                data, self._keep = data[: self._unsent], False
            self._unsent -= len(data)
        # An empty part would end a chunked body.
        if data and not self._without_body and not self.finished:
            self._wire.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self, data: bytes = b"") -> None:
        """Sends the last part of the body. The connection of one that is shorter than the head says is closed."""
        if self.finished:
            return
        self.write(data)
        if self._unsent and not self._without_body:
            self._keep = False
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
            lines.append(b"transfer-encoding: chunked")


def _stated_length(headers: Headers) -> int | None:
    """Returns the body's length by the headers; None where they have none that can be read."""
    value = header(headers, b"content-length")
    return int(value) if value is not None and value.isdigit() else None


App = Callable[[Request, Reply], Awaitable[None]]
