"""A plan is refused where it names what nothing counts: on the routes by which its revision is really asked."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.core.errors import ConfigError
from patchbay.core.settings import parse_settings
from patchbay.launch.config import PatchbayConfig
from patchbay.router.canary.assignment import CanaryAssignment
from patchbay.router.canary.metric_coverage import (
    Subject,
    blind_spots,
    checked,
    coverage_of,
    plan_fault,
    route_fault,
    tenant_fault,
)
from patchbay.router.canary.plan import METRICS, MetricConfig, PlanConfig, ScopeConfig, StepConfig, ready_plans
from patchbay.router.canary.served import Served, served_of
from patchbay.router.settings.config import PolicyConfig, RouterConfig

SCHEMA = {"kind": "schema", "schema": {"type": "object"}}
REFUSAL = {"kind": "refusal"}
PII = {"kind": "rules", "sets": ["pii"], "action": "redact"}
SQL = Subject("sql")


def plan(*metrics: str, **changes: Any) -> PlanConfig:
    return PlanConfig(steps=(StepConfig(weight=5),), metrics=dict.fromkeys(metrics, MetricConfig()), **changes)


def served(routes: Any = None, guards: Any = None, *, votes: bool = True, guard_all: Any = ()) -> Served:
    policy = {"routes": routes or {}, "guards": guards or {}, "guard_all": guard_all}
    return served_of(PolicyConfig.model_validate(policy), votes=votes, pools=("default", "next"))


def test_a_misspelt_metric_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"there is no metric 'error' \(did you mean 'errors'\?\)"):
        plan("error")
    with pytest.raises(ValueError, match="there are: errors, empty"):
        plan("zzz")


@pytest.mark.parametrize(
    ("metric", "needed"),
    [("schema", "kind 'schema'"), ("refusals", "kind 'refusal'"), ("guards", "blocks or redacts answers")],
)
def test_somebodys_own_plan_that_leans_on_a_guard_that_is_not_there_is_refused(metric: str, needed: str) -> None:
    with pytest.raises(ConfigError, match=f"metrics.{metric} will see nothing: .*{needed}"):
        checked(plan("errors", metric), SQL, served({"desk": "sql"}))


def test_a_guard_of_another_models_route_counts_nothing_for_this_one() -> None:
    routes = {"desk": "sql", "other": {"model": "mail", "guards": ["json"]}}
    assert "schema" in coverage_of(plan("schema"), SQL, served(routes, {"json": SCHEMA})).unseen


def test_what_is_counted_on_some_routes_only_says_on_which() -> None:
    routes = {"desk": {"split": [{"model": "sql"}, {"model": "mail"}], "guards": ["json"]}}
    coverage = coverage_of(plan("schema"), SQL, served(routes, {"json": SCHEMA}))
    assert coverage.watched == {"schema": "answers of desk"}
    everywhere = coverage_of(plan("schema"), SQL, served(routes, {"json": SCHEMA}, guard_all=["json"]))
    assert everywhere.watched == {"schema": "every answer"}


@pytest.mark.parametrize(
    ("guard", "seen"),
    [
        (PII, True),
        (PII | {"action": "flag"}, False),
        (PII | {"dry_run": True}, False),
        (PII | {"on": ["input"]}, False),
        (PII | {"dry_run": True, "tenants": {"acme": {"dry_run": False}}}, True),
        (PII | {"action": "flag", "tenants": {"acme": {"action": "block"}}}, True),
    ],
)
def test_only_a_guard_that_stops_something_of_an_answer_is_counted(guard: dict[str, Any], seen: bool) -> None:
    routes = {"desk": {"model": "sql", "guards": ["pii"]}}
    assert ("guards" in coverage_of(plan("guards"), SQL, served(routes, {"pii": guard})).watched) is seen


def test_a_scope_narrows_what_is_seen() -> None:
    routes = {"desk": {"model": "sql", "guards": ["pii"]}, "beta": "sql"}
    guard = PII | {"tenants": {"acme": {"off": True}}}
    for route, seen in (("desk", True), ("beta", False), ("sql", False)):
        scoped = plan("guards", scope=ScopeConfig(route=route))
        assert ("guards" in coverage_of(scoped, SQL, served(routes, {"pii": guard})).watched) is seen
    for tenant, seen in (("acme", False), ("other", True)):
        scoped = plan("guards", scope=ScopeConfig(route="desk", tenant=tenant))
        assert ("guards" in coverage_of(scoped, SQL, served(routes, {"pii": guard})).watched) is seen


@pytest.mark.parametrize("scope", ["nowhere", "other"])
def test_a_scope_within_which_no_request_comes_is_refused(scope: str) -> None:
    with pytest.raises(ConfigError, match=f"names the route '{scope}', by which no request for sql comes"):
        checked(plan("errors", scope=scope), SQL, served({"desk": "sql", "other": "mail"}))


POOL = Subject("", "next")


@pytest.mark.parametrize(
    ("scope", "subject", "models", "says"),
    [
        ("desk", SQL, None, None),
        ("sql", SQL, None, None),
        ("dessk", SQL, None, "'dessk', by which no request for sql comes; did you mean 'desk'?"),
        ("other", SQL, None, "'other', by which no request for sql comes"),
        ("other", POOL, {"mail"}, None),
        ("mail", POOL, {"mail"}, None),
        ("mail", POOL, None, None),
        ("pinned", POOL, {"mail"}, "'pinned', by which no request for the pool next comes"),
        ("mial", POOL, {"mail"}, "did you mean 'mail'?"),
    ],
)
def test_a_scopes_route_is_one_that_leads_nowhere(
    scope: str, subject: Subject, models: set[str] | None, says: str | None
) -> None:
    routes = served({"desk": "sql", "other": "mail", "pinned": {"model": "sql", "pool": "x"}}).routes
    fault = route_fault(ScopeConfig(route=scope), subject, routes, models)
    assert fault is None if says is None else (fault or "").endswith(says)


def test_a_scopes_tenant_is_one_that_is_not_there() -> None:
    assert tenant_fault(ScopeConfig(tenant="acme"), {"default", "acme"}) is None
    fault = tenant_fault(ScopeConfig(tenant="acne"), {"default", "acme"})
    assert fault == "the plan's scope names the tenant 'acne', which is not there; did you mean 'acme'?"


def test_of_a_pool_the_guards_of_all_routes_count_that_pin_no_pool() -> None:
    routes = {"desk": {"model": "sql", "guards": ["pii"]}, "pinned": {"model": "sql", "pool": "x", "guards": ["json"]}}
    coverage = coverage_of(plan("guards", "schema"), Subject("", "next"), served(routes, {"pii": PII, "json": SCHEMA}))
    assert (list(coverage.watched), list(coverage.unseen)) == (["guards"], ["schema"])
    with pytest.raises(ConfigError, match=r"no pool 'nope' \(there are: default, next\)"):
        checked(plan("errors"), Subject("", "nope"), served())


@pytest.mark.parametrize(("pools", "reserved"), [({"next"}, set()), ({"next", "held"}, {"held"})])
def test_a_pool_with_nothing_to_compare_it_with_is_refused(pools: set[str], reserved: set[str]) -> None:
    seen = replace(served(), pools=frozenset(pools), reserved=frozenset(reserved))
    with pytest.raises(ConfigError, match="no other pool to compare 'next' with"):
        checked(plan("errors"), Subject("", "next"), seen)
    assert plan_fault(plan("errors"), Subject("", "next"), seen) is not None


def test_votes_need_that_they_are_taken_and_pairs_need_somebody_who_compares() -> None:
    assert coverage_of(plan("votes"), SQL, served(votes=False)).unseen == {
        "votes": "'feedback_ids' is 0, so no vote is taken"
    }
    assert "somebody posts" in coverage_of(plan("errors", win_margin=0.1), SQL, served()).watched["wins"]


@given(
    st.sampled_from(sorted(ready_plans())),
    st.sets(st.sampled_from(["json", "refusal", "pii"])),
    st.booleans(),
    st.sampled_from([SQL, Subject("", "next")]),
)
def test_a_ready_plan_keeps_what_is_counted_and_nothing_else(
    name: str, guards: set[str], votes: bool, subject: Subject
) -> None:
    there = {"json": SCHEMA, "refusal": REFUSAL, "pii": PII}
    routes = {"desk": {"model": "sql", "guards": sorted(guards)}}
    narrowed, coverage = checked(ready_plans()[name], subject, served(routes, there, votes=votes))
    assert set(narrowed.metrics) == set(coverage.watched)
    assert {*coverage.watched, *coverage.unseen} == set(METRICS)
    needs = {"schema": "json" in guards, "refusals": "refusal" in guards, "guards": "pii" in guards, "votes": votes}
    assert {name for name, there in needs.items() if not there} == set(coverage.unseen)


ROUTER = {"replicas": ["http://127.0.0.1:9"], "registry": {}}
PATCHBAY = {"base": "some/model"}


@pytest.mark.parametrize(("model", "data"), [(RouterConfig, ROUTER), (PatchbayConfig, PATCHBAY)])
def test_a_configuration_file_is_held_to_the_same(model: Any, data: dict[str, Any]) -> None:
    own = {"steps": [{"weight": 5}], "metrics": {"schema": {}}}
    canaries = {"sql": {"revision": 2, "plan": own}}
    with pytest.raises(ConfigError, match=r"'canaries\.sql\.plan': metrics.schema will see nothing"):
        parse_settings(model, {**data, "canaries": canaries}, source="a file")
    guards = {"guards": {"json": SCHEMA}, "guard_all": ["json"]}
    assert model.model_validate({**data, "canaries": canaries, **guards}).canaries
    assert model.model_validate({**data, "canaries": {"sql": {"revision": 2, "plan": "careful"}}}).canaries
    with pytest.raises(ValueError, match="did you mean 'errors'"):
        model.model_validate({**data, "canaries": {"sql": {"revision": 2, "plan": own | {"metrics": {"erors": {}}}}}})


def test_what_a_reload_takes_from_a_canary_under_way_is_told() -> None:
    routes = {"desk": {"model": "sql", "guards": ["json"]}}
    trial = CanaryAssignment(id=3, adapter="sql", revision="sql@2", plan=plan("errors", "schema"), share=0.05)
    assert list(blind_spots([trial], served(routes, {"json": SCHEMA}))) == []
    [told] = blind_spots([trial], served({"desk": "sql"}))
    assert told == "canary 3 of sql@2 sees nothing of schema any more: no guard of desk, sql is of the kind 'schema'"
    scoped = CanaryAssignment(id=4, adapter="sql", revision="sql@2", plan=plan("errors", scope="desk"), share=0.05)
    [gone] = blind_spots([scoped], served({}))
    assert gone.startswith("canary 4 of sql@2 gets no request any more")


def test_what_is_served_is_told_and_read_again() -> None:
    guards = {"pii": {**PII, "tenants": {"acme": {"off": True}}}, "json": SCHEMA}
    seen = served({"desk": {"model": "sql", "guards": ["pii"]}, "pinned": {"model": "sql", "pool": "x"}}, guards)
    told = json.loads(json.dumps(seen.as_json))
    # What the registry has is compared with what is to be written.
    assert told == seen.as_json
    again = Served.parse(told)
    assert again is not None
    for metric in ("guards", "schema"):
        for scope in (None, {"tenant": "acme"}, {"route": "desk"}):
            wanted = plan(metric, scope=scope or {})
            assert coverage_of(wanted, SQL, again) == coverage_of(wanted, SQL, seen)
    assert "guards" in coverage_of(plan("guards", scope={"tenant": "acme"}), SQL, again).unseen


@pytest.mark.parametrize("told", [{}, {"routes": []}, {"routes": {"a": 1}}, {"routes": None}])
def test_what_another_version_tells_is_not_known(told: dict[str, Any]) -> None:
    assert Served.parse(told) is None
