"""The state of a replica: its phase, its engine, and the revisions in it."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator

from patchbay.adapters.artifacts.cache import Fetcher
from patchbay.adapters.artifacts.store import ArtifactStore
from patchbay.adapters.checks.base import BaseLayout
from patchbay.core.errors import AdapterRejected, ModelNotFound, Unavailable
from patchbay.core.replica import Phase, ReplicaStatus, RevisionStatus, SlotStatus, Tier
from patchbay.server.config import ServerConfig
from patchbay.server.engine import Engine, LoraTiers
from patchbay.server.metrics import ServerMetrics
from patchbay.server.parity import ParityCheck, ParityRules
from patchbay.server.preflight import base_layout
from patchbay.server.slots import SlotEntry, Slots
from patchbay.server.staging import PendingRevision, RevisionSpec, Staging, StagingRules

_NO_TIERS = LoraTiers(cpu=frozenset(), slots=frozenset())


class ServingReplica:
    """One replica, over which the HTTP application and the process work.

    It is `starting` until `open`, `ready` until `drain`, then `draining`. `detail`: the phase in words, for people.
    """

    def __init__(self, config: ServerConfig, metrics: ServerMetrics) -> None:
        self.config = config
        self.metrics = metrics
        self.detail = "starting"
        self._draining = False
        self._engine: Engine | None = None
        self._slots: Slots | None = None
        self._staging: Staging | None = None
        self._base: BaseLayout | None = None
        self._puts: set[asyncio.Task[SlotEntry]] = set()
        self._answering: set[asyncio.Task[object]] = set()

    @property
    def phase(self) -> Phase:
        """The phase of the replica's life. One whose engine is dead counts as draining: it takes nothing any more."""
        if self._draining or self.failure is not None:
            return "draining"
        return "ready" if self._slots is not None else "starting"

    @property
    def in_flight(self) -> int:
        """The number of requests being answered."""
        return len(self._answering)

    @property
    def loaded(self) -> bool:
        """Whether the base model is in the engine, with or without adapters."""
        return self._engine is not None

    @property
    def failure(self) -> str | None:
        """The reason why the engine is dead, or None while it lives or is not there yet."""
        return self._engine.failure() if self._engine is not None else None

    @property
    def engine(self) -> Engine:
        """The engine with its base model loaded. Raises Unavailable while it is loading."""
        if self._engine is None:
            raise Unavailable(f"{self.config.name} is loading its base model.", retry_after_s=5)
        return self._engine

    @property
    def slots(self) -> Slots:
        """The table of revisions. Raises Unavailable before the replica is ready."""
        if self._slots is None:
            raise Unavailable(f"{self.config.name} is loading its base model.", retry_after_s=5)
        return self._slots

    @property
    def base(self) -> BaseLayout | None:
        """The layout that adapters must fit, None where the base model's files do not show it.

        Raises Unavailable before the replica is ready.
        """
        self._open_staging()
        return self._base

    async def open(self, engine: Engine) -> None:
        """Takes the loaded engine, after which the replica is ready.

        Raises ConfigError where the artifact store cannot be opened.
        """
        self._engine = engine
        self._base = await asyncio.to_thread(base_layout, self.config.base)
        config = self.config
        fetcher = Fetcher(ArtifactStore.open(config.artifacts), config.cache_dir / config.name)
        rules = StagingRules(config.lora.max_rank, config.limits, self._base)
        self._staging = Staging(fetcher, rules, self.metrics)
        await asyncio.to_thread(self._staging.clear)
        parity = ParityCheck(engine.scorer, ParityRules(config.lora.parity, config.limits, self._base), self.metrics)
        self._slots = Slots(engine, wait_s=config.lora.wait_s, metrics=self.metrics, prove=parity.prove)
        engine.watch(self._slots.not_finite)
        self.detail = "ready"

    async def put_adapter(self, spec: RevisionSpec) -> SlotEntry:
        """Fetches, checks and declares a revision, and loads it where `spec` says so.

        The same again changes only its pin. The work goes on where its caller goes away.

        Raises AdapterRejected where it cannot be served, Conflict where the number means other bytes, and Unavailable
        where its files cannot be fetched now.
        """
        put = asyncio.create_task(self._put(self.slots, spec), name=f"put {spec.engine_name}")
        self._puts.add(put)
        put.add_done_callback(self._puts.discard)
        put.add_done_callback(_consume_exception)
        return await asyncio.shield(put)

    async def remove_adapter(self, reference: str) -> tuple[str, ...]:
        """Removes the revision `sql@3`, or every one of `sql`: they drain, leave the engine, and lose their files.

        Returns their engine names. Raises ModelNotFound where there is none.
        """
        slots, staging = self.slots, self._open_staging()
        leaving = tuple(entry for entry in slots.entries if reference in (entry.adapter, entry.name))
        refused = [
            pending.spec
            for pending in staging.arrivals
            if pending.failure and reference in (pending.spec.adapter, pending.spec.name)
        ]
        if not leaving and not refused:
            raise ModelNotFound(reference)
        for spec in refused:
            staging.forget(spec.adapter, spec.number)
        await asyncio.gather(*(slots.remove(entry) for entry in leaving))
        # Two revisions may share a digest, and so the staged copy.
        kept = {entry.staged.digest for entry in slots.entries}
        for digest in {entry.staged.digest for entry in leaving} | {spec.digest for spec in refused}:
            if digest not in kept:
                await asyncio.to_thread(staging.discard, digest)
        return tuple([entry.engine_name for entry in leaving] + [spec.engine_name for spec in refused])

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Counts a request in flight, which this task answers. Raises Unavailable where the replica is not ready."""
        if self.phase != "ready":
            raise Unavailable(f"{self.config.name} is {self.phase}.", retry_after_s=5)
        if (task := asyncio.current_task()) is None:
            raise RuntimeError("a request is answered by a task")
        self._answering.add(task)
        try:
            yield
        finally:
            self._answering.discard(task)

    def break_off(self) -> None:
        """Ends all requests in flight at once, since the engine is dead and they would wait for ever."""
        for task in self._answering:
            task.cancel()

    def drain(self) -> None:
        """Takes no new request from now on."""
        self._draining = True
        self.detail = "draining"

    async def describe(self, entry: SlotEntry) -> RevisionStatus:
        """Returns the status of a revision."""
        return _revision_status(entry, await self.engine.tiers())

    async def status(self) -> ReplicaStatus:
        """Returns the answer to `GET /internal/status`. Raises Unavailable while the base model is loading."""
        engine, slots = self.engine, self.slots
        tiers = _NO_TIERS if engine.failure() else await engine.tiers()
        return ReplicaStatus(
            replica=self.config.name,
            phase=self.phase,
            base=engine.base.model_copy(update={"fingerprint": self._base.fingerprint if self._base else None}),
            tasks=engine.tasks,
            revisions=(
                *(_revision_status(entry, tiers) for entry in slots.entries),
                *_undeclared(self._open_staging().arrivals, slots.entries),
            ),
            slots=SlotStatus(
                slots=engine.capacity.slots,
                slots_used=len(tiers.slots),
                cpu=engine.capacity.cpu,
                cpu_used=len(tiers.cpu),
            ),
            requests=engine.requests(),
            usage=slots.usage,
        )

    async def close(self) -> None:
        """Ends the engine, and removes the staged copies that only it needed."""
        for put in self._puts:
            put.cancel()
        await asyncio.gather(*self._puts, return_exceptions=True)
        if self._slots is not None:
            await self._slots.close()
        if self._engine is not None:
            await self._engine.close()
        if self._staging is not None:
            await self._staging.close()
            await asyncio.to_thread(self._staging.clear)

    async def _put(self, slots: Slots, spec: RevisionSpec) -> SlotEntry:
        if spec.adapter == self.config.base.served_name:
            raise AdapterRejected(f"'{spec.adapter}' is the base model's name.", param="name")
        if not self.config.takes_adapters:
            raise AdapterRejected(f"{self.config.name} takes no adapters: its base model is served as it is.")
        entry = slots.known(spec.adapter, spec.number)
        if entry is None or entry.staged.digest != spec.digest or entry.leaving:
            entry = slots.declare(spec.adapter, spec.number, await self._open_staging().stage(spec))
        entry.pin = spec.pin
        if spec.load:
            await slots.load(entry)
        return entry

    def _open_staging(self) -> Staging:
        if self._staging is None:
            raise Unavailable(f"{self.config.name} is loading its base model.", retry_after_s=5)
        return self._staging


def _revision_status(entry: SlotEntry, tiers: LoraTiers) -> RevisionStatus:
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
        parity=entry.parity,
        pin=entry.pin,
    )


def _undeclared(arrivals: Iterable[PendingRevision], entries: Iterable[SlotEntry]) -> Iterator[RevisionStatus]:
    declared = {(entry.adapter, entry.number) for entry in entries}
    for arrival in arrivals:
        spec = arrival.spec
        if (spec.adapter, spec.number) not in declared:
            yield RevisionStatus(
                adapter=spec.adapter,
                number=spec.number,
                digest=spec.digest,
                engine_name=spec.engine_name,
                state="failed" if arrival.failure else "staging",
                tier="disk",
                references=0,
                reason=arrival.failure,
                pin=spec.pin,
            )


def _tier(entry: SlotEntry, tiers: LoraTiers) -> Tier:
    lora_id = entry.lora.lora_id if entry.lora else None
    if lora_id in tiers.slots:
        return "slot"
    return "cpu" if lora_id in tiers.cpu else "disk"


def _consume_exception(task: asyncio.Task[SlotEntry]) -> None:
    """Reads the exception of a put whose caller has gone, or asyncio would log it as never read."""
    if not task.cancelled():
        task.exception()
