"""Arrival: what came in of one request. Nothing of it changes any more."""

import msgspec

from patchbay.core.tenancy import DEFAULT_TENANT
from patchbay.router.http.endpoints import OTHER, Endpoint
from patchbay.router.http.request import Request
from patchbay.router.http.trace_context import TraceSpan


class Arrival(msgspec.Struct, frozen=True, eq=False):
    """A request as it arrived. `span`: the router's own in its trace; `started_s`: when it came, by the router's
    clock."""

    request: Request
    id: bytes
    span: TraceSpan
    started_s: float


class Asked(msgspec.Struct, frozen=True, eq=False):
    """Endpoint that a client asks, and its tenant. Both are nobody's until the client is let in."""

    endpoint: Endpoint = OTHER
    tenant: str = DEFAULT_TENANT


NOT_LET_IN = Asked()
