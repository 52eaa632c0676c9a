"""Passes on what this router counted of canaries: to the registry, where the router that leads reads it."""

import asyncio
import logging

from adapters.errors import NotFound, RegistryError
from adapters.registry.canaries import Canaries
from router.trials import Trials

_log = logging.getLogger("patchbay.router")
EVERY_S = 1.0


class Tallies:
    """Writes once a second, and keeps what cannot be written. `name`: this router's; `all_of_it`: or only what is
    urgent, since Prometheus has the rest."""

    def __init__(self, trials: Trials, canaries: Canaries, *, name: str, all_of_it: bool) -> None:
        self._trials = trials
        self._canaries = canaries
        self._name = name
        self._all_of_it = all_of_it

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Writes what there is."""
        for canary, counts in self._trials.take().items():
            told = [one.as_json for one in counts if self._all_of_it or one.tripped is not None]
            if not told:
                continue
            try:
                await asyncio.to_thread(self._canaries.tally, canary, self._name, told)
            except NotFound:
                _log.warning("the registry knows no canary %d any more", canary)
            except RegistryError as error:
                _log.warning("what was counted of canary %d is kept for now: %s", canary, error)
                self._trials.give_back({canary: counts})
