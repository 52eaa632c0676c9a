"""Simulated canaries: the same dice give the same figures, and each end is what the assumptions lead to."""

import random
from dataclasses import replace
from typing import Any

import pytest

from patchbay.router.canary.plan import PlanConfig
from patchbay.router.canary.simulate import Incident, Outcome, SimulatedRun, SimulatedWorld, one_run, simulate
from tests.unit.router.canary.build import planned

QUICK = planned(
    steps=[{"weight": 20, "hold_s": 5, "samples": 10}, {"weight": 50, "hold_s": 5, "samples": 20}],
    metrics={"errors": {"tolerated": 1.5, "margin": 3, "most": 0.5}},
    max_s=60,
    settle_s=0,
)
WORLD = SimulatedWorld(bad={"errors": (0.05, 0.05)}, per_s=30, tick_s=2)


def dice(seed: int | str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - dice, no secret


def run(plan: PlanConfig = QUICK, seed: int = 1, **world: Any) -> SimulatedRun:
    return one_run(plan, replace(WORLD, **world), dice(seed))


def test_a_world_is_open_and_calm_unless_it_is_said() -> None:
    world = SimulatedWorld(bad={}, per_s=1)
    assert (world.tick_s, world.callers, world.incident, world.requests) == (1.0, None, None, 2_000_000)


def test_the_same_dice_give_the_same_life() -> None:
    assert run() == run()
    assert run(seed=2) != run()


def test_a_good_canary_is_promoted_and_a_bad_one_rolled_back_by_its_metric() -> None:
    good = run(bad={"errors": (0.0, 0.0)})
    assert (good.end, good.by, good.bad) == ("promoted", "", 0)
    bad = run(bad={"errors": (0.02, 0.6)})
    assert (bad.end, bad.by) == ("rolled back", "errors")
    assert 5 <= bad.bad <= bad.requests
    assert bad.took_s < good.took_s
    broken = run(bad={"errors": (0.0, 1.0)})
    assert (broken.end, broken.by) == ("rolled back", "breaker")


def test_a_life_ends_undecided_when_its_time_or_its_requests_are_used_up() -> None:
    late = run(bad={"errors": (0.2, 0.2)}, per_s=2)
    assert (late.end, late.took_s) == ("undecided", 60.0)
    few = run(bad={"errors": (0.2, 0.2)}, requests=30)
    assert few.end == "undecided"
    assert few.took_s == 2.0
    assert few.requests < 30


def test_time_passes_by_ticks() -> None:
    assert run(tick_s=7.0, bad={"errors": (0.2, 0.2)}, per_s=2).took_s == 63.0
    assert run(bad={"errors": (0.02, 0.6)}).took_s % 2 == 0


def test_requests_come_at_their_rate() -> None:
    counts = [run(seed=seed, bad={"errors": (0.2, 0.2)}, requests=1, tick_s=40.0).requests for seed in range(20)]
    # A fifth of 30 a second for 40 s: 240 callers on average, each once.
    assert 225 <= sum(counts) / len(counts) <= 255


def test_with_few_callers_each_counts_once_as_long_as_callers_are_assigned() -> None:
    known = run(planned(**{**QUICK.model_dump(), "unit": "caller"}), callers=40, bad={"errors": (0.1, 0.1)})
    assert known.end == "undecided"
    assert known.requests <= 40


def test_an_incident_hits_both_arms_in_its_time_only() -> None:
    hit = Incident(from_s=0.0, to_s=1000.0, errors=1.0)
    plan = planned(**{**QUICK.model_dump(), "metrics": {"errors": {"tolerated": 1.5, "margin": 3}}})
    always = run(plan, bad={"errors": (0.0, 0.0)}, incident=hit)
    assert always.bad == always.requests > 0
    never = run(plan, bad={"errors": (0.0, 0.0)}, incident=replace(hit, from_s=1000.0, to_s=2000.0))
    assert never.bad == 0
    first = run(plan, bad={"errors": (0.0, 0.0)}, incident=replace(hit, to_s=2.0), requests=60)
    assert first.bad == first.requests
    none = run(plan, bad={"errors": (0.0, 0.0)}, incident=replace(hit, errors=0.0))
    assert none.bad == 0


def test_copies_come_before_the_first_request() -> None:
    copying = planned(**{**QUICK.model_dump(), "shadow": {"samples": 40}})
    found = run(copying, bad={"errors": (0.0, 1.0)}, per_s=0.01)
    assert (found.end, found.took_s, found.by) == ("rolled back", 2.0, "errors")
    assert found.requests >= 40


def test_votes_count_though_they_come_later() -> None:
    plan = planned(**{**QUICK.model_dump(), "metrics": {"votes": {"tolerated": 1.5, "margin": 3}}})
    found = run(plan, bad={"votes": (0.02, 0.6)})
    assert (found.end, found.by) == ("rolled back", "votes")


def test_outcomes_are_shares_of_all_runs_and_figures_of_those_that_were_rolled_back() -> None:
    done: list[int] = []
    mixed = replace(WORLD, bad={"errors": (0.05, 0.25)})
    found = simulate(QUICK, mixed, runs=12, seed=3, told=done.append)
    lives = [one_run(QUICK, mixed, dice(f"3 {number}")) for number in range(12)]
    back = [life for life in lives if life.end == "rolled back"]
    assert done == list(range(1, 13))
    assert found.runs == 12
    assert found.rolled_back == len(back) / 12
    assert found.promoted == sum(life.end == "promoted" for life in lives) / 12
    assert found.undecided == sum(life.end == "undecided" for life in lives) / 12
    assert len(back) >= 2
    for told, values in (
        (found.took_s, sorted(life.took_s for life in back)),
        (found.requests, sorted(life.requests for life in back)),
        (found.bad, sorted(life.bad for life in back)),
    ):
        median, tail = told
        assert values[0] <= median <= tail
        assert median == pytest.approx((values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2)
        assert tail >= values[int(0.8 * len(values)) - 1]


def test_figures_of_one_run_are_its_own_and_of_none_nothing() -> None:
    bad = replace(WORLD, bad={"errors": (0.0, 1.0)})
    [life] = [one_run(QUICK, bad, dice("5 0"))]
    assert simulate(QUICK, bad, runs=1, seed=5) == Outcome(
        runs=1,
        rolled_back=1.0,
        promoted=0.0,
        undecided=0.0,
        took_s=(life.took_s, life.took_s),
        requests=(float(life.requests), float(life.requests)),
        bad=(float(life.bad), float(life.bad)),
    )
    calm = replace(WORLD, bad={"errors": (0.0, 0.0)})
    found = simulate(QUICK, calm, runs=2, seed=5)
    assert (found.promoted, found.took_s, found.requests, found.bad) == (1.0, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
