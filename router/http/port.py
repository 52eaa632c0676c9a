"""The public port: accepts connections, watches their times, and ends in good order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket

from patchbay.core.background import keep_running
from patchbay.router.http.body_budget import BodyBudget
from patchbay.router.http.connection import ClientConnection, Shared, Shed, date_line
from patchbay.router.http.request import App
from patchbay.router.http.takeover import hand_over

# Longer than clients keep idle connections, so that it is they who close them.
_IDLE_S = 75
_BACKLOG = 2048
_TICK_S = 1.0
_LAST_S = 1.0
_TAKEN_S = 0.1


@dataclass(frozen=True, slots=True)
class PortLimits:
    """What a port takes: bytes of a request's body, seconds for its head, file descriptors for its clients, and bytes
    of the bodies of all requests together."""

    body_bytes: int
    head_timeout_s: float
    descriptors: int = 1 << 20
    bodies_bytes: int = 1 << 40


class Port:
    """An application on a bound socket. `up` is set once it accepts connections; `shared`: whether another router may
    listen on the same port, and take over; `fault`: counts what nobody expected. `shed`: told of
    each connection that is closed for want of file descriptors."""

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
        self._handed_over = shared
        bodies = BodyBudget(limits.bodies_bytes)
        self._shared = Shared(app, limits.body_bytes, _IDLE_S, limits.head_timeout_s, limits.descriptors, shed, bodies)
        self._stop = asyncio.Event()
        self._at_once = False
        self.up = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Serves until `stop`, and then until every request has had its answer."""
        loop, shared = asyncio.get_running_loop(), self._shared
        server = await loop.create_server(lambda: ClientConnection(shared), sock=self._bound, backlog=_BACKLOG)
        watch = asyncio.create_task(keep_running("connections", self._watch_times, self._fault))
        try:
            self.up.set()
            await self._stop.wait()
            if self._handed_over:
                hand_over(self._bound)
                # What had come before that is taken still.
                await asyncio.sleep(_TAKEN_S)
            server.close()
            await self._let_end()
        finally:
            watch.cancel()
            await asyncio.wait({watch})

    def stop(self, *, at_once: bool = False) -> None:
        """Closes the port. `at_once`: waits for no answer any more."""
        self._at_once = self._at_once or at_once
        self._stop.set()
        self._shared.closed.set()

    async def _let_end(self) -> None:
        """Lets connections end with their answers, and cuts those that are not waited for."""
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
            await asyncio.wait(shared.tasks, timeout=_LAST_S)

    async def _watch_times(self) -> None:
        loop, shared = asyncio.get_running_loop(), self._shared
        while True:
            await asyncio.sleep(_TICK_S)
            shared.date = date_line()
            for connection in list(shared.connections):
                connection.check_times(loop.time())
