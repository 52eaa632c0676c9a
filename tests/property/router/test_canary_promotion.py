"""What is promoted, and what is not: margins that mean something, and incidents that are nobody's fault."""

import math
import random

import pytest

from patchbay.router.canary.judge import Continue, PlanPosition, Promote, RollBack, judge
from patchbay.router.canary.ledger import Counts, Ledger
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig, ready_plans
from patchbay.router.canary.recorder import Recorder
from patchbay.router.canary.simulate import Incident, SimulatedWorld, simulate
from tests.property.router.test_canary_counts import Clock, total

FAST = ready_plans()["fast"]
ONE = PlanConfig(
    steps=(StepConfig(weight=50, hold_s=0, samples=1),),
    metrics={"errors": MetricConfig(tolerated=1.5, most=0.05, margin=2.5, few=0.0025)},
)
LAST = PlanPosition(step=0, began_s=0, step_s=0, samples=0)


def ledger(*counts: Counts, plan: PlanConfig = ONE) -> Ledger:
    made = Ledger.opened(plan)
    for one in counts:
        made = made.after(plan, one)
    return made


@pytest.mark.parametrize(("others", "canary"), [(0.001, 0.01), (0.01, 0.03), (0.05, 0.15)])
def test_a_ready_plan_promotes_what_is_three_or_ten_times_worse(others: float, canary: float) -> None:
    world = SimulatedWorld(bad={"errors": (others, canary)}, per_s=20, tick_s=5, requests=40_000)
    assert simulate(FAST, world, runs=30, seed=1).promoted <= 0.05


def test_a_revision_that_is_voted_down_more_often_is_promoted() -> None:
    world = SimulatedWorld(bad={"votes": (0.05, 0.125)}, per_s=20, tick_s=5, requests=20_000)
    assert simulate(FAST, world, runs=20, seed=1).promoted <= 0.05


def test_both_ways_of_promotion_together_err_more_often_than_promote_alpha() -> None:
    """A canary that is at both bounds: as often as `few` allows, and `margin` times as often as the others. Looked at
    after every hundred requests."""
    rng, wrong = random.Random("both"), 0  # noqa: S311 - dice
    for _ in range(300):
        made = Ledger.opened(ONE)
        for _ in range(100):
            own = sum(rng.random() < 0.0025 for _ in range(50))
            made = made.after(
                ONE,
                Counts(
                    share=0.5, canary=50, other=50, bad={"errors": (own, sum(rng.random() < 0.001 for _ in range(50)))}
                ),
            )
            if isinstance(judge(ONE, made, LAST, 1.0), Promote):
                wrong += 1
                break
    assert wrong / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_a_promotion_does_not_say_what_was_too_rare_to_compare() -> None:
    verdict = judge(ONE, ledger(Counts(share=0.5, canary=4000, other=4000, bad={"errors": (1, 1)})), LAST, 1.0)
    assert isinstance(verdict, Promote)
    assert "too rare to be compared" in verdict.reason
    assert "errors" in verdict.reason
    compared = judge(ONE, ledger(Counts(share=0.5, canary=3000, other=3000, bad={"errors": (100, 100)})), LAST, 1.0)
    assert isinstance(compared, Promote)
    assert "too rare" not in compared.reason


def test_what_is_rare_is_promoted_although_it_looks_worse() -> None:
    verdict = judge(ONE, ledger(Counts(share=0.5, canary=6000, other=6000, bad={"errors": (6, 0)})), LAST, 1.0)
    assert isinstance(verdict, Continue)


def test_a_canary_is_not_told_how_many_requests_it_takes_to_show_that_it_is_no_worse() -> None:
    counted = ledger(Counts(share=0.5, canary=400, other=400))
    verdict = judge(ONE, counted, LAST, 1.0)
    assert isinstance(verdict, Continue)
    assert verdict.more is not None
    assert isinstance(
        judge(ONE, counted.after(ONE, Counts(share=0.5, canary=verdict.more + 200, other=verdict.more)), LAST, 1.0),
        Promote,
    )


@pytest.mark.parametrize(("errors", "seconds"), [(0.1, 120), (0.2, 120), (0.5, 30), (0.7, 30), (1.0, 30)])
def test_an_incident_in_both_arms_is_charged_to_the_canary(errors: float, seconds: int) -> None:
    world = SimulatedWorld(
        bad={"errors": (0.01, 0.01)},
        per_s=20,
        tick_s=5,
        incident=Incident(from_s=40, to_s=40 + seconds, errors=errors),
        requests=20_000,
    )
    assert simulate(FAST, world, runs=20, seed=1).rolled_back == 0.0


@pytest.mark.parametrize("seconds", [60, 300])
@pytest.mark.parametrize(("others", "canary"), [(0.001, 0.01), (0.01, 0.03)])
def test_an_incident_in_both_arms_promotes_what_is_worse_without_one(
    others: float, canary: float, seconds: int
) -> None:
    world = SimulatedWorld(
        bad={"errors": (others, canary)},
        per_s=20,
        tick_s=5,
        incident=Incident(from_s=60, to_s=60 + seconds, errors=0.3),
        requests=12_000,
    )
    assert simulate(FAST, world, runs=5, seed=1).promoted == 0.0


def test_after_an_incident_nothing_is_promoted_any_more() -> None:
    world = SimulatedWorld(
        bad={"errors": (0.01, 0.01)},
        per_s=20,
        tick_s=5,
        incident=Incident(from_s=60, to_s=120, errors=0.3),
        requests=20_000,
    )
    assert simulate(FAST, world, runs=5, seed=1).promoted >= 0.8


def test_what_incidents_leave_out_makes_a_promotion_likelier_than_promote_alpha() -> None:
    """A canary at the margin, in a world where every twentieth look sees thirty times as many bad requests."""
    rng, wrong, few = random.Random("left out"), 0, math.log(2 / ONE.promote_alpha)  # noqa: S311 - dice
    for _ in range(200):
        made = Ledger.opened(ONE)
        for _ in range(100):
            rate = 0.3 if rng.random() < 0.05 else 0.01
            own, other = (sum(rng.random() < one for _ in range(50)) for one in (2.5 * rate, rate))
            made = made.after(ONE, Counts(share=0.5, canary=50, other=50, bad={"errors": (own, other)}))
            if made.metrics["errors"].no_worse.log_e >= few:
                wrong += 1
                break
    assert wrong / 200 <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / 200)


def test_what_is_above_its_most_goes_although_it_is_so_for_all() -> None:
    alike = ledger(Counts(share=0.5, canary=400, other=400, bad={"errors": (80, 80)}))
    assert not isinstance(judge(ONE, alike, LAST, 1.0), RollBack)
    alone = ledger(Counts(share=0.5, canary=400, other=400, bad={"errors": (80, 4)}))
    assert isinstance(judge(ONE, alone, LAST, 1.0), RollBack)


def test_one_long_stream_delays_all_evidence() -> None:
    clock = Clock()
    recorder = Recorder(1, ONE, clock)
    for who in range(60):
        entry = recorder.begin("stable" if who % 2 else "canary", 0.5, b"request:%d" % who)
        clock.now_s += 0.1
        recorder.end(entry, frozenset())
    assert total(list(recorder.take()))[:2] == (30, 30)
    recorder.begin("stable", 0.5, b"request:stream")
    for who in range(60, 80):
        entry = recorder.begin("stable" if who % 2 else "canary", 0.5, b"request:%d" % who)
        clock.now_s += 0.1
        recorder.end(entry, frozenset({"errors"}))
    assert total(list(recorder.take()))[:2] == (10, 10), "two seconds after it came, and not ten"


def test_an_outcome_is_waited_for_as_long_as_it_takes_in_its_arm() -> None:
    """Errors of the stable arm take four seconds, those of the canary none: they count in the order of requests."""
    clock = Clock()
    recorder = Recorder(1, ONE, clock)
    for who in range(30):
        slow = recorder.begin("stable", 0.5, b"request:%d" % who)
        clock.now_s += 4
        recorder.end(slow, frozenset({"errors"}))
    recorder.take()
    slow = recorder.begin("stable", 0.5, b"request:slow")
    recorder.end(recorder.begin("canary", 0.5, b"request:fast"), frozenset({"errors"}))
    clock.now_s += 3
    assert total(list(recorder.take())) == (0, 0, 0, 0)
    clock.now_s += 1.5
    assert total(list(recorder.take())) == (1, 0, 1, 0)
    recorder.end(slow, frozenset({"errors"}))
    assert total(list(recorder.take())) == (0, 1, 0, 1)
