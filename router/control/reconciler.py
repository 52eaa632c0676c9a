"""The reconciler: the loop that makes replicas hold what the registry says, carries out rollouts, and reports states.

Of all routers that share a registry one runs it, by a lease that it renews. It keeps nothing that it cannot learn
again, so that another router can go on at any point.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from patchbay.adapters.config import DeclaredAdapter
from patchbay.adapters.publish import Publisher
from patchbay.core.errors import RegistryError
from patchbay.core.replica import ReplicaStatus
from patchbay.router.canary.config import CanaryConfig, DeclaredCanary
from patchbay.router.control.actuator import Actuator
from patchbay.router.control.bases import Bases
from patchbay.router.control.canary_loop import CanaryKeeper
from patchbay.router.control.context import Context
from patchbay.router.control.declarations import Declarations
from patchbay.router.control.desired import DesiredRevision, wanted_revisions
from patchbay.router.control.promoter import Promoter
from patchbay.router.control.reports import Reports
from patchbay.router.control.tasks import KeyedTasks

_log = logging.getLogger("patchbay.router")
LEASE = "reconciler"
LEASE_S = 6.0
RENEW_S = 2.0
ROUND_S = 1.0


@dataclass(frozen=True, slots=True)
class DeclaredState:
    """The wishes of the configuration for the registry. `canary`: the settings of all canaries."""

    adapters: Mapping[str, DeclaredAdapter]
    canaries: Mapping[str, DeclaredCanary]
    canary: CanaryConfig


class Reconciler:
    """Reconciles replicas with the registry, while this router holds the lease. `name`: this router's."""

    def __init__(self, context: Context, publisher: Publisher, wishes: DeclaredState, *, name: str) -> None:
        self._context = context
        self._publisher = publisher
        self._wishes = wishes
        self._name = name
        self._renewed_at = -LEASE_S
        self.leads = False

    async def run(self) -> None:
        """Runs until cancelled, and then gives up the lease, so that another router need not wait for it to expire."""
        try:
            while True:
                # Without a whole snapshot a leader would know of nothing that replicas should keep.
                if self._context.follower.known:
                    await self._hold_lease()
                if self.leads:
                    await self._lead()
                else:
                    self._watch()
                    await self._news()
        finally:
            with contextlib.suppress(RegistryError):
                self._context.registry.drop_lease(LEASE, self._name)

    async def _lead(self) -> None:
        """Leads for one term, until the lease is lost. Its tasks end with it."""
        _log.info("reconciling replicas with the registry")
        async with asyncio.TaskGroup() as group:
            term = _Term(self._context, self._publisher, self._wishes, KeyedTasks(group))
            while self.leads:
                term.round()
                await self._news()
                await self._hold_lease()
            term.tasks.cancel_all()
        # Whoever leads next finds out anew.
        self._context.follower.refused.clear()

    def _watch(self) -> None:
        """Lets this router, which does not lead, answer names once the replicas have what they mean."""
        if not self._context.follower.known:
            return
        wanted = _wanted(self._context)
        statuses = self._context.ready_statuses()
        if _is_served(wanted, statuses) or self._context.asks_only_others:
            self._context.fleet.settle()

    async def _news(self) -> None:
        news = self._context.fleet.news
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ROUND_S):
                await news.wait()
        news.clear()

    async def _hold_lease(self) -> None:
        now = self._context.clock()
        if self.leads and now - self._renewed_at < RENEW_S:
            return
        try:
            self.leads = await self._context.threads.lease.run(
                self._context.registry.take_lease, LEASE, self._name, LEASE_S
            )
            self._renewed_at = now
        except RegistryError:
            # Without the registry this router cannot know whether another leads, so it stops when its lease would end.
            self.leads = self.leads and now - self._renewed_at < LEASE_S
        self._context.metrics.registry.leads(self.leads)


class _Term:
    """The parts of the loop, for as long as this router leads."""

    def __init__(self, context: Context, publisher: Publisher, wishes: DeclaredState, tasks: KeyedTasks) -> None:
        self.tasks = tasks
        self._context = context
        self._actuator = Actuator(context, tasks)
        self._promoter = Promoter(context, self._actuator, tasks)
        self._canaries = CanaryKeeper(context, tasks, wishes.canary, wishes.canaries)
        self._reports = Reports(context, tasks)
        self._reports.begin()
        self._bases = Bases(context, tasks)
        self._declarations = Declarations(context, publisher, wishes.adapters, tasks)

    def round(self) -> None:
        """Looks at everything once, and begins the actions that are needed."""
        context = self._context
        ready = context.ready_statuses()
        statuses = _with_adapters(ready)
        wanted = _wanted(context)
        self._bases.step(statuses)
        base, known = self._bases.one_of(statuses)
        self._declarations.step(base, base_known=known)
        self._actuator.act(wanted, statuses)
        placements = {name: self._actuator.placements(wanted, name, status) for name, status in statuses.items()}
        self._promoter.step(wanted, placements, statuses)
        self._canaries.step()
        self._reports.tell(placements, statuses)
        standing = [placement.state for of_replica in placements.values() for placement in of_replica]
        context.metrics.registry.placements(standing)
        met = (statuses and known) or (ready and not wanted)
        placed = met and self._declarations.settled and "pending" not in standing
        if (placed and not _rolling_out(context)) or context.asks_only_others:
            context.fleet.settle()


def _wanted(context: Context) -> tuple[DesiredRevision, ...]:
    named = context.reach().models
    return wanted_revisions(context.follower.snapshot, context.utc_now(), keep_warm_s=context.keep_warm_s, named=named)


def _rolling_out(context: Context) -> bool:
    """Whether an adapter is on its way to its first revision, so that its name has no meaning yet."""
    snapshot = context.follower.snapshot
    return any(
        rollout.channel == "stable" and snapshot.adapters[rollout.adapter].number("stable") is None
        for rollout in snapshot.rollouts
    )


def _is_served(wanted: tuple[DesiredRevision, ...], statuses: Mapping[str, ReplicaStatus]) -> bool:
    if not _with_adapters(statuses):
        return bool(statuses) and not wanted
    held = (revision for status in statuses.values() for revision in status.revisions)
    here = {revision.engine_name for revision in held if revision.state != "staging"}
    bases = {None, *(status.base.fingerprint for status in statuses.values())}
    needed = {revision.engine_name for revision in wanted if revision.why == "stable" and revision.base in bases}
    return needed <= here


def _with_adapters(statuses: Mapping[str, ReplicaStatus]) -> dict[str, ReplicaStatus]:
    """Returns those of the replicas that take adapters."""
    return {name: status for name, status in statuses.items() if status.takes_adapters}
