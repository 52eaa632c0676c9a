"""A canary's evidence and its judge: honest whenever they are looked at, and as quick as the design says."""

import math
import random
import statistics
from collections.abc import Callable, Iterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from patchbay.router.canary.evidence import Mean, Rate, Ratio, no_worse, rejected, worse
from patchbay.router.canary.judge import Continue, PlanPosition, Promote, RollBack, StepOn, judge
from patchbay.router.canary.ledger import Counts, Ledger
from patchbay.router.canary.plan import MetricConfig, PlanConfig, StepConfig, ready_plans
from patchbay.router.canary.simulate import SimulatedWorld, simulate

SHARES = st.floats(0.001, 0.9)
ALPHA = 0.01
PLAN = PlanConfig(
    steps=(StepConfig(weight=10, hold_s=10, samples=20), StepConfig(weight=50, hold_s=10, samples=20)),
    metrics={"errors": MetricConfig(tolerated=1.2, most=0.1, margin=2, few=0.1)},
    win_margin=0.05,
)


def falls_on_canary(ratio: float, share: float) -> float:
    return share * ratio / (share * ratio + 1 - share)


@given(tolerated=st.floats(1, 4), true=st.floats(0.01, 1), share=SHARES)
@settings(max_examples=300)
def test_a_canary_that_is_no_worse_makes_a_bet_on_its_being_worse_grow(
    tolerated: float, true: float, share: float
) -> None:
    bet = worse(tolerated)
    assert grows(bet, true * tolerated, share) <= 1 + 1e-9


@given(margin=st.floats(1.05, 6), over=st.floats(1, 50), share=SHARES)
@settings(max_examples=300)
def test_a_canary_that_is_worse_than_its_margin_makes_a_bet_on_its_being_good_grow(
    margin: float, over: float, share: float
) -> None:
    assert grows(no_worse(margin), margin * over, share) <= 1 + 1e-9


def grows(bet: Ratio, true: float, share: float) -> float:
    """What is expected of the evidence after one bad event, of 1."""
    own = falls_on_canary(true, share)
    hit, miss = bet.after(bet.start, 1, 0, share), bet.after(bet.start, 0, 1, share)
    return own * hit.e + (1 - own) * miss.e


@given(bound=st.floats(0.02, 0.98), low=st.floats(0, 1), chance=st.floats(0, 1), above=st.booleans())
@settings(max_examples=300)
def test_a_mean_on_the_right_side_of_its_bound_makes_a_bet_against_it_grow(
    bound: float, low: float, chance: float, above: bool
) -> None:
    values = {low: chance, 1.0: 1 - chance} if low < 1 else {1.0: 1.0}
    mean = sum(value * part for value, part in values.items())
    assume(mean <= bound if above else mean >= bound)
    bet = Mean(bound, above=above)
    expected = sum(part * bet.after(bet.start, {value: 1}).e for value, part in values.items())
    assert expected <= 1 + 1e-9


@given(most=st.floats(0.001, 0.6), true=st.floats(0, 1))
@settings(max_examples=300)
def test_a_rate_below_its_most_makes_a_bet_on_its_being_above_grow(most: float, true: float) -> None:
    bet, rate = Rate(most), true * most
    expected = rate * bet.after(bet.start, 1, 0).e + (1 - rate) * bet.after(bet.start, 0, 1).e
    assert expected <= 1 + 1e-9


@given(events=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=20), share=SHARES)
def test_the_evidence_depends_on_how_often_it_is_looked_at(events: list[tuple[int, int]], share: float) -> None:
    bet = worse(1.3)
    bit_by_bit = bet.start
    for canary, other in events:
        bit_by_bit = bet.after(bit_by_bit, canary, other, share)
    at_once = bet.after(bet.start, sum(one for one, _ in events), sum(one for _, one in events), share)
    assert math.isclose(bit_by_bit.log_e, at_once.log_e, rel_tol=1e-9, abs_tol=1e-9)


def until_rejected(rng: random.Random, own: float, others: float, share: float, most: int) -> int | None:
    """The canary's requests until it is rejected at ALPHA, looked at after each one; None where it is not."""
    bet = worse(1.0)
    wealth, seen, needed = bet.start, 0, math.log(1 / ALPHA)
    for _ in range(most):
        canary = rng.random() < share
        seen += canary
        if rng.random() < (own if canary else others):
            wealth = bet.after(wealth, int(canary), int(not canary), share)
            if wealth.log_e >= needed:
                return seen
    return None


@pytest.mark.parametrize(("own", "median", "p90"), [(0.05, 141, 325), (0.30, 13, None)])
def test_a_bad_canary_is_found_later_than_the_design_says(own: float, median: int, p90: int | None) -> None:
    rng = random.Random("detection")  # noqa: S311 - dice
    took = sorted(until_rejected(rng, own, 0.01, 0.1, 10**6) or 0 for _ in range(1500))
    assert abs(statistics.median(took) - median) <= 0.2 * median
    if p90 is not None:
        assert abs(took[int(len(took) * 0.9)] - p90) <= 0.2 * p90


def steady(place: float) -> tuple[float, float]:
    return 0.01, 0.1


def drifting(place: float) -> tuple[float, float]:
    return 0.005 + 0.02 * place, 0.1


def ramp_with_an_incident(place: float) -> tuple[float, float]:
    """All are worse for a while, in the midst of which the canary's share grows."""
    return (0.2 if 0.4 < place < 0.6 else 0.01), (0.05 if place < 0.5 else 0.25)


@pytest.mark.parametrize("world", [steady, drifting, ramp_with_an_incident])
def test_a_good_canary_is_rolled_back_more_often_than_alpha(world: Callable[[float], tuple[float, float]]) -> None:
    """Each of 100,000 requests is looked at. What is rejected wrongly in 400 runs stays within four times the deviation
    that alpha itself would have."""
    rng, bet, wrong = random.Random("false"), worse(1.0), 0  # noqa: S311 - dice
    runs, requests, blocks = 400, 100_000, 200
    for _ in range(runs):
        wealth = bet.start
        for block in range(blocks):
            rate, share = world(block / blocks)
            for _ in range(bad_of(requests // blocks, rate, rng)):
                canary = rng.random() < share
                wealth = bet.after(wealth, int(canary), int(not canary), share)
                if wealth.log_e >= math.log(1 / ALPHA):
                    break
            else:
                continue
            wrong += 1
            break
    assert wrong / runs <= ALPHA + 4 * math.sqrt(ALPHA / runs)


def bad_of(count: int, rate: float, rng: random.Random) -> int:
    """How many of `count` are bad: a normal's place where there are many, the dice where there are few."""
    mean = count * rate
    return max(0, round(rng.gauss(mean, math.sqrt(mean * (1 - rate)))))


def test_who_comes_often_counts_once_or_alpha_means_nothing() -> None:
    """Where a caller's requests share a fate, each counted by itself lets errors through far above alpha; the first one
    of each alone does not."""
    rng, bet = random.Random("sticky"), worse(1.0)  # noqa: S311 - dice
    wrong = {"first": 0, "every": 0}
    for _ in range(300):
        wealth = dict.fromkeys(wrong, bet.start)
        over = set[str]()
        for _ in range(2_000):
            if rng.random() >= 0.03:
                continue
            canary = int(rng.random() < 0.1)
            for name, times in (("first", 1), ("every", rng.randint(1, 12))):
                wealth[name] = bet.after(wealth[name], canary * times, (1 - canary) * times, 0.1)
                if wealth[name].log_e >= math.log(1 / ALPHA):
                    over.add(name)
        for name in over:
            wrong[name] += 1
    assert wrong["first"] <= 9
    assert wrong["every"] > 30


@given(values=st.dictionaries(st.text("abcdefgh", min_size=1, max_size=2), st.floats(0, 1e6), max_size=12))
def test_slices_are_rejected_that_the_rule_does_not_reject(values: dict[str, float]) -> None:
    found = rejected(values, 0.1)
    for count in range(1, len(values) + 1):
        best = sorted(values, key=lambda name: -values[name])[:count]
        if values[best[-1]] >= len(values) / (count * 0.1):
            assert set(best) <= found
    assert all(values[name] >= len(values) / (len(found) * 0.1) for name in found)


def ledger(*counts: Counts, plan: PlanConfig = PLAN) -> Ledger:
    made = Ledger.opened(plan)
    for one in counts:
        made = made.after(plan, one)
    return made


@given(now_s=st.floats(0, 1e6), step=st.integers(0, 1), undecided=st.sampled_from(["hold", "promote", "roll_back"]))
def test_without_a_request_something_is_decided(now_s: float, step: int, undecided: str) -> None:
    plan = PLAN.model_copy(update={"undecided": undecided})
    verdict = judge(plan, Ledger.opened(plan), PlanPosition(step=step, began_s=0, step_s=0, samples=0), now_s)
    assert isinstance(verdict, Continue)


@given(other=st.integers(0, 100_000), bad=st.integers(0, 50))
def test_without_a_request_of_the_canary_the_others_errors_decide(other: int, bad: int) -> None:
    counted = ledger(Counts(share=0.1, canary=0, other=max(other, bad), bad={"errors": (0, bad)}))
    assert isinstance(judge(PLAN, counted, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 1000.0), Continue)


def test_a_canary_steps_on_before_its_time_or_its_samples() -> None:
    counted = ledger(Counts(share=0.1, canary=19, other=180))
    assert isinstance(judge(PLAN, counted, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 60.0), Continue)
    counted = counted.after(PLAN, Counts(share=0.1, canary=5, other=40))
    assert isinstance(judge(PLAN, counted, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 9.0), Continue)
    assert judge(PLAN, counted, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 10.0) == StepOn(
        1, "no worse so far on 24 requests"
    )
    assert isinstance(judge(PLAN, counted, PlanPosition(step=1, began_s=0, step_s=10, samples=24), 30.0), Continue)


def test_a_gate_is_passed_by_nobody() -> None:
    gated = PLAN.model_copy(update={"steps": (PLAN.steps[0], StepConfig(weight=50, gate=True))})
    counted = ledger(Counts(share=0.1, canary=50, other=400), plan=gated)
    assert isinstance(judge(gated, counted, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 60.0), Continue)
    assert isinstance(
        judge(gated, counted, PlanPosition(step=0, began_s=0, step_s=0, samples=0, passed=True), 60.0), StepOn
    )


def test_a_bad_canary_waits_for_its_step_to_end() -> None:
    counted = ledger(Counts(share=0.1, canary=12, other=100, bad={"errors": (10, 1)}))
    verdict = judge(PLAN, counted, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 0.5)
    assert isinstance(verdict, RollBack)
    assert verdict.metric == "errors"
    assert verdict.e >= verdict.needed


def test_a_baseline_without_an_error_hides_a_bad_canary() -> None:
    counted = ledger(Counts(share=0.1, canary=40, other=400, bad={"errors": (25, 0)}))
    assert isinstance(judge(PLAN, counted, PlanPosition(step=0, began_s=0, step_s=0, samples=0), 0.5), RollBack)


def test_losing_pairs_count_for_nothing() -> None:
    plan = PLAN.model_copy(update={"win_margin": 0.05})
    losing = ledger(
        *(Counts(share=0.1, canary=10, other=90, bad={}, wins={0.0: 8, 0.5: 1, 1.0: 1}) for _ in range(12)), plan=plan
    )
    assert isinstance(judge(plan, losing, PlanPosition(step=1, began_s=0, step_s=0, samples=0), 1.0), RollBack)


def test_a_canary_is_promoted_before_all_of_it_is_shown() -> None:
    steady_ = [Counts(share=0.5, canary=100, other=100, bad={"errors": (1, 1)}) for _ in range(20)]
    without_pairs = ledger(*steady_)
    verdict = judge(PLAN, without_pairs, PlanPosition(step=1, began_s=0, step_s=0, samples=0), 100.0)
    assert isinstance(verdict, Continue)
    assert "wins" in verdict.reason
    pairs = without_pairs.after(PLAN, Counts(share=0.5, canary=0, other=0, bad={}, wins={0.5: 100, 1.0: 120, 0.0: 80}))
    assert isinstance(judge(PLAN, pairs, PlanPosition(step=1, began_s=0, step_s=0, samples=0), 100.0), Promote)


@pytest.mark.parametrize("name", list(ready_plans()))
def test_a_ready_plan_cannot_be_passed_or_rolled_back_by(name: str) -> None:
    plan = ready_plans()[name]
    ungated = plan.model_copy(update={"steps": tuple(one.model_copy(update={"gate": False}) for one in plan.steps)})
    good = SimulatedWorld(bad={"errors": (0.01, 0.01), "ttft": (0.05, 0.05)}, per_s=20, tick_s=5)
    bad = SimulatedWorld(bad={"errors": (0.01, 0.3), "ttft": (0.05, 0.05)}, per_s=20, tick_s=1)
    assert simulate(ungated, good, runs=5, seed=1).promoted >= 0.8
    assert simulate(ungated, bad, runs=5, seed=1).rolled_back == 1.0


def test_evidence_grows_about_as_fast_as_that_of_the_papers_own_mixture() -> None:
    """The oracle is the Dirichlet mixture of Lindon and Malek (arXiv 2011.03567, as the package savvi has it), which
    needs no guess of how much worse a canary may be, and so should be no quicker where it is as bad as we bet on."""
    share, truth = 0.1, falls_on_canary(5.0, 0.1)
    ours, theirs = [], []
    for seed in range(200):
        rng = random.Random(seed)  # noqa: S311 - dice
        falls = [rng.random() < truth for _ in range(400)]
        ours.append(first(100.0, bets(falls, share)))
        theirs.append(first(100.0, mixtures(falls, share)))
    assert statistics.median(ours) <= statistics.median(theirs)
    assert statistics.quantiles(ours, n=10)[8] <= 1.1 * statistics.quantiles(theirs, n=10)[8]


def bets(falls: list[bool], share: float) -> Iterator[float]:
    bet = worse(1.0)
    wealth = bet.start
    for canary in falls:
        wealth = bet.after(wealth, int(canary), int(not canary), share)
        yield wealth.e


def mixtures(falls: list[bool], share: float) -> Iterator[float]:
    own, rest = 10 * share, 10 * (1 - share)
    log_odds = 0.0
    for canary in falls:
        log_odds += math.log((own if canary else rest) / (own + rest)) - math.log(share if canary else 1 - share)
        own, rest = own + canary, rest + (not canary)
        yield math.exp(min(log_odds, 700.0))


def first(needed: float, evidence: Iterator[float]) -> int:
    """How many events it takes until the evidence is `needed`."""
    return next((number for number, e in enumerate(evidence, 1) if e >= needed), 10_000)
