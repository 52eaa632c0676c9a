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
    whose requests are all answered, `fresh`: those that have sent none yet, both the oldest first; `closed`: set when a
    connection ends.
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
    fresh: "dict[ClientConnection, None]" = field(default_factory=dict)
    tasks: "set[asyncio.Task[None]]" = field(default_factory=set)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def make_room(self) -> None:
        """Closes connections without a request until the limit is kept: those that are idle, then those that are
        fresh, each the oldest first. Who has sent no request yet may be about to, and is told why."""
        # A busy connection counts twice, an idle one once.
        while 2 * len(self.connections) - len(self.idle) - len(self.fresh) > self.most:
            waiting = self.idle or self.fresh
            oldest = next(iter(waiting), None)
            if oldest is None:
                return
            refused = waiting is self.fresh
            self.leave(oldest)
            self.connections.discard(oldest)
            self.shed("refused" if refused else "idle")
            oldest.close_for_room(refused=refused)

    def leave(self, connection: "ClientConnection") -> None:
        """Takes `connection` off those without a request."""
        self.idle.pop(connection, None)
        self.fresh.pop(connection, None)
