"""Who counts in a canary: callers who move, who are few, who come again, and what of them is known."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.router.canary.assignment import Arm, Asker, CanaryAssignment, arm_of
from patchbay.router.canary.clusters import Clusters
from patchbay.router.canary.counted_callers import CountedCallers
from patchbay.router.canary.first_seen import BloomFilter
from patchbay.router.canary.judge import PlanPosition, RollBack, judge
from patchbay.router.canary.ledger import CallersSeen, Counts, Ledger, counts_of
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig, ready_plans
from patchbay.router.canary.population import Population
from patchbay.router.canary.recorder import Recorder
from patchbay.router.canary.simulate import SimulatedWorld, simulate
from tests.property.router.test_canary_counts import Clock, total

PLAN = PlanConfig(
    steps=tuple(StepConfig(weight=weight, hold_s=0, samples=20) for weight in (5, 20, 50)),
    metrics={"errors": MetricConfig(most=0.2), "votes": MetricConfig(few=0.1)},
    breaker=1000,
)
BAD = frozenset({"errors"})


def put(recorder: Recorder, arm: Arm, share: float, unit: bytes, bad: frozenset[str] = BAD) -> None:
    recorder.end(recorder.begin(arm, share, unit), bad)


def test_a_caller_who_moves_into_the_canary_does_not_count_there() -> None:
    recorder = Recorder(1, PLAN, Clock())
    put(recorder, "stable", 0.05, b"user:one", frozenset())
    put(recorder, "canary", 0.2, b"user:one", frozenset())
    assert total(list(recorder.take())) == (1, 1, 0, 0)


def test_somebody_who_stays_in_the_canary_says_something_twice() -> None:
    recorder = Recorder(1, PLAN, Clock())
    for share in (0.05, 0.2, 0.5):
        put(recorder, "canary", share, b"user:one")
    assert total(list(recorder.take())) == (1, 0, 1, 0)


def test_whoever_had_an_error_in_the_stable_arm_counts_at_the_share_that_is_left() -> None:
    recorder = Recorder(1, PLAN, Clock())
    put(recorder, "stable", 0.05, b"user:one")
    put(recorder, "stable", 0.2, b"user:one")
    put(recorder, "canary", 0.5, b"user:one")
    bad = {round(one.share, 4): one.bad["errors"] for one in recorder.take() if one.bad}
    # Of those who were stable at 5%, 15 of 95 move at 20%; of these, 30 of 80 at 50%.
    assert bad == {0.05: (0, 1), round(15 / 95, 4): (0, 1), round(30 / 80, 4): (1, 0)}


def test_growing_shares_make_callers_who_always_fail_look_like_a_bad_canary() -> None:
    """200 callers, of whom a tenth always fail, wherever they are; the share grows, and they move."""
    plan = PLAN.model_copy(update={"metrics": {"errors": MetricConfig()}, "alpha": 0.05, "unit": "caller"})
    wrong = sum(_moved_and_rolled_back(plan, random.Random(seed)) for seed in range(200))  # noqa: S311 - dice
    assert wrong / 200 <= 0.05 + 0.04


def _moved_and_rolled_back(plan: PlanConfig, rng: random.Random) -> bool:
    recorder, ledger = Recorder(1, plan, Clock()), Ledger.opened(plan)
    fails = {b"user:%d" % who: rng.random() < 0.1 for who in range(200)}
    salt = rng.getrandbits(60)
    for step in plan.steps:
        trial = CanaryAssignment(id=salt, adapter="", revision="", plan=plan, share=step.weight / 100)
        for _ in range(400):
            who = rng.choice(list(fails))
            arm = arm_of(trial, Asker(route="", tenant="", unit=who)) or "stable"
            put(recorder, arm, trial.share, who, BAD if fails[who] else frozenset())
        for counts in recorder.take():
            ledger = ledger.after(plan, counts)
        if isinstance(judge(plan, ledger, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 0.0), RollBack):
            return True
    return False


@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(["canary", "stable"]), st.integers(0, 5), st.sets(st.sampled_from(["errors", "votes"]))
        ),
        max_size=40,
    ),
    alone=st.booleans(),
)
def test_the_comparison_sees_other_events_than_the_canarys_own_rate(
    events: list[tuple[Arm, int, set[str]]], alone: bool
) -> None:
    recorder = Recorder(1, PLAN, Clock())
    for number, (arm, who, bad) in enumerate(events):
        unit = b"request:%d" % number if alone else b"user:%s%d" % (arm.encode(), who)
        entry = recorder.begin(arm, 0.2, unit)
        recorder.end(entry, bad - {"votes"})
        if "votes" in bad:
            recorder.happened(entry, "votes")
    own, compared = Counter[str](), Counter[str]()
    for one in recorder.take():
        own.update(one.own or {})
        compared.update({name: pair[0] for name, pair in one.bad.items()})
    assert +own == +compared


def test_votes_do_not_count_in_the_canarys_own_rate() -> None:
    recorder, ledger = Recorder(1, PLAN, Clock()), Ledger.opened(PLAN)
    for who in range(200):
        entry = recorder.begin("canary", 0.5, b"request:%d" % who)
        recorder.end(entry, frozenset())
        recorder.happened(entry, "votes")
    for counts in recorder.take():
        ledger = ledger.after(PLAN, counts)
    below = ledger.metrics["votes"].below
    assert below is not None
    assert below.log_e < -10


def test_a_vote_that_comes_before_its_request_counts_is_lost() -> None:
    clock = Clock()
    recorder = Recorder(1, PLAN, clock)
    recorder.begin("stable", 0.2, b"user:slow")
    entry = recorder.begin("canary", 0.2, b"user:quick")
    recorder.end(entry, frozenset())
    recorder.happened(entry, "votes")
    assert not recorder.take()
    clock.now_s = PLAN.settle_s + 1
    assert [one.bad for one in recorder.take()] == [{"votes": (1, 0)}]


def units(plan: PlanConfig, callers: int, requests: int, share: float = 0.1) -> Population:
    rng, population = random.Random(callers), Population(plan)  # noqa: S311 - dice
    for number in range(requests):
        population.unit_of(b"user:%d" % rng.randrange(callers), b"request:%d" % number, share)
    return population


def test_few_callers_are_not_split_request_by_request() -> None:
    fast = ready_plans()["fast"]
    assert units(fast, 1, 100).unit == "request"
    assert units(fast, 300, 2000).unit == "request"
    many = units(fast, 10_000, 5000)
    assert many.unit == "caller"
    assert many.seen.callers == many.callers > 3000
    fixed = fast.model_copy(update={"unit": "caller"})
    assert units(fixed, 1, 5000).unit == "caller", "the plan says so"


def test_a_conversation_is_torn_where_conversations_come_and_go() -> None:
    fast, population = ready_plans()["fast"], Population(ready_plans()["fast"])
    for number in range(2000):
        population.unit_of(b"session:%d" % (number // 10), b"request:%d" % number, 0.1)
    assert population.unit == "request"
    assert population.unit_of(b"session:1", b"request:x", 0.1) == b"session:1"
    assert population.unit_of(b"user:1", b"request:x", 0.1) == b"request:x"
    lasting = Population(fast)
    for number in range(2000):
        lasting.unit_of(b"session:%d" % (number % 20), b"request:%d" % number, 0.1)
    assert lasting.unit_of(b"session:1", b"request:x", 0.1) == b"request:x", "twenty that never end are callers"


@pytest.mark.parametrize("callers", [1, 20, 300])
def test_known_callers_hold_a_canary_for_ever(callers: int) -> None:
    world = SimulatedWorld(bad={"errors": (0.01, 0.01)}, per_s=20, tick_s=5, callers=callers, requests=40_000)
    assert simulate(ready_plans()["fast"], world, runs=3, seed=1).promoted == 1.0


@pytest.mark.parametrize("callers", [1, 20, 300, 10_000])
def test_a_bad_canary_is_not_found_among_known_callers(callers: int) -> None:
    world = SimulatedWorld(bad={"errors": (0.01, 0.3)}, per_s=20, tick_s=1, callers=callers, requests=40_000)
    assert simulate(ready_plans()["fast"], world, runs=3, seed=1).rolled_back == 1.0


def test_what_is_assigned_is_not_told() -> None:
    recorder, ledger = Recorder(1, PLAN, Clock()), Ledger.opened(PLAN)
    for number in range(100):
        unit = recorder.population.unit_of(b"user:1", b"request:%d" % number, 0.05)
        recorder.end(recorder.begin("stable", 0.05, unit, (), b"user:1"), frozenset())
    for counts in recorder.take():
        ledger = ledger.after(PLAN, counts_of(counts.as_json))
    assert ledger.seen is not None
    assert (ledger.seen.unit, ledger.seen.callers) == ("request", 1)
    assert not recorder.take(), "it is told once"


def test_what_could_not_be_told_of_callers_is_lost() -> None:
    recorder = Recorder(1, PLAN, Clock())
    recorder.population.unit_of(b"user:1", b"request:1", 0.05)
    taken = recorder.take()
    assert taken == [Counts(share=0.0, seen=CallersSeen("caller", 1, taken[0].seen.error if taken[0].seen else 0.0))]
    recorder.give_back(taken)
    assert recorder.take() == taken


def test_one_of_twenty_callers_fills_the_evidence() -> None:
    clusters, taken = Clusters(0.1), Counter[bytes]()
    rng = random.Random(3)  # noqa: S311 - dice
    for _ in range(20_000):
        # One sends nine in ten requests.
        who = b"one" if rng.random() < 0.9 else b"%d" % rng.randrange(19)
        taken[who] += clusters.takes(who, 20)
    assert taken[b"one"] <= 20 + 2 / 20 * taken.total()


@given(callers=st.integers(1, 1000), events=st.integers(0, 500))
@settings(max_examples=50)
def test_a_caller_who_fails_without_end_counts_without_end(callers: int, events: int) -> None:
    clusters, counted = Clusters(0.1), 0
    for _ in range(events):
        if clusters.takes(b"one", callers):
            counted += 1
            clusters.note(b"one", "errors", callers)
    assert counted <= max(5, -(-200 // callers))


@given(things=st.integers(10, 40_000), error=st.sampled_from([0.001, 0.01, 0.05]))
@settings(max_examples=8, deadline=None)
def test_a_memory_errs_more_often_than_it_was_made_for_or_than_it_says(things: int, error: float) -> None:
    once = BloomFilter(things, error)
    for thing in range(things):
        once.is_first(b"%d" % thing)
    assert once.error <= error
    wrong = sum(once.knows(b"other %d" % thing) for thing in range(4000))
    assert wrong / 4000 <= once.error + 4 * (once.error / 4000) ** 0.5 + 0.001


def test_a_plan_for_many_callers_has_a_memory_for_few() -> None:
    slow = PLAN.model_copy(update={"steps": (StepConfig(weight=0.1, samples=500),)})
    counted = CountedCallers(slow)
    for who in range(200_000):
        counted.is_new("stable", 0.001, b"%d" % who)
    assert counted.error < 1e-4
