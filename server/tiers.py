"""A cache of the engine's own report on which revisions it holds, renewed only after something has happened."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from patchbay.server.engine import LoraTiers


class KnownTiers:
    """The tiers that the engine last reported. `ask`: asks its workers; `steps`: the number of steps it has taken.

    A worker that is asked spins for a while; asked at every poll of the status, it would never sleep. So a report stays
    valid until the engine takes a step or a change begins or ends. Both ends of a change count: a report in the middle
    of a load that fails includes the revision that is just being removed again.
    """

    def __init__(self, ask: Callable[[], Awaitable[LoraTiers]], steps: Callable[[], int]) -> None:
        self._ask = ask
        self._steps = steps
        self._changes = 0
        self._cached: tuple[tuple[int, int], LoraTiers] | None = None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Marks the time in which the engine's revisions change, however that ends."""
        self._changes += 1
        try:
            yield
        finally:
            self._changes += 1

    async def read(self) -> LoraTiers:
        """Returns the revisions in host memory and in slots."""
        version = (self._steps(), self._changes)
        if self._cached is None or self._cached[0] != version:
            self._cached = version, await self._ask()
        return self._cached[1]
