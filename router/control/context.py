"""What the parts of the control loop share."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from patchbay.core.replica import ReplicaStatus
from patchbay.core.tenancy import DEFAULT_TENANT
from patchbay.core.thread_pools import Threads
from patchbay.registry.registry import Registry
from patchbay.router.canary.metric_coverage import Subject, plan_fault, tenant_fault
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.canary.served import Served
from patchbay.router.control.follower import Follower
from patchbay.router.control.replicas import ReplicaControl
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.settings.pinned import PinnedNames
from patchbay.router.telemetry.metrics import Metrics


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlThreads:
    """The threads of everything that blocks on the registry, by purpose, so that none waits for another.

    (The follower, whose are names and keys, has its
    own.) `lease`: who leads; `work`: what the loop reads and writes; `long`: what
    waits for other routers; `declared`: pushes of the configuration's; `admin`: what the admin port reads and changes.
    """

    lease: Threads = field(default_factory=lambda: Threads("lease", 1))
    work: Threads = field(default_factory=lambda: Threads("control", 6))
    long: Threads = field(default_factory=lambda: Threads("long", 4))
    declared: Threads = field(default_factory=lambda: Threads("declared", 1))
    admin: Threads = field(default_factory=lambda: Threads("the registry", 4, waiting=60))

    def close(self) -> None:
        """Lets go of them all."""
        for threads in (self.lease, self.work, self.long, self.declared, self.admin):
            threads.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The registry, this router's views of it and of the replicas, and the ways to change either.

    `clock`: seconds, monotonic; `rollout_timeout_s`: how long replicas may take to get a revision; `reach`: what the
    configuration names, as it is now.
    """

    registry: Registry
    follower: Follower
    fleet: Fleet
    controls: Mapping[str, ReplicaControl]
    metrics: Metrics
    keep_warm_s: float
    rollout_timeout_s: float
    threads: ControlThreads
    clock: Callable[[], float] = time.monotonic
    utc_now: Callable[[], datetime] = utc_now
    reach: Callable[[], PinnedNames] = PinnedNames

    def plan_fault(
        self, plan: PlanConfig, subject: Subject, *, warm: bool = True, elsewhere: Sequence[Served] = ()
    ) -> str | None:
        """Why a canary cannot be judged by its plan, None where it can: no request is within its scope, it watches what
        no router counts, or its pool is not there, or the only one.

        `warm`: whether what replicas serve is known; `elsewhere`: what other routers serve, by one of which it may be
        judged: their configurations differ while a new one is being rolled out.
        """
        own, models = self.reach().served, self.fleet.view.table if warm else None
        faults = [plan_fault(plan, subject, served, models) for served in ((own, *elsewhere) if own else ())]
        fault = faults[0] if all(faults) and faults else None
        return fault or tenant_fault(
            plan.scope, {DEFAULT_TENANT, *(one.name for one in self.follower.snapshot.access.tenants)}
        )

    def ready_statuses(self) -> dict[str, ReplicaStatus]:
        """What each ready replica of ours last told, by its name here."""
        ready = {replica.name for replica in self.fleet.view.replicas if replica.state == "ready"}
        return {name: status for name, status in self.fleet.statuses.items() if name in ready}

    @property
    def asks_only_others(self) -> bool:
        """Whether somebody is ready, and nobody is known to be one of ours: plain servers get no revisions, and what
        they list is all that names mean."""
        replicas = self.fleet.view.replicas
        plain = all(replica.catalog is None or replica.catalog.plain for replica in replicas)
        return plain and any(replica.state == "ready" for replica in replicas)
