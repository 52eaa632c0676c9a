"""A request that was read, as routes and canaries are chosen by it."""

from dataclasses import dataclass
from functools import cached_property

from patchbay.router.forward.exchange import Exchange
from patchbay.router.http.body import Head
from patchbay.router.routes.facts import RequestFacts, facts_of
from patchbay.router.tenants.clients import Client


@dataclass(frozen=True)
class Incoming:
    """`body`: as it came; `deadline_s`: when its client stops waiting, by the event loop's clock."""

    exchange: Exchange
    client: Client
    head: Head
    body: bytes
    deadline_s: float | None

    @cached_property
    def facts(self) -> RequestFacts:
        """What routes are chosen by, read once, and only where there is something to choose. Who asks, where the
        request does not say: its key, else nobody twice."""
        key = self.client.key
        return facts_of(self.body, self.exchange.request.headers, b"key:" + key.encode() if key else self.alone)

    @property
    def alone(self) -> bytes:
        """What stands for this request and no other."""
        return b"request:" + self.exchange.id
