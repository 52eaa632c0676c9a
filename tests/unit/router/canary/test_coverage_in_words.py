"""The coverage of a plan, metric by metric, and what is said where it sees nothing or nobody can come."""

from dataclasses import replace
from typing import Any

import pytest

from patchbay.core.errors import ConfigError
from patchbay.router.canary.assignment import CanaryAssignment
from patchbay.router.canary.metric_coverage import (
    Coverage,
    Subject,
    blind_spots,
    check_pool,
    checked,
    coverage_of,
    plan_fault,
    route_fault,
    tenant_fault,
)
from patchbay.router.canary.plan import METRICS, PlanConfig, ScopeConfig, ready_plans
from patchbay.router.canary.served import Served, ServedRoute, metrics_of, served_of
from patchbay.router.settings.config import PolicyConfig
from tests.unit.router.canary.build import planned

SQL, POOL = Subject("sql"), Subject("", "next")
ALL = {"": ["guards", "refusals", "schema"]}


def served(found: dict[str, list[str]] | None = None, votes: bool = True, **routes: ServedRoute) -> Served:
    return Served(routes=routes, found=found or {}, votes=votes, pools=frozenset({"default", "next"}))


def plan(*metrics: str, **changes: Any) -> PlanConfig:
    return planned(metrics={name: {} for name in metrics}, **changes)


def route(*metrics: str, model: str = "sql", pool: str | None = None) -> ServedRoute:
    return ServedRoute((model,), pool, {"": list(metrics)})


def test_each_metric_says_on_which_answers_it_is_counted() -> None:
    seen = coverage_of(plan(*METRICS, win_margin=0.1), SQL, served(ALL))
    assert seen == Coverage(
        watched={
            "errors": "every answer",
            "empty": "every answer of text",
            "guards": "every answer",
            "schema": "every answer",
            "refusals": "every answer",
            "votes": "answers that callers vote on, by POST /v1/feedback",
            "ttft": "streamed answers",
            "token_time": "answers of at least 8 tokens",
            "cost": "every answer of text",
            "wins": "pairs that somebody posts to /admin/v1/canaries/ID/pairs; without them it is not promoted",
        }
    )


def test_each_metric_that_nothing_counts_says_why() -> None:
    seen = coverage_of(plan(*METRICS), SQL, served(votes=False, desk=route()))
    assert seen.unseen == {
        "guards": "no guard of desk, sql blocks or redacts answers",
        "schema": "no guard of desk, sql is of the kind 'schema'",
        "refusals": "no guard of desk, sql is of the kind 'refusal'",
        "votes": "'feedback_ids' is 0, so no vote is taken",
    }
    assert list(seen.watched) == ["errors", "empty", "ttft", "token_time", "cost"]


@pytest.mark.parametrize(
    ("routes", "watched"),
    [
        ({"a": route("schema")}, "answers of a"),
        ({"a": route("schema"), "b": route("schema"), "c": route("schema")}, "answers of a, b, c"),
        (
            {name: route("schema") for name in "abcd"},
            "answers of a, b, c and 1 more routes",
        ),
        ({"a": route("schema"), "b": route("schema", model="mail")}, "answers of a"),
        ({"sql": route("schema")}, "every answer"),
    ],
)
def test_a_metric_of_some_routes_names_three_of_them(routes: dict[str, ServedRoute], watched: str) -> None:
    assert coverage_of(plan("schema"), SQL, replace(served(), routes=routes)).watched == {"schema": watched}


@pytest.mark.parametrize(
    ("scope", "watched"),
    [
        ({"route": "desk"}, "every answer"),
        ({"tenant": "acme"}, None),
        ({"tenant": "other"}, "answers of desk"),
    ],
)
def test_a_scope_looks_at_its_own_requests_only(scope: dict[str, str], watched: str | None) -> None:
    seen = served(desk=ServedRoute(("sql",), None, {"": ["schema"], "acme": []}))
    assert coverage_of(plan("schema", scope=scope), SQL, seen).watched.get("schema") == watched


def test_a_pool_is_reached_by_every_route_that_pins_none_and_by_models_own_names() -> None:
    routes = {"a": route("schema", model="mail"), "b": route(pool="x")}
    assert coverage_of(plan("schema"), POOL, replace(served(), routes=routes)).watched == {"schema": "answers of a"}
    unseen = coverage_of(plan("schema"), POOL, served(b=route("schema", pool="x"))).unseen
    assert unseen == {"schema": "no guard of models by their own names is of the kind 'schema'"}


def test_a_ready_plan_is_narrowed_to_what_is_counted_and_somebodys_own_is_refused() -> None:
    narrowed, seen = checked(ready_plans()["careful"], SQL, served())
    assert set(narrowed.metrics) == set(seen.watched) == set(METRICS) - {"guards", "schema", "refusals"}
    whole, _ = checked(ready_plans()["careful"], SQL, served(ALL))
    assert whole == ready_plans()["careful"]
    with pytest.raises(ConfigError) as guard:
        checked(plan("errors", "schema"), SQL, served())
    assert guard.value.message == "metrics.schema will see nothing: no guard of sql is of the kind 'schema'."
    assert guard.value.hint == "Take it out of the plan, or put such a guard on the route."
    with pytest.raises(ConfigError) as votes:
        checked(plan("votes"), SQL, served(votes=False))
    assert (votes.value.message, votes.value.hint) == (
        "metrics.votes will see nothing: 'feedback_ids' is 0, so no vote is taken.",
        "Take it out.",
    )


def test_a_pool_has_to_be_there_and_not_alone() -> None:
    check_pool(SQL, served())
    check_pool(POOL, served())
    with pytest.raises(ConfigError) as unknown:
        check_pool(Subject("", "nope"), served())
    assert unknown.value.message == "There is no pool 'nope' (there are: default, next)."
    assert unknown.value.hint == (
        "Name it at a replica (replicas: [{url: …, pool: …}]) or in canary.reserved_pools first."
    )
    with pytest.raises(ConfigError) as none:
        check_pool(Subject("", "nope"), replace(served(), pools=frozenset()))
    assert none.value.message == "There is no pool 'nope' (there are: none)."
    for pools, reserved in (({"next"}, set()), ({"next", "held"}, {"held"}), ({"next", "held"}, {"held", "next"})):
        with pytest.raises(ConfigError) as alone:
            check_pool(POOL, replace(served(), pools=frozenset(pools), reserved=frozenset(reserved)))
        assert alone.value.message == (
            "There is no other pool to compare 'next' with: its canary would be all that answers."
        )
        assert alone.value.hint == (
            "Put what is to be tried in a pool of its own (replicas: [{url: …, pool: next}]), and try that."
        )


@pytest.mark.parametrize(
    ("asked", "subject", "fault"),
    [
        (plan("errors"), SQL, None),
        (plan("schema"), SQL, "metrics.schema will see nothing: no guard of desk, sql is of the kind 'schema'"),
        (
            plan("errors", scope="desc"),
            SQL,
            "the plan's scope names the route 'desc', by which no request for sql comes; did you mean 'desk'?",
        ),
        (plan("errors"), Subject("", "nope"), "There is no pool 'nope' (there are: default, next)"),
        (ready_plans()["careful"], SQL, None),
    ],
)
def test_a_plan_that_cannot_be_judged_has_a_fault(asked: PlanConfig, subject: Subject, fault: str | None) -> None:
    assert plan_fault(asked, subject, served(desk=route())) == fault


NO_WAY = "the plan's scope names the route '{}', by which no request for the pool next comes"


@pytest.mark.parametrize(
    ("scope", "subject", "models", "fault"),
    [
        (None, SQL, None, None),
        ("desk", SQL, None, None),
        ("sql", SQL, None, None),
        ("mail", SQL, None, "the plan's scope names the route 'mail', by which no request for sql comes"),
        ("mail", POOL, None, None),
        ("mail", POOL, {"mail"}, None),
        (
            "mail",
            POOL,
            {"code"},
            NO_WAY.format("mail"),
        ),
        ("held", POOL, None, NO_WAY.format("held")),
        (
            "held",
            POOL,
            {"held"},
            NO_WAY.format("held"),
        ),
    ],
)
def test_a_scopes_route_must_lead_to_the_subject(
    scope: str | None, subject: Subject, models: set[str] | None, fault: str | None
) -> None:
    routes = {"desk": route(), "held": route(model="x", pool="other")}
    assert route_fault(ScopeConfig(route=scope), subject, routes, models) == fault


def test_a_scopes_tenant_must_be_there() -> None:
    assert tenant_fault(ScopeConfig(), set()) is None
    assert tenant_fault(ScopeConfig(tenant="acme"), {"acme"}) is None
    said = "the plan's scope names the tenant 'x', which is not there"
    assert tenant_fault(ScopeConfig(tenant="x"), {"acme"}) == said


def test_what_canaries_under_way_do_not_see_any_more_is_told() -> None:
    def trial(number: int, asked: PlanConfig) -> CanaryAssignment:
        return CanaryAssignment(id=number, adapter="sql", revision="sql@4", plan=asked, share=0.1)

    told = list(blind_spots([trial(1, plan("errors")), trial(2, plan("errors", "schema"))], served()))
    assert told == ["canary 2 of sql@4 sees nothing of schema any more: no guard of sql is of the kind 'schema'"]
    [gone] = blind_spots([trial(3, plan("errors", scope="desk"))], served())
    said = "the plan's scope names the route 'desk', by which no request for sql comes"
    assert gone == f"canary 3 of sql@4 gets no request any more: {said}"


def test_subjects_have_names() -> None:
    assert (SQL.name, POOL.name) == ("sql", "the pool next")


@pytest.mark.parametrize(
    ("guard", "found"),
    [
        ({"kind": "rules", "sets": ["pii"], "action": "redact"}, ["guards"]),
        ({"kind": "rules", "sets": ["pii"], "action": "block"}, ["guards"]),
        ({"kind": "rules", "sets": ["pii"], "action": "flag"}, []),
        ({"kind": "rules", "sets": ["pii"], "action": "block", "on": ["input"]}, []),
        ({"kind": "rules", "sets": ["pii"], "action": "block", "dry_run": True}, []),
        ({"kind": "refusal"}, ["refusals"]),
        ({"kind": "schema", "schema": {"type": "object"}}, ["schema"]),
        ({"kind": "refusal", "dry_run": True}, []),
    ],
)
def test_a_guard_counts_by_its_kind_where_it_does_something_about_answers(
    guard: dict[str, Any], found: list[str]
) -> None:
    policy = PolicyConfig.model_validate({"guards": {"g": guard}, "guard_all": ["g"], "routes": {"desk": "sql"}})
    told = served_of(policy, votes=True, pools=["a"], reserved=["b"])
    assert told.found == {"": found}
    assert told.routes == {"desk": ServedRoute(("sql",), None, {"": found})}
    assert (told.votes, set(told.pools), set(told.reserved)) == (True, {"a", "b"}, {"b"})


@pytest.mark.parametrize(
    ("own", "dry_run", "found"),
    [
        ({"off": True}, False, []),
        ({"dry_run": False}, False, ["guards"]),
        ({"action": "flag"}, False, []),
        ({"action": "block"}, True, []),
        ({"action": "block", "dry_run": False}, True, ["guards"]),
        ({"dry_run": True}, False, []),
    ],
)
def test_a_tenants_own_settings_of_a_guard_go_before_the_guards(
    own: dict[str, Any], dry_run: bool, found: list[str]
) -> None:
    guard = {"kind": "rules", "sets": ["pii"], "action": "redact", "dry_run": dry_run, "tenants": {"acme": own}}
    policy = PolicyConfig.model_validate({"guards": {"g": guard}, "guard_all": ["g"]})
    told = served_of(policy, votes=False, pools=[]).found
    assert told["acme"] == found
    assert told[""] == ([] if dry_run else ["guards"])


def test_metrics_of_any_tenant_are_those_of_all_and_of_a_stranger_those_of_the_rest() -> None:
    found = {"": ["guards"], "acme": ["schema"]}
    assert metrics_of(found, None) == {"guards", "schema"}
    assert metrics_of(found, "acme") == {"schema"}
    assert metrics_of(found, "other") == {"guards"}
    assert metrics_of({}, "other") == frozenset()


def test_what_is_served_is_written_for_the_registry_and_read_from_it() -> None:
    made = served({"": ["guards"]}, False, desk=route("schema", pool="x"))
    made = replace(made, reserved=frozenset({"next"}))
    assert made.as_json == {
        "routes": {"desk": {"models": ["sql"], "pool": "x", "found": {"": ["schema"]}}},
        "found": {"": ["guards"]},
        "votes": False,
        "pools": ["default", "next"],
        "reserved": ["next"],
    }
    assert Served.parse(made.as_json) == made
    for key in ("routes", "found", "votes", "pools", "reserved"):
        assert Served.parse({name: value for name, value in made.as_json.items() if name != key}) is None
