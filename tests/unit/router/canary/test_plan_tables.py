"""Plans, key by key: what may be written, what it means where nothing is written, and the plans that everybody has."""

from typing import Any

import pytest
from pydantic import ValidationError

from patchbay.core.errors import ConfigError
from patchbay.router.canary.assignment import Asker, CanaryAssignment, arm_of, is_tried_on, slices_of
from patchbay.router.canary.config import CanaryConfig, DeclaredCanary, plan_of
from patchbay.router.canary.plan import (
    METRICS,
    MetricConfig,
    PlanConfig,
    ShadowStep,
    StepConfig,
    ready_plan,
    ready_plans,
)
from tests.unit.router.canary.build import NOON_S, PLAN, planned


@pytest.mark.parametrize(
    ("model", "key", "within", "beyond"),
    [
        (StepConfig, "hold_s", [0, 1], [-0.1]),
        (StepConfig, "samples", [1], [0]),
        (MetricConfig, "tolerated", [1, 1.9], [0.99]),
        (MetricConfig, "most", [0.01, 0.99, None], [0, 1]),
        (MetricConfig, "margin", [1.1], [1, 0.5]),
        (MetricConfig, "few", [0.01, 0.99, None], [0, 1]),
        (ShadowStep, "share", [0.01, 1], [0, 1.01]),
        (ShadowStep, "samples", [1], [0]),
    ],
)
def test_the_limits_of_each_key_of_a_step_a_metric_and_copies(
    model: Any, key: str, within: list[Any], beyond: list[Any]
) -> None:
    rest = {"weight": 10} if model is StepConfig else {}
    for value in within:
        assert getattr(model.model_validate({**rest, key: value}), key) == value
    for value in beyond:
        with pytest.raises(ValidationError):
            model.model_validate({**rest, key: value})


@pytest.mark.parametrize(
    ("key", "within", "beyond"),
    [
        ("win_margin", [None, 0.01, 0.49], [0, 0.5]),
        ("alpha", [0.001, 0.49], [0, 0.5]),
        ("promote_alpha", [0.001, 0.49], [0, 0.5]),
        ("max_s", [0.1], [0]),
        ("breaker", [2], [1]),
        ("settle_s", [0], [-1]),
        ("steps", [], [[]]),
        ("metrics", [], [{}]),
        ("unit", ["auto", "caller", "request"], ["key"]),
        ("undecided", ["hold", "promote", "roll_back"], ["wait"]),
        ("slices", [("route", "tenant", "tier", "language", "header:x-app")], [("user",), ("header:",), ("header:X",)]),
        ("blackout", [("00:00-23:59", "22:00-06:00")], [("24:00-06:00",), ("1:00-2:00",), ("10:60-11:00",)]),
    ],
)
def test_the_limits_of_each_key_of_a_plan(key: str, within: list[Any], beyond: list[Any]) -> None:
    for value in within:
        assert getattr(planned(**{key: value}), key) == value
    for value in beyond:
        with pytest.raises(ValidationError):
            planned(**{key: value})


def test_what_nobody_writes_is_as_the_documentation_says() -> None:
    plan = PlanConfig(steps=(StepConfig(weight=10),), metrics={"errors": MetricConfig()})
    step, metric = plan.steps[0], plan.metrics["errors"]
    assert (step.hold_s, step.samples, step.gate) == (60, 50, False)
    assert (metric.tolerated, metric.most, metric.margin, metric.few, metric.cut) == (1.0, None, 2.0, None, False)
    assert (plan.win_margin, plan.alpha, plan.promote_alpha, plan.max_s) == (None, 0.01, 0.05, 86_400)
    assert (plan.undecided, plan.unit, plan.slices, plan.shadow) == ("hold", "auto", (), None)
    assert (plan.breaker, plan.blackout, plan.settle_s) == (5, (), 10)
    assert (plan.scope.route, plan.scope.tenant, plan.scope.header) == (None, None, {})
    assert (ShadowStep().share, ShadowStep().samples) == (0.2, 50)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": [{"weight": 50.5}]}, "50.5 is more than 50: at least half of the callers keep the stable revision"),
        ({"steps": [{"weight": 0}]}, "greater than 0"),
        ({"steps": [{"weight": 10}, {"weight": 10}]}, "the weights of 'steps' must grow"),
        ({"steps": [{"weight": 20}, {"weight": 10}]}, "the weights of 'steps' must grow"),
        ({"metrics": {"errors": {"tolerated": 3, "margin": 3}}}, "'margin' must be above 'tolerated'"),
        ({"metrics": {"error": {}}}, r"there is no metric 'error' \(did you mean 'errors'\?\)"),
        ({"metrics": {"zzz": {}}}, r"there is no metric 'zzz' \(there are: errors, empty, guards"),
        ({"blackout": ["noon"]}, "'noon' is not a time window: write it as 22:00-06:00, in UTC"),
        ({"scope": {"header": {"X-App": "a", "x-app": "b"}}}, "a header is named twice"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        planned(**changes)


@pytest.mark.parametrize(
    ("metric", "rate"),
    [({}, None), ({"most": 0.3}, 0.03), ({"few": 0.2}, 0.2), ({"most": 0.3, "few": 0.2}, 0.2)],
)
def test_below_few_or_a_tenth_of_most_a_metric_does_no_harm(metric: dict[str, float], rate: float | None) -> None:
    assert MetricConfig.model_validate(metric).harmless == (None if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(
    ("window", "hours"),
    [
        ("11:00-13:00", {11, 12}),
        ("22:00-02:00", {22, 23, 0, 1}),
        ("00:00-00:00", set()),
        ("23:59-01:00", {0}),
        ("10:30-11:01", {11}),
    ],
)
def test_a_window_holds_from_its_beginning_to_before_its_end_across_midnight_too(window: str, hours: set[int]) -> None:
    plan, midnight_s = planned(blackout=[window]), NOON_S - 12 * 3600
    assert {hour for hour in range(24) if plan.is_blacked_out(midnight_s + hour * 3600)} == hours
    assert {hour for hour in range(24) if plan.is_blacked_out(midnight_s + 86_400 * 9 + hour * 3600)} == hours


def test_a_window_begins_and_ends_on_its_second() -> None:
    plan, day_s = planned(blackout=["11:05-12:10"]), NOON_S - 12 * 3600
    edges = [11 * 3600 + 299, 11 * 3600 + 300, 12 * 3600 + 599, 12 * 3600 + 600]
    assert [plan.is_blacked_out(day_s + second) for second in edges] == [False, True, True, False]
    assert not PLAN.is_blacked_out(day_s)


ERRORS: dict[str, Any] = {"tolerated": 1.5, "most": 0.05, "margin": 2.5, "few": 0.0025, "cut": False}
SLOW: dict[str, Any] = {"tolerated": 1.5, "most": 0.2, "margin": 2.5, "few": None, "cut": False}
RARE: dict[str, Any] = {"tolerated": 1.5, "most": None, "margin": 2.5, "few": 0.0025, "cut": False}
ALL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("errors", "empty", "schema"), ERRORS),
    **dict.fromkeys(("refusals", "votes"), RARE),
    **dict.fromkeys(("ttft", "token_time", "cost"), SLOW),
    "guards": {**ERRORS, "cut": True},
}
SOONER = {name: {**one, "few": 0.005 if one["few"] else None} for name, one in ALL.items()}


@pytest.mark.parametrize(
    ("name", "steps", "metrics", "max_s", "copies"),
    [
        ("careful", [(1, 300, 100), (5, 300, 100), (10, 300, 100), (25, 300, 100), (50, 300, 100)], ALL, 86_400, None),
        ("fast", [(10, 30, 30), (50, 30, 60)], SOONER, 3600, None),
        ("shadow-first", [(5, 120, 60), (25, 120, 60), (50, 120, 60)], ALL, 86_400, (0.2, 50)),
        ("manual", [(5, 60, 50), (25, 60, 50), (50, 60, 50)], ALL, 86_400, None),
    ],
)
def test_the_plans_that_everybody_has(
    name: str,
    steps: list[tuple[float, float, int]],
    metrics: dict[str, Any],
    max_s: float,
    copies: tuple[float, int] | None,
) -> None:
    plan = ready_plans()[name]
    assert [(one.weight, one.hold_s, one.samples) for one in plan.steps] == steps
    assert {one.gate for one in plan.steps} == {name == "manual"}
    assert {metric: one.model_dump() for metric, one in plan.metrics.items()} == metrics
    assert set(plan.metrics) == set(METRICS)
    assert plan.max_s == max_s
    assert (None if plan.shadow is None else (plan.shadow.share, plan.shadow.samples)) == copies


def test_a_ready_plan_is_named_and_any_other_is_written_out() -> None:
    assert list(ready_plans()) == ["careful", "fast", "shadow-first", "manual"]
    assert ready_plan("fast") == ready_plans()["fast"]
    assert ready_plan({"steps": []}) == {"steps": []}
    with pytest.raises(ValueError, match=r"there is no plan 'quick' \(ready: careful, fast, shadow-first, manual\)"):
        ready_plan("quick")
    assert DeclaredCanary.model_validate({"revision": 1}).plan == ready_plans()["careful"]
    assert DeclaredCanary.model_validate({"revision": 1, "plan": "fast"}).plan == ready_plans()["fast"]
    with pytest.raises(ValidationError):
        DeclaredCanary.model_validate({"revision": 0})


def test_a_plan_of_the_registry_that_cannot_be_read_names_its_canary() -> None:
    assert plan_of(PLAN.model_dump(mode="json"), 7) == PLAN
    with pytest.raises(ConfigError, match="canary 7"):
        plan_of({"steps": []}, 7)


def test_canaries_are_judged_by_the_routers_counts_unless_a_prometheus_is_named() -> None:
    config = CanaryConfig()
    assert (config.metrics, config.prometheus_url, config.stale_s) == ("embedded", None, 60)
    assert (config.webhook, config.incidents, config.kubernetes_events, config.reserved_pools) == (None, None, True, ())
    named = {"metrics": "prometheus", "prometheus_url": "https://prometheus:9090"}
    assert CanaryConfig.model_validate(named).prometheus_url == "https://prometheus:9090"
    for wrong, words in (
        ({"metrics": "prometheus"}, "canaries are judged by Prometheus, but 'prometheus_url' is not set"),
        ({"prometheus_url": "prometheus:9090"}, "prometheus_url"),
        ({"webhook": "ftp://a"}, "webhook"),
        ({"stale_s": 0}, "stale_s"),
    ):
        with pytest.raises(ValidationError, match=words):
            CanaryConfig.model_validate(wrong)


def assigned(share: float = 0.5, **changes: Any) -> CanaryAssignment:
    return CanaryAssignment(id=7, adapter="sql", revision="sql@4", plan=planned(**changes), share=share)


def asker(unit: bytes = b"u", **changes: Any) -> Asker:
    return Asker(**{"route": "sql", "tenant": "acme", "unit": unit, **changes})


@pytest.mark.parametrize(
    ("scope", "within"),
    [
        (None, True),
        ("sql", True),
        ("other", False),
        ({"tenant": "acme"}, True),
        ({"tenant": "other"}, False),
        ({"route": "sql", "tenant": "other"}, False),
        ({"header": {"X-App": "web"}}, True),
        ({"header": {"x-app": "mobile"}}, False),
        ({"header": {"x-app": "web", "x-beta": "1"}}, False),
    ],
)
def test_a_scope_holds_for_requests_that_meet_all_of_it(scope: Any, within: bool) -> None:
    one = asker(headers={"x-app": "web"})
    tried = assigned(1.0, **({} if scope is None else {"scope": scope}))
    assert is_tried_on(tried, one) is within
    assert arm_of(tried, one) == ("canary" if within else None)


def test_who_is_in_the_canary_stays_in_it_as_it_grows() -> None:
    units = [b"%d" % number for number in range(2000)]
    canary = {
        share: {unit for unit in units if arm_of(assigned(share), asker(unit)) == "canary"}
        for share in (0, 0.1, 0.5, 1)
    }
    assert canary[0] < canary[0.1] < canary[0.5] < canary[1] == set(units)
    assert 150 < len(canary[0.1]) < 250
    assert {arm_of(assigned(0.1), asker(unit)) for unit in units} == {"canary", "stable"}


def test_a_request_is_in_the_slices_that_its_plan_names() -> None:
    plan = assigned(slices=["route", "tenant", "tier", "language", "header:x-app"])
    languages = {"hallo": "de", "?": ""}
    full = asker(tier="gold", text="hallo", headers={"x-app": "w" * 70})
    found = slices_of(plan, full, languages.__getitem__)
    assert found == ("route=sql", "tenant=acme", "tier=gold", "language=de", f"header:x-app={'w' * 64}")
    assert slices_of(plan, asker(text="?"), languages.__getitem__) == ("route=sql", "tenant=acme")
    assert slices_of(plan, asker(), languages.__getitem__) == ("route=sql", "tenant=acme")
    assert slices_of(assigned(), full, languages.__getitem__) == ()
