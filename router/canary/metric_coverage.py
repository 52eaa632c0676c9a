"""What a canary's plan can see: which of its metrics are counted on the routes by which its revision is asked. Pure.

A metric that nothing counts is never bad, so a plan that leans on it would promote whatever comes.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from patchbay.core.errors import ConfigError
from patchbay.router.canary.assignment import CanaryAssignment
from patchbay.router.canary.plan import PlanConfig, ScopeConfig, ready_plans
from patchbay.router.canary.served import Found, Served, ServedRoute, metrics_of

# Of what is counted on every route: the answers that it is counted on.
_ALWAYS: Mapping[str, str] = {
    "errors": "every answer",
    "empty": "every answer of text",
    "ttft": "streamed answers",
    "token_time": "answers of at least 8 tokens",
    "cost": "every answer of text",
    "votes": "answers that callers vote on, by POST /v1/feedback",
}
# Of what a guard has to count: what that must be.
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
    """What is tried: an adapter, or else a `pool`."""

    adapter: str
    pool: str | None = None

    @property
    def name(self) -> str:
        """As people say it."""
        return self.adapter if self.pool is None else f"the pool {self.pool}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a plan sees. `watched`: by metric, the answers that it is counted on; `unseen`: by metric, why it will see
    nothing."""

    watched: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)


def coverage_of(plan: PlanConfig, subject: Subject, served: Served) -> Coverage:
    """What `plan` sees of `subject`. Raises ConfigError where no request is within its scope."""
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
    """Raises ConfigError for a pool that no replica can be in, and for one beside which no other is there to compare it
    with."""
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
    """The plan as it can be judged, and what it sees. Of a ready plan, which names every metric that there is, only
    those are left that see something.

    Raises ConfigError where somebody's own plan names one that will see nothing, where no request is within its scope,
    and for a pool that no replica can be in, or that is the only one.
    """
    check_pool(subject, served)
    coverage = coverage_of(plan, subject, served)
    if (blind := _blind(plan, coverage)) is not None:
        hint = "Take it out of the plan, or put such a guard on the route." if blind in _NEEDS else "Take it out."
        raise ConfigError(f"{_says(blind, coverage)}.", hint=hint)
    left = {name: metric for name, metric in plan.metrics.items() if name in coverage.watched}
    return (plan.model_copy(update={"metrics": left}) if coverage.unseen else plan), coverage


def plan_fault(plan: PlanConfig, subject: Subject, served: Served, models: Collection[str] | None = None) -> str | None:
    """Why a plan cannot be judged by what is `served`, None where it can. `models`: what clients of a pool may name
    beside routes, None where that is not known yet."""
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
    """A metric that somebody's own plan names, and that sees nothing."""
    return None if plan in ready_plans().values() else next(iter(coverage.unseen), None)


def _says(metric: str, coverage: Coverage) -> str:
    return f"metrics.{metric} will see nothing: {coverage.unseen[metric]}"


def blind_spots(assignments: Iterable[CanaryAssignment], served: Served) -> Iterator[str]:
    """What canaries that are under way watch, and see nothing of by what is `served` now, in words."""
    for assignment in assignments:
        try:
            unseen = coverage_of(assignment.plan, Subject(assignment.adapter, assignment.pool), served).unseen
        except ConfigError as error:
            yield f"canary {assignment.id} of {assignment.revision} gets no request any more: {error}"
        else:
            for metric, why in unseen.items():
                yield f"canary {assignment.id} of {assignment.revision} sees nothing of {metric} any more: {why}"


def _named(routes: Sequence[str]) -> str:
    """Some routes by name, and how many more there are."""
    more = len(routes) - _MOST_NAMED
    return f"{', '.join(routes[:_MOST_NAMED])}{f' and {more} more routes' if more > 0 else ''}"


def route_fault(
    scope: ScopeConfig, subject: Subject, routes: Mapping[str, ServedRoute], models: Collection[str] | None = None
) -> str | None:
    """Why no request comes by the scope's route, None where one may. `models`: what clients of a pool may name beside
    `routes`, None where that is not known."""
    words = {name for name, route in routes.items() if _leads_to(route, subject)}
    if subject.pool is None:
        own: Collection[str | None] = (subject.adapter,)
    else:
        own = (scope.route,) if models is None else models
    words |= {name for name in own if name is not None and name not in routes}
    return _fault("route", scope.route, words, f"by which no request for {subject.name} comes")


def tenant_fault(scope: ScopeConfig, tenants: Collection[str]) -> str | None:
    """Why no request is of the scope's tenant, None where one may be. `tenants`: those that there are."""
    return _fault("tenant", scope.tenant, tenants, "which is not there")


def _fault(key: str, value: str | None, known: Collection[str], why: str) -> str | None:
    """What is said of a scope's `value` that is not `known`, None where it is."""
    if value is None or value in known:
        return None
    near = difflib.get_close_matches(value, known, 1)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return f"the plan's scope names the {key} '{value}', {why}{meant}"


def _ways(scope: ScopeConfig, subject: Subject, served: Served) -> dict[str, Found]:
    """The routes by which requests within `scope` come to what is tried, with what the guards of each count."""
    ways = {name: route.found for name, route in served.routes.items() if _leads_to(route, subject)}
    own = subject.adapter if subject.pool is None else "models by their own names"
    if own not in served.routes:
        ways.setdefault(own, served.found)
    return ways if scope.route is None else {scope.route: ways.get(scope.route, served.found)}


def _leads_to(route: ServedRoute, subject: Subject) -> bool:
    if subject.pool is not None:
        # What a route pins to a pool is not assigned.
        return route.pool is None
    return subject.adapter in route.models
