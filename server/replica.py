"""A replica's state: its phase, its engine, and the revisions in it."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from adapters.errors import AdapterError, AdapterRejected, Conflict, ModelNotFound, StartError, Unavailable
from adapters.names import check_name
from adapters.replica import Phase, ReplicaStatus, RevisionStatus, SlotStatus, Tier
from server.config import ServerConfig
from server.engine import Engine, LoraTiers
from server.metrics import ServerMetrics
from server.preflight import base_layout
from server.slots import Entry, Slots
from server.staging import Staging

_NO_TIERS = LoraTiers(frozenset(), frozenset())


class Replica:
    """One replica. It is `starting` until `open`, `ready` until `drain`, then `draining`."""

    def __init__(self, config: ServerConfig, metrics: ServerMetrics) -> None:
        self.config = config
        self.metrics = metrics
        self.detail = "starting"
        self.in_flight = 0
        self._draining = False
        self._engine: Engine | None = None
        self._slots: Slots | None = None
        self._staging = Staging(
            config.cache_dir / config.name, max_rank=config.lora.max_rank, base=base_layout(config.base)
        )

    @property
    def phase(self) -> Phase:
        """Where the replica is in its life."""
        if self._draining:
            return "draining"
        return "ready" if self._slots is not None else "starting"

    @property
    def loaded(self) -> bool:
        """Whether the base model is in the engine, whatever of the adapters."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine. Raises Unavailable while it is loading."""
        if self._engine is None:
            raise Unavailable(f"{self.config.name} is loading its base model.", retry_after_s=5)
        return self._engine

    @property
    def slots(self) -> Slots:
        """The revisions. Raises Unavailable before the replica is ready."""
        if self._slots is None:
            raise Unavailable(f"{self.config.name} is loading its base model.", retry_after_s=5)
        return self._slots

    async def open(self, engine: Engine) -> None:
        """Takes the loaded engine, then declares and loads the configured adapters; ready after that.

        Raises StartError where one of them cannot be served.
        """
        self._engine = engine
        slots = Slots(engine, wait_s=self.config.lora.wait_s, metrics=self.metrics)
        self._staging.clear()
        for name, adapter in self.config.adapters.items():
            self.detail = f"loading adapter {name}"
            try:
                staged = await asyncio.to_thread(self._staging.stage, name, adapter.revision, adapter.path)
                entry = slots.declare(name, adapter.revision, staged)
                if adapter.preload:
                    await slots.load(entry)
            except (AdapterError, AdapterRejected) as error:
                raise StartError(f"The adapter '{name}' cannot be served: {error}") from error
        self._slots = slots
        self.detail = "ready"

    async def put_adapter(self, name: str, number: int, source: Path, *, load: bool) -> Entry:
        """Declares revision `number` of adapter `name` from the folder `source`, and loads it where `load` says so.

        Raises AdapterRejected where it cannot be served, Conflict where the number means other bytes.
        """
        slots = self.slots
        try:
            check_name(name)
            staged = await asyncio.to_thread(self._staging.stage, name, number, source)
        except AdapterError as error:
            raise AdapterRejected(error.message, hint=error.hint) from error
        if name == self.config.base.served_name:
            raise AdapterRejected(f"'{name}' is the base model's name.", param="name")
        try:
            entry = slots.declare(name, number, staged)
        except Conflict:
            if all(entry.staged.folder != staged.folder for entry in slots.entries):
                await asyncio.to_thread(self._staging.discard, staged)
            raise
        if load:
            await slots.load(entry)
        return entry

    async def remove_adapter(self, reference: str) -> tuple[Entry, ...]:
        """Removes the revision `sql@3`, or every one of `sql`: they drain, leave the engine, and their files go.

        Raises ModelNotFound where there is none.
        """
        slots = self.slots
        leaving = tuple(entry for entry in slots.entries if reference in (entry.adapter, entry.name))
        if not leaving:
            raise ModelNotFound(reference)
        await asyncio.gather(*(slots.remove(entry) for entry in leaving))
        for entry in leaving:
            await asyncio.to_thread(self._staging.discard, entry.staged)
        return leaving

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Counts a request in flight. Raises Unavailable where the replica is not ready."""
        if self.phase != "ready":
            raise Unavailable(f"{self.config.name} is {self.phase}.", retry_after_s=5)
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def drain(self) -> None:
        """Takes no new request from now on."""
        self._draining = True
        self.detail = "draining"

    async def status(self) -> ReplicaStatus:
        """What `GET /internal/status` tells. Raises Unavailable while the base model is loading."""
        engine, slots = self.engine, self.slots
        tiers = _NO_TIERS if engine.failure() else await engine.tiers()
        return ReplicaStatus(
            replica=self.config.name,
            phase=self.phase,
            base=engine.base,
            tasks=engine.tasks,
            revisions=tuple(_revision_status(entry, tiers) for entry in slots.entries),
            slots=SlotStatus(
                slots=engine.capacity.slots,
                slots_used=len(tiers.slots),
                cpu=engine.capacity.cpu,
                cpu_used=len(tiers.cpu),
            ),
            requests=engine.requests(),
        )

    async def close(self) -> None:
        """Ends the engine, and removes the staged copies that only it needed."""
        if self._slots is not None:
            await self._slots.close()
        if self._engine is not None:
            await self._engine.close()
        await asyncio.to_thread(self._staging.clear)


def _revision_status(entry: Entry, tiers: LoraTiers) -> RevisionStatus:
    return RevisionStatus(
        adapter=entry.adapter,
        number=entry.number,
        digest=entry.staged.digest,
        engine_name=entry.engine_name,
        state=entry.state,
        tier=_tier(entry, tiers),
        references=entry.references,
        rank=entry.staged.summary.rank,
        load_seconds=entry.load_seconds,
        reason=str(entry.failure) if entry.failure else None,
    )


def _tier(entry: Entry, tiers: LoraTiers) -> Tier:
    lora_id = entry.lora.lora_id if entry.lora else None
    if lora_id in tiers.slots:
        return "slot"
    return "cpu" if lora_id in tiers.cpu else "disk"
