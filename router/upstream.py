"""One replica over HTTP: the only place that knows the HTTP client, and where its errors become ours."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

import aiohttp
from yarl import URL

from adapters.asgi import Headers, header
from adapters.errors import PatchbayError
from router.headers import downstream_headers

FailureKind = Literal["connect", "disconnect", "timeout", "protocol", "refused", "busy"]

# Servers close idle connections, many after 5 s (uvicorn's default). Closing them first means that no request is sent
# on one that its server is just closing, which could not be told from a server that died on the request.
_KEEP_IDLE_S = 3.0
_SPARE_AUTO_HEADERS = ("accept", "accept-encoding", "content-type", "user-agent")
_COPY_LIMIT = 2**20


class ReplicaFailure(PatchbayError):
    """A replica did not answer as it should. `kind`: `connect` (it was not reached), `disconnect` (it hung up),
    `timeout` (it was silent for too long), `protocol` (not HTTP), `refused` (the router's token), `busy` (its 503)."""

    def __init__(self, message: str, *, kind: FailureKind) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Call:
    """A request to pass on. `path` with its query, as it goes on the wire; `headers` without the replica's token."""

    method: str
    path: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Document:
    """A small answer, read whole."""

    status: int
    body: bytes


class Answer:
    """A replica's answer, being read. `first`: the first bytes of its body, empty where it has none."""

    def __init__(self, response: aiohttp.ClientResponse, first: bytes) -> None:
        self._response = response
        self.first = first
        self.status = response.status
        self.headers: Headers = downstream_headers(response.raw_headers)

    @property
    def is_event_stream(self) -> bool:
        """Whether this is a stream of server-sent events that can be read as it is."""
        kind = header(self.headers, b"content-type") or b""
        encoding = header(self.headers, b"content-encoding") or b"identity"
        return kind.startswith(b"text/event-stream") and encoding == b"identity"

    @property
    def ended(self) -> bool:
        """Whether all of the body has arrived whole and been read."""
        return self._response.content.at_eof()

    async def read(self) -> bytes:
        """All that has arrived, waiting for at least one byte; empty at the end. Raises ReplicaFailure."""
        with _translated():
            return await self._response.content.readany()

    def close(self) -> None:
        """Ends the exchange. The replica sees its connection closed, unless the answer was read to its end."""
        self._response.close()


class ReplicaClient:
    """A pool of connections to the replica at `url`. Open it with `async with`."""

    def __init__(self, url: str, *, connect_timeout_s: float, read_timeout_s: float) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s, sock_read=read_timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_IDLE_S),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_SPARE_AUTO_HEADERS,
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def open(self, call: Call) -> Answer:
        """Sends `call` and waits for the first bytes of the answer's body. Raises ReplicaFailure.

        Until this returns nothing can have reached the client, so the call may be made again elsewhere.
        """
        with _translated():
            response = await self._request(call, self._timeout)
            try:
                first = await response.content.readany()
            except BaseException:
                response.close()
                raise
        return Answer(response, first)

    async def fetch(self, call: Call, *, timeout_s: float) -> Document:
        """Sends `call` and reads its small answer, all within `timeout_s`. Raises ReplicaFailure."""
        with _translated():
            async with await self._request(call, aiohttp.ClientTimeout(total=timeout_s)) as response:
                return Document(response.status, await response.read())

    async def _request(self, call: Call, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the client is not open")
        return await self._session.request(
            call.method,
            URL(self._url + call.path, encoded=True),
            headers=call.headers,
            data=_payload(call.body),
            timeout=timeout,
            allow_redirects=False,
        )


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    """Large bodies go out piece by piece, so that they do not hold up the other requests."""
    if len(body) > _COPY_LIMIT:
        return io.BytesIO(body)
    return body or None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise ReplicaFailure(f"cannot connect: {_reason(error)}", kind="connect") from error
    except (aiohttp.ServerTimeoutError, TimeoutError) as error:
        raise ReplicaFailure("it did not answer in time", kind="timeout") from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
        raise ReplicaFailure("it closed the connection", kind="disconnect") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise ReplicaFailure("its answer is no sound HTTP", kind="protocol") from error


def _reason(error: BaseException) -> str:
    cause = getattr(error, "os_error", None) or error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
