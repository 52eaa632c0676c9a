"""The control plane's demand on its registry, by the constants of the code that asks. Pure."""

from dataclasses import dataclass

from loadtests.scale.costs import Operations
from patchbay.router.control.canary_counts import EVERY_S
from patchbay.router.control.canary_loop import LOOK_EVERY_S
from patchbay.router.control.follower import BEAT_S
from patchbay.router.control.reconciler import RENEW_S, ROUND_S
from patchbay.router.control.reports import AT_LEAST_EVERY_S
from patchbay.router.settings.config import RouterConfig
from patchbay.router.tenants.usage import FLUSH_S

_POLL_S: float = RouterConfig.model_fields["registry_poll_s"].default
_STATUS_S: float = RouterConfig.model_fields["poll_interval_s"].default


@dataclass(frozen=True, slots=True)
class Plane:
    """The control plane under traffic. `canaries`: under way."""

    routers: int
    replicas: int
    canaries: int


@dataclass(frozen=True, slots=True)
class Demand:
    """The operations that one second asks of the registry, and of replicas.

    `watches`: whether there is anything new; `writes`: of these `beats`, `usage`, `tallies`, `reports`, `leases` and
    `looks`, each a transaction; `statuses`: of replicas, by all routers.
    """

    watches: float
    beats: float
    usage: float
    tallies: float
    reports: float
    leases: float
    looks: float
    statuses: float

    @property
    def writes(self) -> float:
        """Transactions that write."""
        return self.beats + self.usage + self.tallies + self.reports + self.leases + self.looks


def demand(plane: Plane) -> Demand:
    """Computes what `plane` asks for, where every router has traffic of every canary, and nothing else changes."""
    return Demand(
        watches=plane.routers / _POLL_S,
        beats=plane.routers / BEAT_S,
        usage=plane.routers / FLUSH_S,
        tallies=plane.routers / EVERY_S,
        reports=plane.replicas / AT_LEAST_EVERY_S,
        # Who does not lead asks each round whether it could.
        leases=1 / RENEW_S + (plane.routers - 1) / ROUND_S,
        looks=plane.canaries / LOOK_EVERY_S,
        statuses=plane.routers * plane.replicas / _STATUS_S,
    )


def writer_share(asked: Demand, cost: Operations) -> float:
    """The share of its time that SQLite's one writer is at work: above 1 it falls behind."""
    pairs = (
        (asked.beats, cost.beat_ms),
        (asked.usage, cost.usage_ms),
        (asked.tallies, cost.tally_ms),
        (asked.reports, cost.report_ms),
        (asked.leases, cost.lease_ms),
        (asked.looks, cost.look_ms),
    )
    return sum(count * each for count, each in pairs) / 1000
