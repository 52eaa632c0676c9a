"""The coverage of a canary's plan: the metrics that are counted on the routes by which its revision is asked. Pure.

A metric that nothing counts is never bad, so a plan that leans on it would promote anything.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from patchbay.core.errors import ConfigError
from patchbay.core.nearest import nearest
from patchbay.router.canary.assignment import CanaryAssignment
from patchbay.router.canary.plan import PlanConfig, ScopeConfig, ready_plans
from patchbay.router.canary.served import Found, Served, ServedRoute, metrics_of

# Metrics that are counted on every route, with the answers that they are counted on.
_ALWAYS: Mapping[str, str] = {
    "errors": "every answer",
    "empty": "every answer of text",
    "ttft": "streamed answers",
    "token_time": "answers of at least 8 tokens",
    "cost": "every answer of text",
    "votes": "answers that callers vote on, by POST /v1/feedback",
}
# Metrics that a guard has to count, with what that guard must be.
_NEEDS: Mapping[str, str] = {
    "guards": "blocks or redacts answers",
    "schema": "is of the kind 'schema'",
    "refusals": "is of the kind 'refusal'",
}
_MOST_NAMED = 3
_NO_VOTES = "'feedback_ids' is 0, so no vote is taken"
_PAIRS = "pairs that somebody posts to /admin/v1/canaries/ID/pairs; without them it is not promoted"


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a canary: an adapter, or else a `pool`."""

    adapter: str
    pool: str | None = None

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.adapter if self.pool is None else f"the pool {self.pool}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The reach of a plan. `watched`: by metric, the answers that it is counted on; `unseen`: by metric, the reason why
    it will see nothing."""

    watched: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)


def coverage_of(plan: PlanConfig, subject: Subject, served: Served) -> Coverage:
    """Returns what `plan` sees of `subject`. Raises ConfigError where no request is within its scope."""
    if (fault := route_fault(plan.scope, subject, served.routes)) is not None:
        raise ConfigError(fault)
    ways = _ways(plan.scope, subject, served)
    watched, unseen = {}, {}
    for metric in plan.metrics:
        if metric in _NEEDS:
            on = [route for route, found in ways.items() if metric in metrics_of(found, plan.scope.tenant)]
            if on:
                watched[metric] = "every answer" if len(on) == len(ways) else f"answers of {_named(on)}"
            else:
                unseen[metric] = f"no guard of {_named(tuple(ways))} {_NEEDS[metric]}"
        elif metric == "votes" and not served.votes:
            unseen[metric] = _NO_VOTES
        else:
            watched[metric] = _ALWAYS[metric]
    if plan.win_margin is not None:
        watched["wins"] = _PAIRS
    return Coverage(watched=watched, unseen=unseen)


def check_pool(subject: Subject, served: Served) -> None:
    """Raises ConfigError for a pool that no replica can be in, and for one that is the only pool, so that there is none
    to compare it with."""
    if subject.pool is None:
        return
    if subject.pool not in served.pools:
        raise ConfigError(
            f"There is no pool '{subject.pool}' (there are: {', '.join(sorted(served.pools)) or 'none'}).",
            hint="Name it at a replica (replicas: [{url: …, pool: …}]) or in canary.reserved_pools first.",
        )
    if not served.pools - served.reserved - {subject.pool}:
        raise ConfigError(
            f"There is no other pool to compare '{subject.pool}' with: its canary would be all that answers.",
            hint="Put what is to be tried in a pool of its own (replicas: [{url: …, pool: next}]), and try that.",
        )


def checked(plan: PlanConfig, subject: Subject, served: Served) -> tuple[PlanConfig, Coverage]:
    """Returns the plan as it can be judged, and its coverage. A ready plan names every metric there is; only those that
    see something are left of it.

    Raises ConfigError where somebody's own plan names a metric that will see nothing, where no request is within its
    scope, and for a pool that no replica can be in, or that is the only one.
    """
    check_pool(subject, served)
    coverage = coverage_of(plan, subject, served)
    if (blind := _blind(plan, coverage)) is not None:
        hint = "Take it out of the plan, or put such a guard on the route." if blind in _NEEDS else "Take it out."
        raise ConfigError(f"{_says(blind, coverage)}.", hint=hint)
    left = {name: metric for name, metric in plan.metrics.items() if name in coverage.watched}
    return (plan.model_copy(update={"metrics": left}) if coverage.unseen else plan), coverage


def plan_fault(plan: PlanConfig, subject: Subject, served: Served, models: Collection[str] | None = None) -> str | None:
    """Returns the reason why a plan cannot be judged by what is `served`, None where it can.

    `models`: the names that clients of a pool may use beside routes, None where they are not known yet.
    """
    try:
        check_pool(subject, served)
    except ConfigError as error:
        return error.message.rstrip(".")
    if (fault := route_fault(plan.scope, subject, served.routes, models)) is not None:
        return fault
    coverage = coverage_of(plan, subject, served)
    blind = _blind(plan, coverage)
    return _says(blind, coverage) if blind is not None else None


def _blind(plan: PlanConfig, coverage: Coverage) -> str | None:
    """Returns a metric that somebody's own plan names and that sees nothing, None where there is none."""
    return None if plan in ready_plans().values() else next(iter(coverage.unseen), None)


def _says(metric: str, coverage: Coverage) -> str:
    return f"metrics.{metric} will see nothing: {coverage.unseen[metric]}"


def blind_spots(assignments: Iterable[CanaryAssignment], served: Served) -> Iterator[str]:
    """Yields messages about metrics of canaries under way that see nothing by what is `served` now."""
    for assignment in assignments:
        try:
            unseen = coverage_of(assignment.plan, Subject(assignment.adapter, assignment.pool), served).unseen
        except ConfigError as error:
            yield f"canary {assignment.id} of {assignment.revision} gets no request any more: {error}"
        else:
            for metric, why in unseen.items():
                yield f"canary {assignment.id} of {assignment.revision} sees nothing of {metric} any more: {why}"


def _named(routes: Sequence[str]) -> str:
    """Names some routes, and says how many more there are."""
    more = len(routes) - _MOST_NAMED
    return f"{', '.join(routes[:_MOST_NAMED])}{f' and {more} more routes' if more > 0 else ''}"


def route_fault(
    scope: ScopeConfig, subject: Subject, routes: Mapping[str, ServedRoute], models: Collection[str] | None = None
) -> str | None:
    """Returns the reason why no request comes by the scope's route, None where one may.

    `models`: the names that clients of a pool may use beside `routes`, None where they are not known.
    """
    words = {name for name, route in routes.items() if _leads_to(route, subject)}
    if subject.pool is None:
        own: Collection[str | None] = (subject.adapter,)
    else:
        own = (scope.route,) if models is None else models
    words |= {name for name in own if name is not None and name not in routes}
    return _fault("route", scope.route, words, f"by which no request for {subject.name} comes")


def tenant_fault(scope: ScopeConfig, tenants: Collection[str]) -> str | None:
    """Returns the reason why no request is of the scope's tenant, None where one may be. `tenants`: the known ones."""
    return _fault("tenant", scope.tenant, tenants, "which is not there")


def _fault(key: str, value: str | None, known: Collection[str], why: str) -> str | None:
    """Returns the message about a scope's `value` that is not `known`, None where it is."""
    if value is None or value in known:
        return None
    near = nearest(value, known)
    meant = f"; did you mean '{near}'?" if near is not None else ""
    return f"the plan's scope names the {key} '{value}', {why}{meant}"


def _ways(scope: ScopeConfig, subject: Subject, served: Served) -> dict[str, Found]:
    """Returns the routes by which requests within `scope` reach the subject, each with the metrics that its guards
    count."""
    ways = {name: route.found for name, route in served.routes.items() if _leads_to(route, subject)}
    own = subject.adapter if subject.pool is None else "models by their own names"
    if own not in served.routes:
        ways.setdefault(own, served.found)
    return ways if scope.route is None else {scope.route: ways.get(scope.route, served.found)}


def _leads_to(route: ServedRoute, subject: Subject) -> bool:
    if subject.pool is not None:
        # Requests of a route that pins a pool are not assigned.
        return route.pool is None
    return subject.adapter in route.models
