"""The report of this router's canary counts to the registry, where the leading router reads them."""

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
    """Writes counts once a second and at the end, and keeps those that cannot be written.

    `name`: this router's; `all_of_it`: whether to write all counts, or only the news that Prometheus does not have:
    tripped breakers and the callers seen.
    """

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
        """Writes the counts of all canaries at once."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._put())
        # Once begun it goes on to its end: after a cancellation nobody would know whether the counts were written.
        await asyncio.shield(self._writing)

    async def close(self) -> None:
        """Writes everything that is left, since it would be lost with the router."""
        if self._writing is not None:
            await self._writing
        await self.flush()

    async def _put(self) -> None:
        taken = self._live_canaries.take()
        tallies = {canary: self._worth_telling(counts) for canary, counts in taken.items()}
        tallies = {canary: counts for canary, counts in tallies.items() if counts}
        if not tallies:
            return
        try:
            await self._threads.run(self._canaries.tally, self._name, tallies)
        except RegistryError as error:
            _log.warning("the counts of canaries were not written, and are kept for the next try: %s", error)
            self._live_canaries.give_back(taken)

    def _worth_telling(self, counts: Sequence[Counts]) -> Sequence[Mapping[str, Any]]:
        return [part.as_json for part in counts if self._all_of_it or part.tripped is not None or part.seen is not None]
