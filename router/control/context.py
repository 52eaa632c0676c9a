"""The context that all parts of the control loop share."""

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
    """Returns the time, timezone-aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlThreads:
    """The threads of everything that blocks on the registry, by purpose, so that none waits for another.

    The follower, which keeps names and keys up to date, has a thread of its own. `lease`: decides which router leads;
    `work`: the loop's reads and writes; `long`: waits for other routers; `declared`: pushes of declared adapters;
    `admin`: reads and changes of the admin port.
    """

    lease: Threads = field(default_factory=lambda: Threads("lease", 1))
    work: Threads = field(default_factory=lambda: Threads("control", 6))
    long: Threads = field(default_factory=lambda: Threads("long", 4))
    declared: Threads = field(default_factory=lambda: Threads("declared", 1))
    admin: Threads = field(default_factory=lambda: Threads("the registry", 4, waiting=60))

    def close(self) -> None:
        """Ends all threads."""
        for threads in (self.lease, self.work, self.long, self.declared, self.admin):
            threads.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The registry, this router's views of it and of the replicas, and the ways to change either.

    `keep_warm_s`: how long replicas keep a revision that a rollback would go to; `rollout_timeout_s`: how long replicas
    may take to get a revision; `clock`: seconds, monotonic; `reach`: returns the names in the configuration as it is
    now.
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
        """Returns the reason why a canary cannot be judged by its plan, None where it can.

        Reasons are that no request is within its scope, that it watches something that no router counts, that its pool
        is not there, or that it is the only one. `warm`: whether it is known what replicas serve; `elsewhere`: what
        other routers serve, any of which may judge it, since configurations differ while a new one is being rolled out.
        """
        own, models = self.reach().served, self.fleet.view.table if warm else None
        faults = [plan_fault(plan, subject, served, models) for served in ((own, *elsewhere) if own else ())]
        fault = faults[0] if all(faults) and faults else None
        return fault or tenant_fault(
            plan.scope, {DEFAULT_TENANT, *(tenant.name for tenant in self.follower.snapshot.access.tenants)}
        )

    def ready_statuses(self) -> dict[str, ReplicaStatus]:
        """Returns the last status of each ready replica of Patchbay's own kind, by its name here."""
        ready = {replica.name for replica in self.fleet.view.replicas if replica.state == "ready"}
        return {name: status for name, status in self.fleet.statuses.items() if name in ready}

    @property
    def asks_only_others(self) -> bool:
        """Whether some replica is ready, and none is known to be of Patchbay's own kind.

        Plain servers get no revisions, and names mean only what they list.
        """
        replicas = self.fleet.view.replicas
        plain = all(replica.catalog is None or replica.catalog.plain for replica in replicas)
        return plain and any(replica.state == "ready" for replica in replicas)
