"""One key that calls itself by ever new names moves a canary's evidence by so much and no more."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.router.canary.assignment import Arm, Asker, CanaryAssignment, arm_of
from patchbay.router.canary.breaker import Breaker
from patchbay.router.canary.callers import Crowd, address_caller, caller_of, named
from patchbay.router.canary.judge import PlanPosition, RollBack, judge
from patchbay.router.canary.ledger import Ledger
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig, Unit
from patchbay.router.canary.population import Population
from patchbay.router.canary.recorder import Recorder
from tests.property.router.test_canary_counts import Clock

PLAN = PlanConfig(
    steps=(StepConfig(weight=10, hold_s=20, samples=50), StepConfig(weight=50, hold_s=20, samples=50)),
    metrics={name: MetricConfig(tolerated=1.5, most=0.05, margin=2.5) for name in ("votes", "errors")},
)
ATTACKER = b"key:acme/a"


class World:
    """One router's recorder, what is judged by it, and who asks."""

    def __init__(self, plan: PlanConfig, share: float, seed: int) -> None:
        self.plan = plan
        self.rng = random.Random(seed)  # noqa: S311 - dice
        self.recorder = Recorder(1, plan, Clock())
        self.trial = CanaryAssignment(id=seed, adapter="", revision="", plan=plan, share=share)
        self.number = 0

    def ask(self, name: bytes, caller: bytes, bad: dict[Arm, str]) -> None:
        self.number += 1
        who, alone = named(name, caller), named(b"request:%d" % self.number, caller)
        unit = self.recorder.population.unit_of(who, alone, self.trial.share)
        arm = arm_of(self.trial, Asker(route="", tenant="", unit=unit)) or "stable"
        entry = self.recorder.begin(arm, self.trial.share, unit, (), who)
        self.recorder.end(entry, frozenset({bad[arm]} - {"", "votes"}))
        if bad[arm] == "votes":
            self.recorder.happened(entry, "votes")

    @property
    def is_rolled_back(self) -> bool:
        ledger = Ledger.opened(self.plan)
        for counts in self.recorder.take():
            ledger = ledger.after(self.plan, counts)
        return isinstance(judge(self.plan, ledger, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 0.0), RollBack)


@pytest.mark.parametrize("metric", ["votes", "errors"])
@given(
    unit=st.sampled_from(["auto", "caller", "request"]),
    share=st.sampled_from([0.01, 0.1, 0.5]),
    seed=st.integers(0, 1000),
    keys=st.integers(1, 30),
    forged=st.sampled_from([b"session:%d", b"user:%d", b"session:one"]),
)
@settings(max_examples=8, deadline=None)
def test_one_key_with_new_names_rolls_a_good_canary_back(
    unit: Unit, share: float, seed: int, keys: int, forged: bytes, metric: str
) -> None:
    world = World(PLAN.model_copy(update={"unit": unit}), share, seed)
    for number in range(1000):
        honest = world.rng.randrange(40)
        world.ask(b"session:honest-%d" % honest, b"key:rival/%d" % (honest % keys), {"canary": "", "stable": ""})
        if number >= 40:
            name = forged % number if b"%" in forged else forged
            world.ask(name, ATTACKER, {"canary": metric, "stable": ""})
    assert not world.is_rolled_back


@pytest.mark.parametrize("unit", ["auto", "caller", "request"])
@pytest.mark.parametrize("keys", [1, 2, 20])
def test_a_bad_canary_of_few_keys_with_many_users_is_found(unit: Unit, keys: int) -> None:
    world = World(PLAN.model_copy(update={"unit": unit}), 0.1, 5)
    for number in range(3000):
        failed = world.rng.random() < 0.4
        world.ask(
            b"user:%d" % number,
            b"key:acme/%d" % (number % keys),
            {"canary": "errors" if failed else "", "stable": "errors" if failed and number % 37 == 0 else ""},
        )
    assert world.is_rolled_back


def test_a_key_that_is_nearly_all_of_the_traffic_decides_although_another_asks_a_little() -> None:
    world = World(PLAN, 0.1, 5)
    for number in range(3000):
        bad: dict[Arm, str] = {"canary": "errors", "stable": ""}
        few = number % 100 == 0
        world.ask(b"user:%d" % number, b"key:dev" if few else b"key:app", {**bad, "canary": ""} if few else bad)
    assert world.is_rolled_back


def test_new_names_of_one_key_do_not_say_that_the_others_callers_are_many() -> None:
    population = Population(PLAN)
    for number in range(2000):
        population.unit_of(named(b"session:%d" % number, ATTACKER), b"request:a%d" % number, 0.1)
        honest = named(b"session:%d" % (number % 40), b"key:rival/b")
        population.unit_of(honest, b"request:b%d" % number, 0.1)
    assert population.unit_of(honest, b"request:x", 0.1) == b"request:x"


@given(least=st.integers(2, 10), others=st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_one_key_trips_the_breaker(least: int, others: int) -> None:
    crowd = Crowd()
    breaker = Breaker(least, crowd)
    for number in range(400):
        for caller in (ATTACKER, b"key:%d" % (number % others)):
            crowd.asked(caller)
        if number >= 40:
            assert breaker.after("canary", 0.1, named(b"request:%d" % number, ATTACKER), failed=True) is None
        honest = named(b"user:%d" % number, b"key:%d" % (number % others))
        assert breaker.after("stable", 0.1, honest, failed=False) is None


@pytest.mark.parametrize("keys", [1, 2, 3, 5, 40])
def test_a_canary_that_fails_for_all_trips_it_soon(keys: int) -> None:
    crowd = Crowd()
    breaker, failed = Breaker(5, crowd), 0
    for number in range(2000):
        caller = b"key:%d" % (number % keys)
        crowd.asked(caller)
        # By seven, so that each key is in both arms.
        arm: Arm = "canary" if number > 200 and number % 7 == 0 else "stable"
        failed += arm == "canary"
        if breaker.after(arm, 1 / 7, named(b"request:%d" % number, caller), failed=arm == "canary") is not None:
            break
    assert failed <= 20


def test_names_are_one_only_within_their_key_and_addresses_of_one_client_are_one() -> None:
    assert caller_of(named(b"user:a\0key:other", b"key:mine")) == b"key:mine"
    assert named(b"user:a", b"key:mine") != named(b"user:a", b"key:other")
    assert address_caller("2001:db8::1") == address_caller("2001:db8::ffff:2")
    assert address_caller("::ffff:10.0.0.1") == address_caller("10.0.0.1") != address_caller("10.0.0.2")
