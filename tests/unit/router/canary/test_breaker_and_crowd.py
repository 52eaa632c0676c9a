"""The breaker beside a crowd: how much one caller moves it, and when it begins anew; and what one router cuts."""

import math

import pytest

from patchbay.router.canary.assignment import Arm
from patchbay.router.canary.breaker import ALPHA, Breaker
from patchbay.router.canary.callers import Crowd, named
from patchbay.router.canary.clusters import NestedClusters
from patchbay.router.canary.influence import Influence
from patchbay.router.canary.plan import PlanConfig
from tests.unit.router.canary.build import planned
from tests.unit.router.canary.test_live_canaries import Held, canary


def crowd(callers: int) -> Crowd:
    """A crowd in which that many callers have asked equally often."""
    made = Crowd()
    for _ in range(30):
        for caller in range(callers):
            made.asked(b"key %d" % caller)
    return made


def tripped(breaker: Breaker, callers: int, share: float = 0.5, failures: int = 60) -> int | None:
    """The number of failures by which a canary was taken out, where `callers` fail in turn, under ever new names."""
    for number in range(failures):
        breaker.after("stable", share, b"s%d" % number, failed=False)
        unit = named(b"session:%d" % number, b"key %d" % (number % callers))
        if breaker.after("canary", share, unit, failed=True):
            return number + 1
    return None


@pytest.mark.parametrize(
    ("least", "callers", "found"),
    [
        # Alone a caller may trip it; of a crowd each counts for its part of the ten, and all together for ten.
        (10, 1, 10),
        (10, 2, 10),
        (10, 5, 10),
        (4, 2, None),
    ],
)
def test_a_crowd_trips_the_breaker_together(least: int, callers: int, found: int | None) -> None:
    if found is None:
        # Two callers count for two each: too few to win the bet at a half.
        assert tripped(Breaker(least, crowd(callers)), callers) is None
    else:
        assert tripped(Breaker(least, crowd(callers)), callers) == found


def test_one_of_a_crowd_trips_nothing_whatever_names_it_gives_itself() -> None:
    assert tripped(Breaker(10, crowd(5)), 1) is None
    assert tripped(Breaker(10, crowd(1)), 1) == 10, "alone it is all there is"


def test_a_bet_that_was_lost_begins_anew_with_the_next_failure_and_asks_for_more() -> None:
    breaker = Breaker(2)
    # An answer of the canary loses the first bet.
    assert breaker.after("canary", 0.5, b"good", failed=False) is None
    needed = math.log(2 * 3 / ALPHA)
    log_e, steps = 0.0, 0
    breaker.after("canary", 0.5, b"first", failed=True)
    while log_e < needed:
        log_e += math.log(0.98 / 0.5)
        steps += 1
    arms: list[Arm] = ["stable", "canary"]
    found = None
    for number in range(1, 40):
        arm = arms[number % 2]
        if breaker.after(arm, 0.5, b"%d" % number, failed=arm == "canary"):
            found = number
            break
    assert found == steps, "the failure that it began with is no part of it"


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25])
def test_the_evidence_of_each_arm_is_that_of_the_formula(share: float) -> None:
    # Of one arm alone: failures of the canary's callers until the bet is won, after one answer of the others.
    failed = share * 0.98 + (1 - share) * 0.02
    answered = share * 0.02 + (1 - share) * 0.98
    breaker, log_e = Breaker(2), 0.0
    assert breaker.after("canary", share, b"c0", failed=True) is None
    log_e += math.log(0.98 / failed)
    assert breaker.after("stable", share, b"s0", failed=False) is None
    log_e += math.log(0.98 / answered)
    found = 1
    while not breaker.after("canary", share, b"c%d" % found, failed=True):
        log_e += math.log(0.98 / failed)
        found += 1
    assert log_e < math.log(2 / ALPHA) or found < 2
    assert log_e + math.log(0.98 / failed) >= math.log(2 / ALPHA)


def test_two_names_of_a_key_are_bounded_each() -> None:
    nested = NestedClusters(0.5)
    one = named(b"one", b"key")
    taken = [nested.takes(one, callers=1, names=2) for _ in range(60)]
    # One of two names counts for what both together have had, and for twenty at least.
    assert taken.count(True) == 20
    other = NestedClusters(0.5)
    assert [other.takes(one, callers=9, names=50) for _ in range(30)].count(True) == 20


PLAN: PlanConfig = planned(metrics={"errors": {}})


def test_an_event_that_could_bring_a_caller_too_far_is_not_counted_though_it_has_room() -> None:
    influence = Influence(PLAN)
    added = 0
    while influence.may_add(b"a", "errors", 0.02, shared=True):
        influence.add(b"a", "errors", 0.02, canary=True)
        added += 1
    # At a fiftieth each event of the canary is worth much: the next one would have gone beyond three quarters.
    assert added == 1
    assert influence.is_spent(b"a")


def test_a_canary_that_had_ended_before_this_router_began_cuts_nothing() -> None:
    held = Held(canary("rolled_back", cut=True))
    assert held.cut == []
    held.live.put([canary("rolled_back", cut=True), canary("rolled_back", cut=True, id=8)])
    assert held.cut == []


def test_only_the_last_twenty_thousand_answers_can_be_voted_on() -> None:
    held = Held(canary())
    entry = held.ask("canary", b"a")
    held.live.end(entry, set(), b"first")
    other = held.ask("canary", b"b")
    for number in range(20_000):
        held.live.end(other, set(), b"%d" % number)
    held.live.take()
    held.live.voted_down(b"first")
    assert held.live.take() == {}
    held.live.voted_down(b"0")
    assert held.live.take()[7][0].bad == {"votes": (1, 0)}
