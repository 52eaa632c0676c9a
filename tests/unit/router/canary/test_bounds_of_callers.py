"""The bounds of a caller's part in a canary: names, crowds, clusters, influence, and what is remembered."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.canary.assignment import Arm
from patchbay.router.canary.baseline import Baseline
from patchbay.router.canary.breaker import ALPHA, Breaker
from patchbay.router.canary.callers import Crowd, address_caller, caller_of, named
from patchbay.router.canary.clusters import Clusters, NestedClusters
from patchbay.router.canary.counted_callers import CountedCallers, callers_expected, growths
from patchbay.router.canary.evidence import worse
from patchbay.router.canary.first_seen import BloomFilter
from patchbay.router.canary.influence import Influence
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig

PLAN = PlanConfig(
    steps=(StepConfig(weight=10, samples=100), StepConfig(weight=30, samples=400)),
    metrics={"errors": MetricConfig(), "votes": MetricConfig()},
)


@pytest.mark.parametrize(
    ("name", "caller"),
    [
        (b"key", b"key"),
        (named(b"session", b"key"), b"key"),
        (named(b"", b"key"), b"key"),
        (named(b"a\0b", b"key"), b"key"),
        (b"", b""),
    ],
)
def test_a_name_belongs_to_its_key_whatever_it_says(name: bytes, caller: bytes) -> None:
    assert caller_of(name) == caller


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("10.0.0.7", b"address:10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", b"address:2001:db8:1:2::/64"),
        ("2001:db8:1:2::1%eth0", b"address:2001:db8:1:2::/64"),
        ("::ffff:10.0.0.7", b"address:10.0.0.7"),
        ("a socket", b"address:a socket"),
        ("", b"address:"),
    ],
)
def test_an_address_stands_for_all_that_one_client_may_own(address: str, caller: bytes) -> None:
    assert address_caller(address) == caller


def crowd(**requests: int) -> Crowd:
    made = Crowd()
    for caller, count in requests.items():
        for _ in range(count):
            made.asked(caller.encode())
    return made


@pytest.mark.parametrize(
    ("own", "others", "shared"),
    [(0, 0, False), (1, 19, False), (1, 20, True), (0, 20, True), (980, 20, True), (981, 20, False), (1029, 21, True)],
)
def test_a_crowd_is_twenty_requests_of_others_and_a_fiftieth_of_all(own: int, others: int, shared: bool) -> None:
    assert crowd(a=own, b=others).is_shared_by(b"a") is shared


def test_only_callers_with_a_fiftieth_of_the_requests_are_counted_as_such() -> None:
    known = crowd(a=49, b=49, c=2)
    assert (known.callers(10), known.callers(2), known.size) == (3, 2, 3)
    assert crowd(a=50, b=49, c=1).callers(10) == 2
    assert (Crowd().callers(5), Crowd().size) == (1, 1)


def test_a_crowd_remembers_ten_thousand_callers_and_counts_the_requests_of_all() -> None:
    known = Crowd()
    for number in range(10_005):
        known.asked(b"%d" % number)
    assert known.size == 10_000
    known.asked(b"0")
    assert known.is_shared_by(b"0")


@pytest.mark.parametrize(("callers", "taken"), [(1, 40), (2, 40), (4, 20), (100, 20)])
def test_one_caller_counts_for_twice_its_fair_share_and_twenty_requests_at_least(callers: int, taken: int) -> None:
    clusters = Clusters(0.5)
    found = 0
    for number in range(400):
        # Another caller asks as often, and never too often.
        clusters.takes(b"other %d" % number, callers) if number < 20 else None
        found += clusters.takes(b"a", callers) if number < 40 else 0
    assert found == taken


@pytest.mark.parametrize(("callers", "events"), [(0, 200), (1, 200), (2, 100), (3, 67), (40, 5), (41, 5), (1000, 5)])
def test_a_caller_counts_for_two_hundred_bad_events_over_the_callers_and_five_at_least(
    callers: int, events: int
) -> None:
    clusters = Clusters(0.5)
    for _ in range(events - 1):
        clusters.note(b"a", "errors", callers)
    assert clusters.takes(b"a", callers)
    clusters.note(b"a", "votes", 1)
    assert clusters.takes(b"a", callers)
    clusters.note(b"a", "errors", callers)
    assert not clusters.takes(b"a", callers)
    assert clusters.takes(b"b", callers)


def test_callers_beyond_the_most_that_are_remembered_count_without_a_bound() -> None:
    clusters = Clusters(0.5, most=1)
    assert clusters.takes(b"a", 1)
    assert all(clusters.takes(b"b", 100) for _ in range(30))
    assert [clusters.takes(b"a", 100) for _ in range(30)].count(True) == 19


def test_names_within_a_key_are_bounded_as_keys_are() -> None:
    nested = NestedClusters(0.5)
    assert nested.share == 0.5
    one, other = named(b"one", b"key"), named(b"other", b"key")
    for _ in range(5):
        nested.note(one, "errors", callers=2, names=50)
    assert not nested.takes(one, callers=2, names=50)
    assert nested.takes(other, callers=2, names=50)
    for _ in range(95):
        nested.note(other, "errors", callers=2, names=50)
    assert not nested.takes(named(b"third", b"key"), callers=2, names=50), "the key has used up what it may"


def test_a_key_with_one_name_is_bounded_as_a_key_alone() -> None:
    nested = NestedClusters(0.5)
    for _ in range(6):
        nested.note(b"key", "errors", callers=2, names=1)
    assert nested.takes(b"key", callers=2, names=1)


@given(st.lists(st.sampled_from([b"a", b"b"]), max_size=60))
def test_a_memory_that_is_large_enough_knows_what_came_and_nothing_else(keys: list[bytes]) -> None:
    memory, seen = BloomFilter(), set[bytes]()
    for key in keys:
        assert memory.knows(key) is (key in seen)
        assert memory.is_first(key) is (key not in seen)
        seen.add(key)
        assert memory.knows(key)


@pytest.mark.parametrize(
    ("things", "error", "size"),
    [
        (1, 0.01, 1 << 13),
        (1_000_000, 0.01, 1 << 21),
        (100_000, 0.01, 1 << 18),
        (10**9, 0.01, 1 << 23),
        (1_000_000, 0.5, 1 << 19),
    ],
)
def test_a_memory_takes_what_its_error_needs_from_8_kib_to_8_mib(things: int, error: float, size: int) -> None:
    assert len(vars(BloomFilter(things, error))["_bits"]) == size
    assert BloomFilter(things, error).error == 0.0


def test_a_full_memory_errs_about_as_often_as_was_asked_for() -> None:
    memory = BloomFilter(20_000, 0.02)
    for number in range(20_000):
        memory.is_first(b"%d" % number)
    wrong = sum(memory.knows(b"other %d" % number) for number in range(20_000)) / 20_000
    assert memory.error == pytest.approx(wrong, abs=0.01)
    assert memory.error < 0.03


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # Sixteen times what its steps need: 100 of a tenth of the callers, and then 400 of a fifth.
        ([(10, 100), (30, 400)], 250_000),
        ([(1, 1000), (50, 100)], 16 * 100_000),
        ([(10, 100), (11, 1000)], 16 * 100_000),
    ],
)
def test_a_memory_of_callers_holds_sixteen_times_what_the_plan_needs(
    steps: list[tuple[float, int]], expected: int
) -> None:
    made = tuple(StepConfig(weight=weight, samples=samples) for weight, samples in steps)
    plan = PLAN.model_copy(update={"steps": made})
    assert callers_expected(plan) == expected
    before = 0.0
    for (step, new), one in zip(growths(plan), made, strict=True):
        assert (step, new) == (one, one.weight - before)
        before = one.weight


@pytest.mark.parametrize(
    ("events", "share"),
    [
        ([("stable", 0.1)], 0.1),
        ([("canary", 0.1)], 0.1),
        ([("canary", 0.1), ("canary", 0.1)], None),
        ([("stable", 0.1), ("stable", 0.1)], None),
        # It was in the stable arm at a tenth: of the nine tenths it is in four at a half.
        ([("stable", 0.1), ("stable", 0.5)], 0.444444),
        ([("stable", 0.1), ("canary", 0.5)], 0.444444),
        ([("canary", 0.1), ("canary", 0.5)], None),
        ([("stable", 0.1), ("stable", 0.3), ("canary", 0.5)], 0.285714),
        ([("stable", 0.5), ("stable", 0.1)], None),
        ([("canary", 0.5), ("stable", 0.5)], None),
    ],
)
def test_a_later_event_of_a_caller_counts_by_what_it_can_still_say(
    events: list[tuple[Arm, float]], share: float | None
) -> None:
    counted = CountedCallers(PLAN)
    found = [counted.share_of(arm, at, "errors", b"u") for arm, at in events]
    assert found[-1] == share
    assert counted.share_of("stable", 0.9, "votes", b"u") == 0.9, "another metric is another matter"
    assert counted.share_of("stable", 0.1, "errors", b"v") == 0.1


def test_a_caller_is_new_once_in_the_canary_and_once_for_each_share_elsewhere() -> None:
    counted = CountedCallers(PLAN)
    asked: list[tuple[Arm, float]] = [
        ("canary", 0.1),
        ("canary", 0.5),
        ("stable", 0.1),
        ("stable", 0.5),
        ("stable", 0.1),
    ]
    assert [counted.is_new(arm, share, b"u") for arm, share in asked] == [True, False, True, True, False]
    assert counted.is_new("canary", 0.1, b"v")
    assert 0 < counted.error < 1e-12


def test_one_caller_may_bring_three_quarters_of_what_rolls_back_and_two_may_bring_it_all() -> None:
    influence, bet, needed = Influence(PLAN), worse(1.0), math.log(PLAN.needed)
    wealth = bet.start
    while influence.may_add(b"a", "errors", 0.1, shared=True):
        influence.add(b"a", "errors", 0.1, canary=True)
        wealth = bet.after(wealth, 1, 0, 0.1)
        assert wealth.log_e <= 0.75 * needed
    assert wealth.log_e > 0.5 * needed or bet.after(wealth, 1, 0, 0.1).log_e > 0.75 * needed
    assert influence.is_spent(b"a")
    assert not influence.is_spent(b"b")
    assert not influence.may_add(b"a", "votes", 0.1, shared=True), "it has brought all that it may, by any metric"
    assert influence.may_add(b"b", "errors", 0.1, shared=True)
    assert influence.may_add(b"a", "errors", 0.1, shared=False), "nobody else asks"


def test_events_on_the_other_arm_give_a_caller_room_again() -> None:
    influence = Influence(PLAN)
    for _ in range(50):
        for canary in (True, *[False] * 9):
            assert influence.may_add(b"a", "errors", 0.1, shared=True)
            influence.add(b"a", "errors", 0.1, canary=canary)
    assert not influence.is_spent(b"a")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_all_requests_are_in_one_arm_nothing_is_bet(share: float) -> None:
    influence = Influence(PLAN)
    for _ in range(100):
        assert influence.may_add(b"a", "errors", share, shared=True)
        influence.add(b"a", "errors", share, canary=True)
    assert not influence.is_spent(b"a")


def test_a_breaker_is_not_moved_by_a_canary_that_has_no_callers_or_all() -> None:
    for share in (0.0, 1.0):
        breaker = Breaker(2)
        for number in range(50):
            assert breaker.after("canary", share, b"c%d" % number, failed=True) is None
            assert breaker.after("stable", share, b"s%d" % number, failed=False) is None


def taken_out(least: int, share: float) -> tuple[int, str]:
    """The step at which a canary is taken out, where others are answered and it fails in turn, and the reason."""
    breaker = Breaker(least)
    for step in range(400):
        arm: Arm = "canary" if step % 2 else "stable"
        if reason := breaker.after(arm, share, b"%d" % step, failed=arm == "canary"):
            return step, reason
    raise AssertionError("never")


@pytest.mark.parametrize("least", [2, 5, 12])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_a_breaker_takes_out_a_canary_when_its_bet_is_won_by_the_formula(share: float, least: int) -> None:
    failed = share * 0.98 + (1 - share) * 0.02
    answered = share * 0.02 + (1 - share) * 0.98
    log_e, step, failures, others = 0.0, -1, 0, 0
    while log_e < math.log(1 * 2 / ALPHA) or failures < least or not others:
        step += 1
        log_e += math.log(0.98 / (failed if step % 2 else answered))
        failures += step % 2
        others += step % 2 == 0 and failures > 0
    seen = f"{failures} of its callers got errors or nothing, and 0 of {others} others of that time"
    assert taken_out(least, share) == (step, seen)


def test_an_answer_of_the_canary_begins_the_row_anew() -> None:
    breaker = Breaker(3)
    found = []
    for number in range(30):
        found.append(breaker.after("stable", 0.5, b"s%d" % number, failed=False))
        found.append(breaker.after("canary", 0.5, b"c%d" % number, failed=number % 3 != 0))
    assert found == [None] * 60


def test_a_caller_counts_once_as_failed_and_once_as_answered_in_each_arm() -> None:
    breaker = Breaker(2)
    for _ in range(50):
        assert breaker.after("stable", 0.1, b"s", failed=False) is None
        assert breaker.after("canary", 0.1, b"c", failed=True) is None


def test_where_both_arms_fail_no_breaker_trips() -> None:
    breaker = Breaker(2)
    for number in range(200):
        assert breaker.after("stable", 0.5, b"s%d" % number, failed=True) is None
        assert breaker.after("canary", 0.5, b"c%d" % number, failed=True) is None


def test_a_usual_value_is_below_the_95th_percentile_of_forty_earlier_ones_of_its_kind_and_size() -> None:
    baseline = Baseline()
    for number in range(40):
        assert baseline.is_above("ttft", 100, 1e9) is None
        baseline.note("ttft", 100, float(number))
    assert [baseline.is_above("ttft", 100, value) for value in (37.9, 38.0, 38.1)] == [False, False, True]
    assert baseline.is_above("ttft", 127, 39.0), "up to twice as long a prompt is alike"
    assert baseline.is_above("ttft", 128, 39.0) is None
    assert baseline.is_above("cost", 100, 39.0) is None


def test_a_baseline_forgets_the_oldest_of_four_hundred_values() -> None:
    baseline = Baseline()
    for value in [1000.0] * 400 + [1.0] * 379:
        baseline.note("ttft", 1, value)
    assert baseline.is_above("ttft", 1, 999.0) is False
    for _ in range(2):
        baseline.note("ttft", 1, 1.0)
    assert baseline.is_above("ttft", 1, 999.0) is True
