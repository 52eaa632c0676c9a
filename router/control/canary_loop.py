"""The canary loop: takes looks at canaries, and acts on them. It runs only on the router that leads."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from patchbay.adapters.lifecycle import ROUTER_ALIVE_S, Lifecycle
from patchbay.core.errors import ConfigError, Conflict, NotFound, RegistryError
from patchbay.registry.canaries import Canaries, Decide
from patchbay.registry.canary_records import CanaryDraft, CanaryRecord, CanaryTally, LookDraft
from patchbay.registry.records import Rollout, RouterBeat
from patchbay.router.canary.config import CanaryConfig, DeclaredCanary, plan_of
from patchbay.router.canary.incident import TOLD_LOOKS
from patchbay.router.canary.ledger import Ledger, ledger_of
from patchbay.router.canary.metric_coverage import Subject
from patchbay.router.canary.phases import CanarySurroundings, evidence_of, next_phase, with_tallies
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.canary.served import Served
from patchbay.router.control.announcer import Announcer
from patchbay.router.control.context import Context
from patchbay.router.control.prometheus import NoData, PrometheusSource, Scraped
from patchbay.router.control.tasks import KeyedTasks
from patchbay.router.fleet.snapshot import has_others

_log = logging.getLogger("patchbay.router")
LOOK_EVERY_S = 0.5
_EVERYWHERE_S = 10.0
_DECLARE_AGAIN_S = 2.0
_LEFT_ALONE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Book:
    """A canary's plan, and its ledger after `looks` looks."""

    plan: PlanConfig
    ledger: Ledger
    looks: int


class CanaryKeeper:
    """Carries on the canaries of one registry.

    It keeps nothing that it cannot read there again, so that another router can take over at any point. `declared`: the
    canaries that the configuration asks for, by adapter.
    """

    def __init__(
        self, context: Context, tasks: KeyedTasks, config: CanaryConfig, declared: Mapping[str, DeclaredCanary]
    ) -> None:
        self._context = context
        self._tasks = tasks
        self._declared = dict(declared)
        self._announcer = Announcer(config)
        self._prometheus = PrometheusSource(config) if config.metrics == "prometheus" else None
        self._blind: dict[int, str | None] = {}
        self._canaries = context.registry.canaries
        self._books: dict[int, _Book] = {}

    def step(self) -> None:
        """Begins the next look at each canary that has not ended."""
        live = {record.id: record for record in self._context.follower.snapshot.canaries if record.live}
        for gone in self._books.keys() - live.keys():
            del self._books[gone]
            self._blind.pop(gone, None)
        for record in live.values():
            self._tasks.start(("canary", record.id), self._carry_on(record))
        for adapter, change in self._declared.items():
            self._tasks.start(("canary of", adapter), self._declare(adapter, change))
        alone = (record.pool is not None and self._pool_alone(record.pool) for record in live.values())
        self._context.metrics.canaries.blind(any(self._blind.values()) or any(alone))

    async def _declare(self, adapter: str, change: DeclaredCanary) -> None:
        """Starts a canary that the configuration asks for, once its revision is there and another is stable."""
        canaries = self._canaries
        try:
            known = await self._context.threads.work.run(canaries.history, adapter)
            if all(record.number != change.revision for record in known):
                plan = change.plan.model_dump(mode="json")
                draft = CanaryDraft(adapter=adapter, number=change.revision, plan=plan, actor="configuration")
                await self._context.threads.work.run(canaries.start, draft)
                await self._context.follower.look()
        except (Conflict, NotFound) as error:
            _log.info("the canary of %s@%d waits: %s", adapter, change.revision, error)
            await asyncio.sleep(_DECLARE_AGAIN_S)
        except RegistryError as error:
            _log.warning("the registry is out of reach: %s", error)
            await asyncio.sleep(_DECLARE_AGAIN_S)
        else:
            self._declared.pop(adapter, None)

    async def _carry_on(self, record: CanaryRecord) -> None:
        try:
            after = await self._look(record)
            if after.phase == "rolling_back":
                after = await self._see_through(after)
            if not after.live and record.live:
                looks = await self._context.threads.work.run(self._canaries.thinned, after.id, TOLD_LOOKS)
                await self._announcer.ended(after, looks)
        except (Conflict, NotFound) as error:
            _log.warning("canary %d: %s", record.id, error)
        except RegistryError as error:
            _log.warning("the registry is out of reach: %s", error)
        except ConfigError as error:
            # A router of another version of Patchbay has started it, and will carry it on.
            _log.warning("canary %d is left to a router that can read its plan: %s", record.id, error)
            await asyncio.sleep(_LEFT_ALONE_S)
        await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, record: CanaryRecord) -> CanaryRecord:
        if self._prometheus is not None and record.phase in ("running", "paused"):
            await self._ask_prometheus(self._prometheus, record)
        book = await self._book(record)
        elsewhere = await self._elsewhere(record, book.plan)
        after = await self._context.threads.work.run(self._canaries.look, record.id, self._decider(book, elsewhere))
        if after.version != record.version:
            _log.info("canary %d of %s is %s: %s", after.id, after.name, after.phase, after.reason)
            await self._context.follower.look()
        book = self._books.get(record.id, book)
        evidence = evidence_of(book.plan, book.ledger)
        self._context.metrics.canaries.evidence(after.subject, after.name, evidence)
        return after

    async def _ask_prometheus(self, source: PrometheusSource, record: CanaryRecord) -> None:
        work, registry = self._context.threads.work, self._context.registry
        fresh = await work.run(self._canaries.get, record.id)
        routers = await work.run(registry.routers, ROUTER_ALIVE_S)
        of = Scraped(self._context.follower.snapshot.installation, [router.name for router in routers])
        try:
            reading = await source.read(record.id, of, fresh.cursor)
        except NoData as error:
            self._blind[record.id] = str(error)
            return
        self._blind[record.id] = None
        if reading.counts:
            tallies = [counts.as_json for counts in reading.counts]
            # Both cursors, so that the registry can refuse counts that another router has written meanwhile.
            cursor = (fresh.cursor, reading.cursor)
            await work.run(self._canaries.tally_from, record.id, "prometheus", tallies, cursor)

    async def _book(self, record: CanaryRecord) -> _Book:
        known = self._books.get(record.id)
        if known is not None and known.looks >= record.looks:
            return known
        plan = plan_of(dict(record.plan), record.id)
        opened = await self._context.threads.work.run(opened_ledger, self._canaries, record.id, plan)
        book = self._books[record.id] = _Book(plan, *opened)
        return book

    async def _elsewhere(self, record: CanaryRecord, plan: PlanConfig) -> Sequence[Served]:
        """Returns what other routers serve, where a canary cannot be judged by this router's own configuration."""
        subject = Subject(record.adapter, record.pool)
        if self._context.plan_fault(plan, subject) is None:
            return ()
        by_router = await self._context.threads.work.run(self._context.registry.served, ROUTER_ALIVE_S)
        return [served for document in by_router.values() if (served := Served.parse(document)) is not None]

    def _decider(self, book: _Book, elsewhere: Sequence[Served]) -> Decide:
        def decide(
            record: CanaryRecord, tallies: Sequence[CanaryTally], rollout: Rollout | None, stable: int | None
        ) -> LookDraft | None:
            if record.looks != book.looks:
                # Another router has looked meanwhile, so this one's ledger is out of date.
                self._books.pop(record.id, None)
                return None
            ledger = with_tallies(book.plan, book.ledger, tallies)
            world = self._world(record, book.plan, rollout, stable, elsewhere)
            look = next_phase(record, book.plan, ledger, tallies, world)
            if look is not None:
                self._books[record.id] = _Book(book.plan, ledger, record.looks + 1)
            return look

        return decide

    def _world(
        self,
        record: CanaryRecord,
        plan: PlanConfig,
        rollout: Rollout | None,
        stable: int | None,
        elsewhere: Sequence[Served],
    ) -> CanarySurroundings:
        waits = alone = None
        if record.pool is not None:
            waits, alone = self._pool_waits(record.pool), self._pool_alone(record.pool)
        warm = waits is None and alone is None and record.phase != "pending"
        fault = self._context.plan_fault(plan, Subject(record.adapter, record.pool), warm=warm, elsewhere=elsewhere)
        blind = self._blind.get(record.id) or alone
        return CanarySurroundings(
            rollout=rollout,
            stable=stable,
            now=self._context.utc_now(),
            blind=blind,
            pool_waits=waits or alone,
            refused=fault,
        )

    def _pool_alone(self, pool: str) -> str | None:
        """Returns the reason why there is nothing to compare a pool with, None where there is something."""
        if has_others(self._context.fleet.view.replicas, pool):
            return None
        return f"there is no replica of another pool than {pool}, which gets all requests"

    def _pool_waits(self, pool: str) -> str | None:
        """Returns the reason why a pool cannot answer yet, None where it can."""
        replicas = [replica for replica in self._context.fleet.view.replicas if replica.pool == pool]
        if not replicas:
            return f"there is no replica in the pool {pool} yet"
        missing = [replica.name for replica in replicas if replica.state != "ready"]
        return f"waiting for {', '.join(missing)}" if missing else None

    async def _see_through(self, record: CanaryRecord) -> CanaryRecord:
        """Waits until no router sends the canary anything, and notes how long that took."""
        registry = self._context.registry
        generation = record.verdict_generation
        if generation is None:
            generation = await self._context.threads.work.run(registry.generation)
        lifecycle = Lifecycle(registry)
        await self._context.threads.long.run(lifecycle.wait_until_live, generation, timeout_s=_EVERYWHERE_S)
        routers = await self._context.threads.work.run(registry.routers, ROUTER_ALIVE_S)
        reason = f"{record.reason}; {zero_share(record.verdict_at or record.updated_at, generation, routers)}"
        changes = {"phase": "rolled_back", "reason": reason, "ended_at": self._context.utc_now()}
        ended = await self._context.threads.work.run(
            self._canaries.change, record, changes, actor="canary", action="canary.rolled_back"
        )
        _log.warning("canary %d of %s was rolled back: %s", ended.id, ended.name, ended.reason)
        await self._context.follower.look()
        return ended


def opened_ledger(canaries: Canaries, canary: int, plan: PlanConfig) -> tuple[Ledger, int]:
    """Reads the ledger of a canary, and the number of looks in it. Blocks."""
    known, looks = canaries.resumed_from(canary)
    try:
        ledger, number = (ledger_of(known.ledger), known.look) if known is not None else (Ledger.opened(plan), 0)
    except ValueError:
        # Stored by another version of Patchbay: made again from the counts of all looks.
        ledger, number, looks = Ledger.opened(plan), 0, canaries.looks(canary)
    for look in looks:
        ledger, number = with_tallies(plan, ledger, look.tallies), look.number
    return ledger, number


def zero_share(verdict_at: datetime, generation: int, routers: Sequence[RouterBeat]) -> str:
    """Says which routers send a canary nothing more, and how long after its verdict the last of them stopped. Pure.

    A router stopped when it came to the verdict's `generation`, or to the later one that it is at. It makes no
    difference which router leads.
    """
    stopped = [router for router in routers if router.generation >= generation]
    missing = [router.name for router in routers if router.generation < generation]
    took_s = max((((router.since or router.seen_at) - verdict_at).total_seconds() for router in stopped), default=0.0)
    text = f"no share left on {len(stopped)} router{'s' if len(stopped) != 1 else ''} after {max(took_s, 0.0):.2f} s"
    return f"{text}, not seen on {', '.join(missing)}" if missing else text
