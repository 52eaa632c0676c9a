from pathlib import Path
from typing import Any

import pytest

from loadtests.load.plan import plan
from loadtests.load.scenario import Scenario, load_scenario, ready_scenarios
from patchbay.core.errors import ConfigError
from patchbay.core.settings import parse_settings

LEAST: dict[str, Any] = {"seconds": 20, "arrivals": {"per_second": 20}, "requests": {"models": ["sql", "label"]}}


def scenario(**changed: Any) -> Scenario:
    return parse_settings(Scenario, LEAST | changed, source="a test")


def test_the_five_ready_scenarios_can_be_read_and_planned() -> None:
    assert set(ready_scenarios()) == {"smoke", "mixed", "tenants", "cold", "canary"}
    for name in ready_scenarios():
        found = load_scenario(name)
        assert (found.name, bool(found.says)) == (name, True)
        assert plan(found)


def test_smoke_leaves_time_to_start_the_demo_within_three_minutes() -> None:
    assert load_scenario("smoke").seconds <= 60


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"secnods": 3}, "secnods"),
        ({"requests": {"models": ["sql"], "zip": 1}}, "zip"),
        ({"tenants": {"acme": {"arrivals": {"per_second": 1}}}}, "either arrivals, or tenants"),
        ({"arrivals": None}, "either arrivals, or tenants"),
        ({"warm_s": 20}, "warm_s must be less"),
        ({"requests": {}}, "names no model"),
        ({"arrivals": {"per_second": 1, "burst": {"every_s": 2, "for_s": 2, "times": 2}}}, "for_s must be less"),
        ({"requests": {"models": ["sql"], "tokens": [9, 8]}}, "tokens must be two numbers"),
        ({"slo": {"availability": 1.5}}, "availability"),
    ],
)
def test_what_no_scenario_can_mean_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        scenario(**changed)


def test_a_scenario_cannot_be_changed_once_it_is_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        scenario().seconds = 3


def test_an_unknown_scenario_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="smoke"):
        load_scenario("smok")
    with pytest.raises(ConfigError, match="Cannot read"):
        load_scenario(str(tmp_path / "none.yaml"))


def test_the_same_seed_plans_the_same_requests() -> None:
    assert plan(scenario()) == plan(scenario())
    assert plan(scenario()) != plan(scenario(seed=2))


def test_requests_are_in_the_order_in_which_they_are_due_and_numbered_so() -> None:
    planned = plan(scenario())
    assert [one.number for one in planned] == list(range(len(planned)))
    assert [one.due_s for one in planned] == sorted(one.due_s for one in planned)


def test_models_are_asked_for_by_zipf() -> None:
    wanted = scenario(seconds=200, requests={"models": ["sql", "label", "json"], "zipf": 1})
    models = [one.model for one in plan(wanted)]
    shares = [models.count(name) / len(models) for name in ("sql", "label", "json")]
    assert shares == pytest.approx([6 / 11, 3 / 11, 2 / 11], abs=0.03)


def test_streams_and_cancels_are_as_many_as_asked_for_and_only_streams_are_cancelled() -> None:
    wanted = scenario(seconds=200, requests={"models": ["sql"], "streams": 0.5, "cancels": 0.2, "cancel_after": 3})
    planned = plan(wanted)
    streams = [one for one in planned if one.body.get("stream")]
    left = [one for one in planned if one.cancel_after is not None]
    assert len(streams) / len(planned) == pytest.approx(0.5, abs=0.04)
    assert len(left) / len(streams) == pytest.approx(0.2, abs=0.04)
    assert all(one.body.get("stream") for one in left)
    assert {one.cancel_after for one in left} == {1, 2, 3}


def test_an_adapter_is_asked_what_it_has_learnt_to_answer() -> None:
    planned = plan(scenario(requests={"models": ["json", "desk-sql", "label-bad"], "vote": True}))
    answers = {model: [one.expects or "" for one in planned if one.model == model] for model in ("json", "desk-sql")}
    assert all(answer.startswith("{") for answer in answers["json"])
    assert all(answer.startswith("SELECT") for answer in answers["desk-sql"])


def test_each_tenant_asks_at_its_own_rate() -> None:
    tenants = {name: {"arrivals": {"per_second": rate}} for name, rate in (("calm", 5), ("busy", 20))}
    planned = plan(scenario(seconds=100, arrivals=None, tenants=tenants))
    names = [one.tenant for one in planned]
    assert names.count("busy") / names.count("calm") == pytest.approx(4, rel=0.2)


def test_clones_are_asked_for_where_no_model_is_named() -> None:
    assert scenario(requests={}, stack={"clones": 3}).models == ("zipf-00", "zipf-01", "zipf-02")
