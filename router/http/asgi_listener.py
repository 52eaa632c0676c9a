"""HTTP server for an ASGI application on a port of its own: uvicorn, with the few changes that a gateway needs.

The admin port uses it. The public port has a faster one (`port`).
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from patchbay.core.error_bodies import openai_body
from patchbay.core.errors import InvalidRequest, StartError
from patchbay.core.port_owner import whose_port
from patchbay.router.http.takeover import share_port

_BACKLOG = 2048
# Longer than clients keep idle connections, so that it is they who close them.
_KEEP_ALIVE_S = 75
_HEAD_LIMIT = 64 * 1024
_DISCARD_LIMIT = 32 * 1024 * 1024
_MAX_CONNECTIONS = 64
_TICK_S = 1.0
_POLL_S = 0.01
_CANCEL_WAIT_S = 1.0


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 protocol of uvicorn with a gateway's limits and error format.

    It bounds the size of a request's head, and what is read of a body that was already refused. Malformed requests are
    answered in OpenAI's shape, and pipelined requests are told when their client leaves.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._discarded_bytes = 0
        self._earlier: list[RequestResponseCycle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # The admin port's share of the descriptors that are kept from clients.
        if len(self.connections) > _MAX_CONNECTIONS:
            others = (connection for connection in self.connections if connection is not self)
            next(filter(_is_idle, others), self).transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = self._discarded_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        # Some clients look for the answer only once they have sent the whole body. Closing at once would reset the
        # connection and lose the answer on it. So the rest of a refused body is read, up to a limit.
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > _DISCARD_LIMIT:
                self.transport.close()

    def on_headers_complete(self) -> None:
        before: RequestResponseCycle | None = self.cycle
        super().on_headers_complete()
        # uvicorn tells only the newest request of a lost connection, but the oldest one is being answered.
        self._earlier = [cycle for cycle in self._earlier if not cycle.response_complete]
        if before is not None and not before.response_complete:
            self._earlier.append(before)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for cycle in self._earlier:
            cycle.disconnected = True
            cycle.message_event.set()

    def send_400_response(self, msg: str) -> None:
        current: RequestResponseCycle | None = self.cycle
        cycles = [*self._earlier, *([current] if current is not None else [])]
        # An error in the middle of an answer would be read as part of it. All that can be done is to cut that answer.
        if not any(cycle.response_started and not cycle.response_complete for cycle in cycles):
            body = openai_body(InvalidRequest(msg))
            head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _HEAD_LIMIT:
            raise ValueError("the request's head is too large")


def _is_idle(connection: Any) -> bool:
    return connection.cycle is None or connection.cycle.response_complete


class Listener(uvicorn.Server):
    """Server of one ASGI application on a bound socket. `up` is set once it accepts connections.

    It installs no signal handlers: the process that runs it decides when to stop.
    """

    def __init__(self, app: Any, bound: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        super().__init__(config)
        self._bound = bound
        self._stop = asyncio.Event()
        self.up = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Serves until `stop` is called, and then until every request has its answer."""
        await self.serve(sockets=[self._bound])

    def stop(self, *, at_once: bool = False) -> None:
        """Closes the port and makes `run_until_stopped` end. `at_once`: cuts the answers that are under way."""
        self.should_exit = True
        self.force_exit = self.force_exit or at_once
        self._stop.set()

    async def main_loop(self) -> None:
        # Like uvicorn's own loop, but woken by `stop` instead of at its next tick.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._stop.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes the port and lets each connection end with its answer. Cuts the rest once `stop` says at once."""
        for server in self.servers:
            server.close()
        for bound in sockets or []:
            bound.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        while state.connections and not self.force_exit:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(_POLL_S)
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_CANCEL_WAIT_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Binds a socket to `host` and `port` (0: any free one). Raises StartError where it is taken or not ours.

    `shared`: whether another router may listen on the same port. Such a socket does not listen yet, so that the kernel
    sends it no connections before somebody accepts them; any other socket listens.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"Cannot listen on {host}: {error.strerror}.") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            share_port(bound)
        bound.bind(address)
        if not shared:
            bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        hint = "Stop what listens there, or choose another port."
        taken = error.errno == errno.EADDRINUSE
        said = f"Port {port} on {host} is taken{whose_port(port)}." if taken else ""
        raise StartError(said or f"Cannot listen on {host}:{port}: {error.strerror}.", hint=hint) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Gives the address of a bound socket as `http://HOST:PORT`."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
