"""Carries canaries on: takes their looks, and does what follows from them. Only the router that leads does."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.errors import Conflict, NotFound, RegistryError
from adapters.lifecycle import Arrival, Lifecycle
from adapters.registry.canaries import Decide
from adapters.registry.canary_records import CanaryRecord, LookDraft, Tally
from adapters.registry.records import Rollout
from adapters.settings import parse_settings
from router.canary.conduct import World, conduct, evidence_of, with_tallies
from router.canary.ledger import Ledger
from router.canary.plan import PlanConfig
from router.control.context import Context
from router.control.tasks import KeyedTasks

_log = logging.getLogger("patchbay.router")
_LOOK_EVERY_S = 0.5
_EVERYWHERE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Book:
    """A canary's plan, and its ledger after so many looks."""

    plan: PlanConfig
    ledger: Ledger
    looks: int


class CanaryKeeper:
    """Keeps the canaries of one registry going. All that it knows it can learn anew from there."""

    def __init__(self, context: Context, tasks: KeyedTasks) -> None:
        self._context = context
        self._tasks = tasks
        self._canaries = context.registry.canaries
        self._books: dict[int, _Book] = {}

    def step(self) -> None:
        """Begins the next look at each canary that has not ended."""
        live = {record.id: record for record in self._context.follower.snapshot.canaries if record.live}
        for gone in self._books.keys() - live.keys():
            del self._books[gone]
            self._context.metrics.forget_canary(gone)
        for record in live.values():
            self._tasks.start(("canary", record.id), self._carry_on(record))

    async def _carry_on(self, record: CanaryRecord) -> None:
        try:
            after = await self._look(record)
            if after.phase == "rolling_back":
                await self._see_through(after)
        except (Conflict, NotFound) as error:
            _log.warning("canary %d: %s", record.id, error)
        except RegistryError as error:
            _log.warning("the registry is out of reach: %s", error)
        await asyncio.sleep(_LOOK_EVERY_S)

    async def _look(self, record: CanaryRecord) -> CanaryRecord:
        book = await self._book(record)
        after = await asyncio.to_thread(self._canaries.look, record.id, self._decider(book))
        if after.version != record.version:
            _log.info("canary %d of %s is %s: %s", after.id, after.name, after.phase, after.reason)
            await self._context.follower.look()
        book = self._books.get(record.id, book)
        evidence = evidence_of(book.plan, book.ledger)
        self._context.metrics.canary_evidence(after.adapter, after.name, evidence)
        return after

    async def _book(self, record: CanaryRecord) -> _Book:
        known = self._books.get(record.id)
        if known is not None and known.looks >= record.looks:
            return known
        plan = parse_settings(PlanConfig, dict(record.plan), source=f"canary {record.id}")
        looks = await asyncio.to_thread(self._canaries.looks, record.id)
        ledger = Ledger.opened(plan)
        for look in looks:
            ledger = with_tallies(plan, ledger, look.tallies)
        book = self._books[record.id] = _Book(plan, ledger, len(looks))
        return book

    def _decider(self, book: _Book) -> Decide:
        def decide(
            record: CanaryRecord, tallies: Sequence[Tally], rollout: Rollout | None, stable: int | None
        ) -> LookDraft | None:
            if record.looks != book.looks:
                # Another router has looked meanwhile: what this one knows is too old to go by.
                self._books.pop(record.id, None)
                return None
            ledger = with_tallies(book.plan, book.ledger, tallies)
            said = conduct(record, book.plan, ledger, tallies, World(rollout, stable, self._context.utc_now()))
            if said is not None:
                self._books[record.id] = _Book(book.plan, ledger, record.looks + 1)
            return said

        return decide

    async def _see_through(self, record: CanaryRecord) -> None:
        """Waits until no router sends it anything, and says how long that took."""
        generation = await asyncio.to_thread(self._context.registry.generation)
        lifecycle = Lifecycle(self._context.registry)
        arrival = await asyncio.to_thread(lifecycle.wait_until_live, generation, timeout_s=_EVERYWHERE_S)
        took_s = (self._context.utc_now() - record.updated_at).total_seconds()
        said = f"{record.reason}; {_where(arrival, took_s)}"
        changes = {"phase": "rolled_back", "reason": said, "ended_at": self._context.utc_now()}
        ended = await asyncio.to_thread(
            self._canaries.change, record, changes, actor="canary", said="canary.rolled_back"
        )
        _log.warning("canary %d of %s was rolled back: %s", ended.id, ended.name, ended.reason)
        await self._context.follower.look()


def _where(arrival: Arrival, took_s: float) -> str:
    routers = f"{len(arrival.after_s)} router{'s' if len(arrival.after_s) != 1 else ''}"
    missing = f", not seen on {', '.join(arrival.missing)}" if arrival.missing else ""
    return f"no share left on {routers} after {took_s:.2f} s{missing}"
