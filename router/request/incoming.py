"""Incoming request after it was read: the input to the choice of routes and canaries."""

from functools import cached_property

import msgspec

from patchbay.router.canary.callers import address_caller
from patchbay.router.forward.exchange import Exchange
from patchbay.router.http.body import Head
from patchbay.router.responses.asked import AskedResponse
from patchbay.router.routes.facts import RequestFacts, facts_of
from patchbay.router.tenants.clients import Client


class Incoming(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Request that was read, with its client. `body`: as it came, with the conversation that it goes on from;
    `deadline_s`: when its client stops waiting, by the event loop's clock, None for no deadline; `response`: what is
    asked of kept responses, where the endpoint has them."""

    exchange: Exchange
    client: Client
    head: Head
    body: bytes
    deadline_s: float | None
    response: AskedResponse | None = None

    @cached_property
    def facts(self) -> RequestFacts:
        """The facts by which routes are chosen, read once, and only where there is a choice.

        Where the request does not name its user, the client's key stands for that, and without a key the request alone.
        """
        key = self.client.key
        return facts_of(self.body, self.exchange.arrival.request.headers, b"key:" + key.encode() if key else self.alone)

    @property
    def caller(self) -> bytes:
        """The caller, as evidence counts it: the key that was shown, and the address where none is asked for."""
        client = self.client
        if client.key:
            return f"key:{client.tenant}/{client.key}".encode()
        return client.configured or address_caller(self.exchange.arrival.request.peer)

    @property
    def alone(self) -> bytes:
        """A name for this request and no other."""
        return b"request:" + self.exchange.arrival.id
