"""The table of a replica's revisions: loads them on first use, keeps those in use, evicts the least recently used.

Every change of an entry happens on the event loop, between awaits, so no lock guards the table itself. One lock
serializes loads and evictions, because together they must stay within what the engine can hold.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from patchbay.core.errors import AdapterRejected, Conflict, ModelNotFound, RevisionMissing, Unavailable
from patchbay.core.names import Reference, engine_name, parse_reference, revision_name
from patchbay.core.replica import RevisionState, RevisionUsage
from patchbay.server.engine import Engine, EngineLora
from patchbay.server.metrics import ServerMetrics
from patchbay.server.staging import StagedAdapter
from patchbay.server.usage import UsageCounter

_log = logging.getLogger(__name__)
# A revision that failed to load is refused for this long without another try, or each request would pay for one.
FAILURE_MEMORY_S = 10.0
# A revision that is loaded again so soon after its eviction should not have been evicted.
_THRASH_S = 60.0
Prove = Callable[[EngineLora, StagedAdapter], Awaitable[str | None]]


@dataclass(eq=False, slots=True, kw_only=True)
class SlotEntry:
    """A declared revision and its state in the engine.

    `references` counts the requests that use it; `lora` is set while the engine has it; `loading` and `removal` are the
    tasks that load and remove it; `quarantined`: whether it is never served again; `pin`: whether it is evicted last;
    `parity`: what its check of parity found.
    `last_used`, `failed_at` and `evicted_at` are in seconds of the monotonic clock.
    """

    adapter: str
    number: int
    staged: StagedAdapter
    lora: EngineLora | None = None
    references: int = 0
    last_used: float = 0.0
    load_seconds: float | None = None
    failure: AdapterRejected | None = None
    failed_at: float = 0.0
    pin: bool = False
    evicted_at: float | None = None
    quarantined: bool = False
    parity: str | None = None
    loading: asyncio.Task[None] | None = field(default=None, repr=False)
    removal: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The name that clients use: `sql@3`."""
        return revision_name(self.adapter, self.number)

    @property
    def engine_name(self) -> str:
        """The name in the engine: `sql@3-1a2b3c4d5e6f`."""
        return engine_name(self.adapter, self.number, self.staged.digest)

    @property
    def leaving(self) -> bool:
        """Whether the revision is being removed, so that no new request may use it."""
        return self.removal is not None

    @property
    def state(self) -> RevisionState:
        """The state in its life cycle."""
        if self.leaving:
            return "draining"
        if self.quarantined:
            return "failed"
        # Loaded, it may still have to prove its parity.
        if self.loading is not None:
            return "loading"
        if self.lora is not None:
            return "resident"
        return "failed" if self.failure is not None else "declared"


def choose_eviction(entries: Iterable[SlotEntry], in_use: Callable[[str], bool]) -> SlotEntry | None:
    """Chooses the resident entry to evict: the least recently used one that nobody uses. Pure.

    A pinned one is chosen only where there is no other. `in_use` says whether the engine still uses a revision, by its
    engine name. Returns None where all are in use.
    """
    free = [
        entry
        for entry in entries
        if entry.state == "resident" and not entry.references and not in_use(entry.engine_name)
    ]
    return min(free, key=lambda entry: (entry.pin, entry.last_used), default=None)


def room_for_one(entries: Iterable[SlotEntry], places: int, in_use: Callable[[str], bool]) -> SlotEntry | bool:
    """Decides whether one more revision fits into `places`. Pure; `loadtests.scale` decides by it too.

    Returns True where it fits, the entry to evict first where it does not, and False where all are in use, so that the
    caller has to wait for one. `in_use`: as of `choose_eviction`.
    """
    resident = [entry for entry in entries if entry.lora is not None]
    if len(resident) < places:
        return True
    return choose_eviction(resident, in_use) or False


def find_entry(entries: Iterable[SlotEntry], reference: Reference) -> SlotEntry | None:
    """Finds the entry that `reference` means: the highest number of that adapter where it names none.

    Draining entries are not found.
    """
    matches = [
        entry
        for entry in entries
        if entry.adapter == reference.name
        and not entry.leaving
        and reference.number in (None, entry.number)
        and entry.staged.digest.startswith(reference.digest or "")
    ]
    return max(matches, key=lambda entry: entry.number, default=None)


class Slots:
    """The revisions of one engine, loaded and evicted as requests ask for them.

    Owns the loads that it starts: `close` awaits them. `wait_s`: how long a load waits for a place, in seconds;
    `prove`: checks what was loaded before any request gets it, returns what it found, and raises AdapterRejected;
    `clock`: seconds, monotonic.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        wait_s: float,
        metrics: ServerMetrics,
        prove: Prove | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._wait_s = wait_s
        self._metrics = metrics
        self._prove = prove
        self._clock = clock
        self._entries: dict[tuple[str, int], SlotEntry] = {}
        self._ids = itertools.count(1)
        self._change_lock = asyncio.Lock()
        self._released = asyncio.Condition()
        self._usage = UsageCounter()
        self._quarantines: set[asyncio.Task[None]] = set()

    @property
    def usage(self) -> RevisionUsage:
        """The counts of the revisions that requests have asked for."""
        return self._usage.read()

    @property
    def entries(self) -> tuple[SlotEntry, ...]:
        """Every declared revision, in the order of adapter and number."""
        return tuple(self._entries[key] for key in sorted(self._entries))

    def declare(self, adapter: str, number: int, staged: StagedAdapter) -> SlotEntry:
        """Makes a revision known, or returns the entry of one that is.

        Raises Conflict where the number means other bytes, or where the revision is being removed.
        """
        known = self._entries.get((adapter, number))
        if known is None:
            return self._entries.setdefault((adapter, number), SlotEntry(adapter=adapter, number=number, staged=staged))
        if known.staged.digest != staged.digest:
            raise Conflict(
                f"{known.name} is {known.staged.digest[:12]} and cannot become {staged.digest[:12]}: a revision never "
                "changes.",
                hint="Use the next number.",
            )
        if known.leaving:
            raise Conflict(f"{known.name} is being removed.", hint="Try again when it is gone.")
        return known

    def known(self, adapter: str, number: int) -> SlotEntry | None:
        """Returns the entry with that number, whatever its state, or None."""
        return self._entries.get((adapter, number))

    def find(self, model: str) -> SlotEntry:
        """Finds the revision that a client's `model` means. Raises ModelNotFound."""
        reference = parse_reference(model)
        entry = find_entry(self._entries.values(), reference) if reference else None
        if entry is None:
            raise ModelNotFound(model)
        return entry

    @asynccontextmanager
    async def use(self, entry: SlotEntry) -> AsyncIterator[EngineLora]:
        """Keeps `entry` resident for a request, and counts that as use. Raises as `hold` does."""
        self._usage.begin(entry.engine_name)
        try:
            async with self.hold(entry) as lora:
                yield lora
        finally:
            self._usage.end(entry.engine_name)

    @asynccontextmanager
    async def hold(self, entry: SlotEntry) -> AsyncIterator[EngineLora]:
        """Keeps `entry` resident for the duration, loading it if need be.

        Raises AdapterRejected where the engine cannot take it, Unavailable where no room is made within `wait_s`, and
        ModelNotFound where it is being removed.
        """
        if entry.leaving:
            raise ModelNotFound(entry.name)
        entry.references += 1
        try:
            yield await self._ensure_resident(entry)
        finally:
            entry.references -= 1
            entry.last_used = self._clock()
            await self._notify()

    async def load(self, entry: SlotEntry) -> None:
        """Makes `entry` resident ahead of its first request. Raises as `hold` does."""
        async with self.hold(entry):
            return

    async def remove(self, entry: SlotEntry) -> None:
        """Removes `entry`: no new request gets it, those that use it finish, then the engine frees it."""
        if entry.removal is None:
            entry.removal = asyncio.create_task(self._remove(entry), name=f"remove {entry.name}")
        # Shielded: once begun it must be carried through, or the revision would stay neither here nor gone.
        await asyncio.shield(entry.removal)

    def not_finite(self, engine_name: str | None) -> None:
        """Quarantines the revision of this engine name, because it gave logits that are not finite.

        No request gets it again: it is `failed`, and leaves the engine when the requests that use it have ended. For
        the base model (None), the event is only counted.
        """
        self._metrics.not_finite.labels(of="base" if engine_name is None else "adapter").inc()
        entry = next((entry for entry in self._entries.values() if entry.engine_name == engine_name), None)
        if entry is None or entry.quarantined:
            return
        entry.quarantined, entry.failed_at = True, self._clock()
        entry.failure = AdapterRejected(
            f"{entry.name} is quarantined: it gave logits that are not finite numbers.",
            param="model",
            hint="Its weights overflow: take an earlier checkpoint.",
        )
        self._metrics.quarantines.inc()
        _log.error("%s", entry.failure.message)
        if entry.removal is None:
            task = asyncio.create_task(self._unload_quarantined(entry), name=f"expel {entry.name}")
            self._quarantines.add(task)
            task.add_done_callback(self._quarantines.discard)

    async def close(self) -> None:
        """Awaits the loads that are under way, and gives up the removals, which may wait for requests."""
        loads = [entry.loading for entry in self._entries.values() if entry.loading]
        removals = [entry.removal for entry in self._entries.values() if entry.removal]
        quarantines = tuple(self._quarantines)
        for task in (*removals, *quarantines):
            task.cancel()
        await asyncio.gather(*loads, *removals, *quarantines, return_exceptions=True)

    async def _ensure_resident(self, entry: SlotEntry) -> EngineLora:
        if entry.lora is None or entry.quarantined or entry.loading is not None:
            self._refuse_known_failure(entry)
            if entry.loading is None:
                entry.loading = asyncio.create_task(self._load(entry), name=f"load {entry.name}")
                entry.loading.add_done_callback(_consume_exception)
            # Shielded: the others who wait for this load must not lose it when one of them goes away.
            await asyncio.shield(entry.loading)
        if entry.lora is None:
            raise RevisionMissing(f"{entry.name} was removed while this request waited for it.")
        return entry.lora

    def _refuse_known_failure(self, entry: SlotEntry) -> None:
        still_counts = entry.quarantined or self._clock() - entry.failed_at < FAILURE_MEMORY_S
        if entry.failure is not None and still_counts:
            raise AdapterRejected(entry.failure.message, param="model", hint=entry.failure.hint)

    async def _load(self, entry: SlotEntry) -> None:
        try:
            async with self._change_lock:
                await self._make_room()
                await self._load_into_engine(entry)
            await self._prove_parity(entry)
        except AdapterRejected as error:
            entry.failure, entry.failed_at = error, self._clock()
            self._metrics.load_failures.inc()
            raise
        finally:
            entry.loading = None

    async def _load_into_engine(self, entry: SlotEntry) -> None:
        # A new id for each load: the engine may still have the one of an earlier load on its way out.
        lora = EngineLora(entry.engine_name, next(self._ids), entry.staged.folder)
        started = self._clock()
        await self._engine.load(lora)
        entry.lora, entry.failure = lora, None
        if entry.evicted_at is not None and self._clock() - entry.evicted_at < _THRASH_S:
            self._metrics.reloads.inc()
        entry.load_seconds, entry.last_used = self._clock() - started, self._clock()
        self._metrics.load_seconds.observe(entry.load_seconds)

    async def _prove_parity(self, entry: SlotEntry) -> None:
        """Has what was loaded proven, outside of the lock: other loads go on meanwhile. Nothing that is not proven
        stays in the engine."""
        if self._prove is None or entry.lora is None:
            return
        try:
            entry.parity = await self._prove(entry.lora, entry.staged)
        except BaseException:
            async with self._change_lock:
                await self._unload(entry)
            raise

    async def _unload_quarantined(self, entry: SlotEntry) -> None:
        async with self._released:
            await self._released.wait_for(lambda: entry.references == 0)
        async with self._change_lock:
            await self._unload(entry)

    async def _remove(self, entry: SlotEntry) -> None:
        async with self._released:
            await self._released.wait_for(lambda: entry.references == 0)
        async with self._change_lock:
            await self._unload(entry)
        self._entries.pop((entry.adapter, entry.number), None)
        self._metrics.removals.inc()

    async def _make_room(self) -> None:
        while (room := self._room()) is not True:
            if room is False:
                # Checked again after each release: the engine may still use what a request has released.
                await self._wait_for_release()
                continue
            await self._unload(room)
            room.evicted_at = self._clock()
            self._metrics.evictions.inc()

    def _room(self) -> SlotEntry | bool:
        return room_for_one(self._entries.values(), self._engine.capacity.cpu, self._engine.in_use)

    async def _wait_for_release(self) -> None:
        try:
            async with asyncio.timeout(self._wait_s), self._released:
                await self._released.wait()
        except TimeoutError as error:
            places = self._engine.capacity.cpu
            raise Unavailable(f"All {places} places for adapters are in use.", retry_after_s=1) from error

    async def _unload(self, entry: SlotEntry) -> None:
        if entry.lora is not None:
            # Cleared before the await: a request that comes meanwhile must start a load, not use what is leaving.
            lora, entry.lora = entry.lora, None
            await self._engine.remove(lora)

    async def _notify(self) -> None:
        async with self._released:
            self._released.notify_all()


def _consume_exception(task: asyncio.Task[None]) -> None:
    """Reads the exception of a load that everyone who waited for it has left, or asyncio would log it as never read."""
    if not task.cancelled():
        task.exception()
