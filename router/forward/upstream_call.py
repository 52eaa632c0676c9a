"""Upstream call: a client's request in the form in which it goes to a replica."""

import asyncio

from patchbay.router.carry.transcript import TOKEN_IDS, Transcript
from patchbay.router.fleet.snapshot import Replica
from patchbay.router.forward.exchange import Exchange
from patchbay.router.forward.tries import Ask
from patchbay.router.http.headers import DEADLINE, PRIORITY, REVISION, upstream_headers
from patchbay.router.http.trace_context import TRACEPARENT
from patchbay.router.upstream.client import Call
from patchbay.router.upstream.link import Link


def call_of(exchange: Exchange, ask: Ask, replica: Replica, link: Link) -> Call:
    """Makes the call to `replica`.

    From a replica of ours a stream's token ids are asked for, and the transcript begins that another replica needs to
    go on with it. `link`: the connections and the token for `replica`.
    """
    request, ours = exchange.arrival.request, replica.catalog is not None and not replica.catalog.plain
    query = request.query.decode("latin-1")
    headers = upstream_headers(request.headers, exchange.arrival.id, link.authorization)
    headers.append((TRACEPARENT, exchange.arrival.span.traceparent))
    if ask.target.revision is not None:
        headers.append((REVISION, ask.target.engine_name.encode()))
    if ask.priority:
        headers.append((PRIORITY, b"%d" % ask.priority))
    if ask.deadline_s is not None:
        left_s = max(0.001, ask.deadline_s - asyncio.get_running_loop().time())
        headers.append((DEADLINE, b"%d" % (left_s * 1000)))
    if ours and ask.stream and exchange.asked.endpoint.ends_with_done:
        headers.append((TOKEN_IDS, b"1"))
        exchange.relay.transcript = exchange.relay.transcript or Transcript()
    return Call(
        method=request.method, path=f"{request.path}?{query}" if query else request.path, headers=headers, body=ask.body
    )
