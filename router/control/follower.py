"""The follower of the registry: reads the newest snapshot, swaps it in as a whole, and gives a sign of life in
return."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from patchbay.core.errors import RegistryError
from patchbay.core.thread_pools import Threads
from patchbay.registry.records import Access, RouterBeat, Snapshot
from patchbay.registry.registry import Registry
from patchbay.router.control.naming import expiries_of, naming_of
from patchbay.router.control.removals import loss_of
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.telemetry.metrics import Metrics

_log = logging.getLogger("patchbay.router")
BEAT_S = 2.0
_NONE_YET = -1


class Follower:
    """Keeps `snapshot` and the fleet's names equal to the registry.

    `name`: this router's, in the registry; `poll_s`: seconds between looks; `told`: functions that get each snapshot;
    `served`: returns the document that goes with each sign of life; `refused`: why declared adapters cannot be brought
    in, which goes there, too; `allowed_at`: the generation at which any removal
    is allowed. While the registry cannot be reached the last snapshot stays: no answer depends on a newer one. Before
    the first whole snapshot nothing is `known`, which is different from an empty registry: nobody is let in, and nobody
    leads. A snapshot that has lost something that a registry never loses is refused until `accept`.
    """

    def __init__(
        self,
        registry: Registry,
        fleet: Fleet,
        metrics: Metrics,
        *,
        name: str,
        poll_s: float,
        utc_now: Callable[[], datetime],
    ) -> None:
        self._registry = registry
        self._fleet = fleet
        self._metrics = metrics
        self._threads = Threads("follow", 1)
        self._name = name
        self._poll_s = poll_s
        self._utc_now = utc_now
        self._beaten: RouterBeat | None = None
        self._served: Mapping[str, Any] | None = None
        self._poked = asyncio.Event()
        self._turn = asyncio.Lock()
        self._reachable = True
        self.served: Callable[[], Mapping[str, Any] | None] = lambda: None
        self.refused: dict[str, str] = {}
        self.told: list[Callable[[Snapshot], None]] = []
        self.snapshot = Snapshot(generation=_NONE_YET, adapters={})
        self._answered_at_s = time.monotonic()
        metrics.registry.watch_age(lambda: time.monotonic() - self._answered_at_s)
        self._accepted = False
        self.allowed_at: int | None = None
        self._gone_by = self.snapshot.generation

    @property
    def known(self) -> bool:
        """Whether a whole snapshot has been read since the start."""
        return self.snapshot.generation != _NONE_YET

    @property
    def access(self) -> Access | None:
        """The keys and tenants, None before the first snapshot, when nobody can know them."""
        return self.snapshot.access if self.known else None

    def accept(self) -> None:
        """Accepts the registry as it is, though it has lost something, since somebody says that this is intended."""
        self._accepted = True
        self.allowed_at = self.snapshot.generation
        self._fleet.news.set()
        self.poke()

    async def follow(self) -> None:
        """Looks at the registry again and again, until cancelled."""
        while True:
            await self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._poked.wait()
            self._poked.clear()

    async def look(self) -> None:
        """Takes the newest snapshot, if it differs from the present one."""
        # One at a time: two might end in another order than they began, and the older would stay.
        async with self._turn:
            try:
                # Any other generation, not only a newer one: a database restored from a copy is at an older one.
                if await self._threads.run(self._registry.generation) != self.snapshot.generation:
                    self._take_if_whole(await self._threads.run(self._registry.snapshot))
                await self._beat()
            except RegistryError as error:
                self._note(reachable=False, why=str(error))
            else:
                self._answered_at_s = time.monotonic()
                self._note(reachable=True, why="")

    @property
    def _meanwhile(self) -> str:
        if self.known:
            return "so its last state stays in use"
        return "and nothing of it was read since the start, so nobody is let in"

    def poke(self) -> None:
        """Asks for a look at once."""
        self._poked.set()

    def _take_if_whole(self, snapshot: Snapshot) -> None:
        reason = loss_of(self.snapshot, snapshot)
        if reason is not None and not self._accepted:
            raise RegistryError(
                f"The registry is refused as it is now: {reason}.",
                hint="Put the right one back; or where this is intended, POST /admin/v1/registry/accept.",
            )
        if self._accepted:
            self.allowed_at = snapshot.generation
        self._accepted = False
        self._take(snapshot)

    def _take(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._metrics.canaries.known_as(snapshot.installation, self._name)
        self._fleet.put_naming(naming_of(snapshot))
        for tell in self.told:
            tell(snapshot)
        self._fleet.news.set()
        self._metrics.registry.generation(snapshot.generation)
        self._metrics.registry.expiries(expiries_of(snapshot))

    async def _beat(self) -> None:
        if not self._fleet.behind:
            self._gone_by = self.snapshot.generation
        beat = RouterBeat(self._name, self._gone_by, self._utc_now())
        before = self._beaten
        served = self.served()
        known = before is not None and before.generation == beat.generation and served is self._served
        if known and before is not None and (beat.seen_at - before.seen_at).total_seconds() < BEAT_S:
            return
        await self._threads.run(self._registry.beat, beat, served)
        self._beaten, self._served = beat, served

    def _note(self, *, reachable: bool, why: str) -> None:
        if reachable != self._reachable:
            _log.warning("the registry is %s", "back" if reachable else f"out of reach, {self._meanwhile}: {why}")
        self._reachable = reachable
        self._metrics.registry.reachable(reachable)
