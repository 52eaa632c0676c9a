"""Public port: accepts connections, enforces their time limits, and shuts down in order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket

from patchbay.core.background import keep_running
from patchbay.router.http.body_budget import BodyBudget
from patchbay.router.http.connection import ClientConnection
from patchbay.router.http.port_state import PortState, Shed, date_line
from patchbay.router.http.request import App
from patchbay.router.http.takeover import hand_over

_BACKLOG = 2048
_TICK_S = 1.0
_CANCEL_WAIT_S = 1.0
_ACCEPT_REST_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class PortLimits:
    """Limits of a port. `body_bytes`: largest body of a request; `head_timeout_s`: time for a request's head, and
    `idle_timeout_s`: time without a request, both in seconds; `descriptors`: file descriptors for its clients;
    `bodies_bytes`: the bodies of all requests together."""

    body_bytes: int
    head_timeout_s: float
    idle_timeout_s: float = 75
    descriptors: int = 1 << 20
    bodies_bytes: int = 1 << 40


class Port:
    """Server of an application on a bound socket. `up` is set once it accepts connections.

    `shared`: whether another router may listen on the same port, and take over; `fault`: counts unexpected errors, by
    the name of the task; `shed`: called for each connection that is closed for want of file descriptors.
    """

    def __init__(
        self,
        app: App,
        bound: socket,
        *,
        limits: PortLimits,
        shared: bool = False,
        fault: Callable[[str], None] = lambda name: None,
        shed: Callable[[Shed], None] = lambda how: None,
    ) -> None:
        self._fault = fault
        self._bound = bound
        self._is_shared = shared
        bodies = BodyBudget(limits.bodies_bytes)
        self._shared = PortState(
            app=app,
            limit_bytes=limits.body_bytes,
            idle_s=limits.idle_timeout_s,
            head_s=limits.head_timeout_s,
            most=limits.descriptors,
            shed=shed,
            bodies=bodies,
        )
        self._stop = asyncio.Event()
        self._at_once = False
        self.up = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Serves until `stop` is called, and then until every request has its answer."""
        loop, shared = asyncio.get_running_loop(), self._shared
        server = await loop.create_server(lambda: ClientConnection(shared), sock=self._bound, backlog=_BACKLOG)
        watch = asyncio.create_task(keep_running("connections", self._enforce_times, self._fault))
        try:
            self.up.set()
            await self._stop.wait()
            if self._is_shared:
                hand_over(self._bound)
                # Connections that came before the handover are in this socket's queue, and still accepted.
                await asyncio.sleep(_ACCEPT_REST_S)
            server.close()
            await self._drain()
        finally:
            watch.cancel()
            await asyncio.wait({watch})

    def stop(self, *, at_once: bool = False) -> None:
        """Closes the port and makes `run_until_stopped` end. `at_once`: cuts the answers that are under way."""
        self._at_once = self._at_once or at_once
        self._stop.set()
        self._shared.closed.set()

    async def _drain(self) -> None:
        """Lets each connection end with its answer. Cuts the rest once `stop` says at once."""
        shared = self._shared
        shared.ending = True
        for connection in list(shared.connections):
            connection.finish()
        while shared.connections and not self._at_once:
            shared.closed.clear()
            await shared.closed.wait()
        for connection in list(shared.connections):
            connection.abort()
        if shared.tasks:
            await asyncio.wait(shared.tasks, timeout=_CANCEL_WAIT_S)

    async def _enforce_times(self) -> None:
        loop, shared = asyncio.get_running_loop(), self._shared
        while True:
            await asyncio.sleep(_TICK_S)
            shared.date = date_line()
            for connection in list(shared.connections):
                connection.check_times(loop.time())
