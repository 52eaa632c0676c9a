"""The routes, guards and pools that routers serve, as they tell them in the registry so that commands can judge a plan.
Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

from patchbay.guards.config import GuardConfig, RefusalGuard, SchemaGuard
from patchbay.router.routes.config import RouteConfig

# Metrics that guards count, by tenant; the empty name is for all tenants without settings of their own.
Found = Mapping[str, Sequence[str]]
_ANY = ""


class WatchedConfig(Protocol):
    """The part of a configuration that matters to canaries: routes, and the guards that apply to them."""

    @property
    def routes(self) -> Mapping[str, RouteConfig]:
        """Routes by name."""

    @property
    def guards(self) -> Mapping[str, GuardConfig]:
        """Guards by name."""

    @property
    def guard_all(self) -> Sequence[str]:
        """Guards that look at every request."""


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """A route, as far as canaries need it.

    `models`: those of its arms; `pool`: the pool that it pins; `found`: the metrics that its guards count.
    """

    models: tuple[str, ...]
    pool: str | None = None
    found: Found = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The part of a router's configuration that canaries need.

    `routes`: by name; `found`: the metrics that the guards of every request count; `votes`: whether votes are taken;
    `pools`: the pools that replicas may be in; `reserved`: those of them that get nothing without a canary.
    """

    routes: Mapping[str, ServedRoute]
    found: Found
    votes: bool
    pools: frozenset[str]
    reserved: frozenset[str] = frozenset()

    @property
    def as_json(self) -> dict[str, Any]:
        """The document that the registry stores."""
        routes = {name: {**asdict(route), "models": list(route.models)} for name, route in self.routes.items()}
        rest = {"found": dict(self.found), "votes": self.votes}
        return {"routes": routes, **rest, "pools": sorted(self.pools), "reserved": sorted(self.reserved)}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self | None:
        """Reads a document of `as_json`. Returns None where another version of Patchbay has written it differently."""
        try:
            routes = {
                name: ServedRoute(tuple(route["models"]), route["pool"], route["found"])
                for name, route in document["routes"].items()
            }
            return cls(
                routes=routes,
                found=document["found"],
                votes=document["votes"],
                pools=frozenset(document["pools"]),
                reserved=frozenset(document["reserved"]),
            )
        except (KeyError, TypeError, AttributeError):
            return None


def served_of(policy: WatchedConfig, *, votes: bool, pools: Iterable[str], reserved: Iterable[str] = ()) -> Served:
    """Returns what routers serve by a configuration.

    `votes`: whether votes are taken; `pools`: those that replicas are in; `reserved`: those that get nothing without a
    canary.
    """
    every = [policy.guards[name] for name in policy.guard_all if name in policy.guards]
    routes = {
        name: ServedRoute(tuple(arm.model for arm in route.arms), route.pool, _found(every + _guards(policy, route)))
        for name, route in policy.routes.items()
    }
    held = frozenset(reserved)
    return Served(routes=routes, found=_found(every), votes=votes, pools=held.union(pools), reserved=held)


def metrics_of(found: Found, tenant: str | None) -> frozenset[str]:
    """Returns the metrics that are counted for a tenant, or, where that is None, for any."""
    if tenant is None:
        return frozenset(metric for metrics in found.values() for metric in metrics)
    return frozenset(found.get(tenant, found.get(_ANY, ())))


def _guards(policy: WatchedConfig, route: RouteConfig) -> list[GuardConfig]:
    return [policy.guards[name] for name in route.guards if name in policy.guards]


def _found(guards: Sequence[GuardConfig]) -> Found:
    """Returns by tenant the metrics that these guards count, each once."""
    tenants = {_ANY}.union(*(guard.tenants for guard in guards))
    return {
        tenant: sorted({metric for guard in guards for metric in _counts(guard, tenant)}) for tenant in sorted(tenants)
    }


def _counts(guard: GuardConfig, tenant: str) -> Iterator[str]:
    """Yields the metrics that a guard counts for a tenant."""
    actions = guard.actions_for(tenant) if "output" in guard.on else frozenset()
    if not actions:
        return
    if isinstance(guard, SchemaGuard):
        yield "schema"
    elif isinstance(guard, RefusalGuard):
        yield "refusals"
    elif not actions.isdisjoint(("block", "redact")):
        yield "guards"
