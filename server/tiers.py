"""The revisions that the engine itself says it holds, asked for only after something has happened."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from patchbay.server.engine import LoraTiers


class KnownTiers:
    """What the engine last said. `ask`: asks its workers; `steps`: how many steps it has taken.

    A worker that is asked spins for a while, and if it were asked at every poll of the status it would never sleep. So
    what it said is good until the engine takes a step or a change begins or ends. Both count: what is said in the
    middle of a load that fails holds the revision that is just being taken out again.
    """

    def __init__(self, ask: Callable[[], Awaitable[LoraTiers]], steps: Callable[[], int]) -> None:
        self._ask = ask
        self._steps = steps
        self._changes = 0
        self._said: tuple[tuple[int, int], LoraTiers] | None = None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The time in which the engine's revisions change, however that ends."""
        self._changes += 1
        try:
            yield
        finally:
            self._changes += 1

    async def read(self) -> LoraTiers:
        """Which revisions are where."""
        moment = (self._steps(), self._changes)
        if self._said is None or self._said[0] != moment:
            self._said = moment, await self._ask()
        return self._said[1]
