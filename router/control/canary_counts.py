"""Passes on what this router counted of canaries: to the registry, where the router that leads reads it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from patchbay.core.errors import RegistryError
from patchbay.core.thread_pools import Threads
from patchbay.registry.canaries import Canaries
from patchbay.router.canary.ledger import Counts
from patchbay.router.canary.live import LiveCanaries

_log = logging.getLogger("patchbay.router")
EVERY_S = 1.0


class Tallies:
    """Writes once a second and at the end, and keeps what cannot be written. `name`: this router's; `all_of_it`: or
    only what Prometheus does not have: what the breaker says, and what is seen of callers."""

    def __init__(self, live_canaries: LiveCanaries, canaries: Canaries, *, name: str, all_of_it: bool) -> None:
        self._live_canaries = live_canaries
        self._canaries = canaries
        self._name = name
        self._all_of_it = all_of_it
        self._threads = Threads("tallies", 1)
        self._writing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Writes what there is, of all canaries at once."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._put())
        # Once begun it goes on to its end, or nobody would know whether it is written.
        await asyncio.shield(self._writing)

    async def close(self) -> None:
        """Writes all that there is: what was counted since the last time would be lost with the router."""
        if self._writing is not None:
            await self._writing
        await self.flush()

    async def _put(self) -> None:
        taken = self._live_canaries.take()
        told = {canary: self._worth_telling(counts) for canary, counts in taken.items()}
        told = {canary: counts for canary, counts in told.items() if counts}
        if not told:
            return
        try:
            await self._threads.run(self._canaries.tally, self._name, told)
        except RegistryError as error:
            _log.warning("what was counted of canaries is kept for now: %s", error)
            self._live_canaries.give_back(taken)

    def _worth_telling(self, counts: Sequence[Counts]) -> Sequence[Mapping[str, Any]]:
        return [one.as_json for one in counts if self._all_of_it or one.tripped is not None or one.seen is not None]
