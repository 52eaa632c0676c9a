"""State that all client connections of a port share: limits, who is idle, the budget for bodies, the date."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Literal

from patchbay.router.http.body_budget import BodyBudget
from patchbay.router.http.request import App

if TYPE_CHECKING:
    from patchbay.router.http.connection import ClientConnection

Shed = Literal["idle", "refused"]


def date_line() -> bytes:
    """Makes the `date` header line of an answer that is sent now, without its end."""
    return f"date: {formatdate(usegmt=True)}".encode()


@dataclass(slots=True, kw_only=True)
class PortState:
    """State that all connections of a port share.

    `limit_bytes`: largest body of a request; `idle_s`: seconds that a connection may be open without a request;
    `head_s`: seconds that a request's head may take; `most`: file descriptors for clients, of which a connection that
    is being answered takes two, its own and one to a replica; `shed`: called for each connection that is closed for
    want of descriptors; `bodies`: the budget for the bodies of all requests; `ending`: whether no request may follow
    the ones that are being answered; `date`: the current `date` header line, without its end; `idle`: connections
    without a request, the oldest first; `closed`: set when a connection ends.
    """

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
        """Closes idle connections, the oldest first, until the limit is kept. `newest`: the connection that asks for
        room; it is closed only where no other is idle."""
        # A busy connection counts twice, an idle one once.
        while 2 * len(self.connections) - len(self.idle) > self.most:
            oldest = next(iter(self.idle), None)
            if oldest is None:
                return
            self.idle.pop(oldest)
            self.connections.discard(oldest)
            self.shed("refused" if oldest is newest else "idle")
            oldest.close_for_room(refused=oldest is newest)
