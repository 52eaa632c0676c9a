"""Heartbeats: comments in streams that are silent, so that balancers and browsers on the way do not cut them.

A balancer commonly cuts what is silent for 60 s, and a first token may take longer: a long prompt, a full queue of the
engine, a revision that has to be loaded. Clients of event streams ignore comments.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, "authoring notes".
"""

import asyncio
from collections.abc import Callable, Iterable

from patchbay.core.asgi import Headers
from patchbay.router.forward.exchange import Exchange
from patchbay.router.http.headers import provenance

# Looks at each stream within the time after which a heartbeat is due. A look counts what was sent, so that no chunk on
# its way has to note when it was.
_LOOKS = 3
_STREAMED = frozenset({"chat_completions", "completions", "responses", "messages"})


class Heartbeats:
    """Sender of heartbeats. `every_s`: the silence after which one is due; it comes within a third of that."""

    def __init__(self, every_s: float, work: Callable[[], Iterable[Exchange]]) -> None:
        self._every_s = every_s
        self._work = work
        self._seen: dict[Exchange, tuple[int, int]] = {}

    async def run(self) -> None:
        """Looks at all streams again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(self._every_s / _LOOKS)
            self.look()

    def look(self) -> None:
        """Sends a heartbeat on each stream of which nothing was sent since as many looks as make up the time."""
        seen: dict[Exchange, tuple[int, int]] = {}
        for exchange in list(self._work()):
            sent, (before, looks) = exchange.relay.sent_bytes, self._seen.get(exchange, (0, 0))
            looks = looks + 1 if sent == before else 0
            if looks >= _LOOKS and _may_begin(exchange):
                exchange.relay.beat([*exchange.extra, *_known(exchange)])
                looks = 0
            seen[exchange] = (sent, looks)
        self._seen = seen


def _known(exchange: Exchange) -> Headers:
    """Returns the headers that name who will answer, as far as that is known before a replica does: nothing where
    another model may still answer instead."""
    ask = exchange.tries.ask
    return provenance(ask.route or ask.model, ask.answerer, "") if ask is not None and exchange.is_last_choice else []


def _may_begin(exchange: Exchange) -> bool:
    """Whether a stream was asked for that a replica may begin to answer, as far as limits and guards go."""
    ask, cleared = exchange.tries.ask, exchange.relay.cleared
    streamed = ask is not None and ask.stream and exchange.asked.endpoint.name in _STREAMED
    return streamed and (cleared is None or cleared.done())
