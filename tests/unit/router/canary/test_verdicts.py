"""The judge's verdicts, word for word: replays compare them, so other words would make old looks differ."""

import math
from dataclasses import replace
from typing import Any

import pytest

from patchbay.router.canary.evidence import Wealth
from patchbay.router.canary.judge import (
    Continue,
    PlanPosition,
    Promote,
    RollBack,
    StepOn,
    Verdict,
    harmless,
    judge,
    to_show,
    too_often,
)
from patchbay.router.canary.ledger import Counts, Ledger
from patchbay.router.canary.plan import PlanConfig
from tests.unit.router.canary.build import ERRORS, NOON_S, PLAN, counted, ledger, place, planned

GATED = planned(steps=[{"weight": 10, "hold_s": 30, "samples": 20, "gate": True}, {"weight": 50, "gate": True}])
COPYING = planned(shadow={"samples": 10})
LATER_S = NOON_S + 100
TO_GO = "somebody has to let it go on to 50% (`patchbay canary resume`)"


@pytest.mark.parametrize(
    ("plan", "counts", "at", "now_s", "verdict"),
    [
        (PLAN, [], place(), LATER_S, Continue("no request has reached the canary yet, so there is nothing to judge")),
        (PLAN, [counted(19, 100)], place(), LATER_S, Continue("19 of 20 requests of this step", 1)),
        (PLAN, [counted(29, 100)], place(samples=10), LATER_S, Continue("19 of 20 requests of this step", 1)),
        (PLAN, [counted(20, 100)], place(), NOON_S + 10, Continue("this step lasts for 20 s more")),
        (PLAN, [counted(20, 100)], place(), NOON_S + 30, StepOn(1, "no worse so far on 20 requests")),
        (PLAN, [counted(20, 100)], place(paused=True), LATER_S, Continue("it is paused")),
        (PLAN, [counted(20, 100)], place(step_s=LATER_S), LATER_S, Continue("this step lasts for 30 s more")),
        (GATED, [], place(-1, passed=True), NOON_S, StepOn(0, "it has its first share from now on")),
        (
            GATED,
            [],
            place(-1),
            NOON_S,
            Continue("somebody has to let it go on to 10% (`patchbay canary resume`)"),
        ),
        (GATED, [counted(20, 9)], place(), LATER_S, Continue(TO_GO)),
        (GATED, [counted(20, 9)], place(passed=True), LATER_S, StepOn(1, "no worse so far on 20 requests")),
        (COPYING, [], place(-1), NOON_S, Continue("0 of 10 copies", 10)),
        (COPYING, [Counts(share=0, canary=9, shadowed=9)], place(-1), NOON_S, Continue("9 of 10 copies", 1)),
        (
            COPYING,
            [Counts(share=0, canary=10, shadowed=10)],
            place(-1),
            NOON_S,
            StepOn(0, "no worse so far on 10 requests"),
        ),
        (
            planned(blackout=["11:00-13:00"]),
            [counted(20, 9)],
            place(),
            LATER_S,
            Continue("it neither grows nor is promoted within the plan's blackout"),
        ),
    ],
)
def test_a_canary_that_is_not_worse_goes_on_by_its_plan(
    plan: PlanConfig, counts: list[Counts], at: PlanPosition, now_s: float, verdict: Verdict
) -> None:
    assert judge(plan, ledger(*counts, plan=plan), at, now_s) == verdict


def test_evidence_against_it_rolls_a_canary_back_wherever_it_is() -> None:
    plan = planned(metrics={"errors": {"tolerated": 1.5, "margin": 2.5}})
    known = ledger(counted(40, 40, (30, 1)), plan=plan)
    for at in (place(), place(paused=True), place(1), place(-1)):
        verdict = judge(plan, known, at, NOON_S)
        assert isinstance(verdict, RollBack)
        said = "30 of the canary's 40 were bad, 1 of 40 others; at most 1.5 times as often is tolerated"
        assert (verdict.metric, verdict.reason, verdict.needed) == ("errors", said, 100.0)
        assert verdict.e == known.metrics["errors"].worse.e >= 100


def test_a_rate_above_what_is_allowed_rolls_back_where_the_others_fare_better() -> None:
    plan = planned(metrics={"errors": {"tolerated": 6, "margin": 7, "most": 0.2}})
    known = ledger(*[counted(10, 10, (7, 2))] * 6, plan=plan)
    verdict = judge(plan, known, place(), NOON_S)
    assert isinstance(verdict, RollBack)
    assert verdict.reason == "42 of the canary's 60 were bad, 12 of 60 others; at most 20.00% is allowed"
    metric = known.metrics["errors"]
    assert metric.above is not None
    assert verdict.e == min(metric.above.e, metric.differs.e)


def test_a_breaker_that_tripped_rolls_back_by_its_own_reason() -> None:
    known = ledger(Counts(share=0.5, tripped="5 of its callers got errors"))
    needed = PLAN.needed
    assert judge(PLAN, known, place(), NOON_S) == RollBack(
        metric="breaker", reason="5 of its callers got errors", e=needed, needed=needed
    )


def test_pairs_that_it_loses_roll_a_canary_back() -> None:
    plan = planned(win_margin=0.1)
    known = ledger(Counts(share=0.5, canary=30, wins={0.0: 40, 0.5: 2, 1.0: 1}), plan=plan)
    verdict = judge(plan, known, place(), NOON_S)
    assert isinstance(verdict, RollBack)
    assert (verdict.metric, verdict.reason) == ("wins", "it loses too many of 43 pairs")
    assert verdict.needed == plan.needed == 300.0


def test_what_is_bad_in_one_slice_only_rolls_back_by_the_half_of_alpha_that_is_theirs() -> None:
    plan = planned(slices=["tenant"], metrics={"errors": {"tolerated": 1.5, "margin": 2.5}})
    hurt = Counts(share=0.5, canary=400, other=400, bad={"errors": (20, 20), "errors@tenant=acme": (15, 0)})
    known = ledger(hurt, plan=plan)
    verdict = judge(plan, known, place(), NOON_S)
    assert isinstance(verdict, RollBack)
    assert (verdict.metric, verdict.needed) == ("errors", 200.0)
    assert "tenant=acme" in verdict.reason
    assert verdict.e == pytest.approx(known.slices["errors@tenant=acme"].e)
    few = Counts(share=0.5, canary=400, other=400, bad={"errors": (20, 20), "errors@tenant=acme": (4, 0)})
    assert not isinstance(judge(plan, ledger(few, plan=plan), place(), NOON_S), RollBack)


def good(looks: int = 20, plan: PlanConfig = PLAN) -> Ledger:
    """Of a canary that is shown to be no worse."""
    return ledger(*[counted(100, 100, (3, 4))] * looks, plan=plan)


def test_a_canary_is_promoted_in_its_last_step_when_every_metric_is_shown() -> None:
    assert judge(PLAN, good(), place(1), LATER_S) == Promote(
        "on 2000 requests nothing is worse by more than its margin"
    )
    assert judge(PLAN, good(), place(1), NOON_S + 59) == Continue("this step lasts for 1 s more")
    blackout = planned(blackout=["11:00-13:00"])
    assert isinstance(judge(blackout, good(), place(1), LATER_S), Continue)


def test_a_canary_that_is_not_shown_yet_goes_on_and_says_about_how_long() -> None:
    verdict = judge(PLAN, ledger(counted(50, 50, (3, 3))), place(1), LATER_S)
    assert isinstance(verdict, Continue)
    assert verdict.reason == "not yet shown to be no worse: errors"
    assert verdict.more is not None
    later = judge(PLAN, ledger(*[counted(50, 50, (3, 3))] * 3), place(1), LATER_S)
    assert isinstance(later, Continue)
    assert later.more is not None
    assert later.more < verdict.more


def test_what_is_too_rare_to_compare_is_promoted_and_said_to_be() -> None:
    verdict = judge(PLAN, ledger(*[counted(100, 100)] * 3), place(1), LATER_S)
    assert isinstance(verdict, Promote)
    said = "on 300 requests nothing is worse by more than its margin"
    rare = "too rare to be compared, and below what does harm: errors"
    assert verdict.reason.startswith(f"{said}; {rare} (about ")
    assert verdict.reason.endswith(" more would tell)")


def test_pairs_must_be_shown_too() -> None:
    plan = planned(win_margin=0.1)
    verdict = judge(plan, good(plan=plan), place(1), LATER_S)
    assert isinstance(verdict, Continue)
    assert verdict.reason == "not yet shown to be no worse: wins"
    fair = Counts(share=0.5, wins={0.5: 600})
    held = good(plan=plan).after(plan, fair)
    assert isinstance(judge(plan, held, place(1), LATER_S), Promote)


OVER_S = NOON_S + 600
OVER = "undecided after 600 s and 30 requests"


@pytest.mark.parametrize(
    ("changes", "at", "verdict"),
    [
        ({}, place(), Continue(f"{OVER}: it holds until somebody decides")),
        (
            {"undecided": "roll_back"},
            place(),
            RollBack(metric="time", reason=f"{OVER}, and the plan says to roll back then", e=1.0, needed=200.0),
        ),
        ({"undecided": "promote"}, place(), Promote(f"{OVER}, and the plan says to promote then")),
        (
            {"undecided": "promote", "blackout": ["11:00-13:00"]},
            place(),
            Continue(f"{OVER}: it neither grows nor is promoted within the plan's blackout"),
        ),
        (
            {"undecided": "promote", "steps": [{"weight": 10}, {"weight": 50, "gate": True}]},
            place(),
            Continue(f"{OVER}: {TO_GO}"),
        ),
        (
            {"undecided": "promote", "steps": [{"weight": 10}, {"weight": 50, "gate": True}]},
            place(passed=True),
            Promote(f"{OVER}, and the plan says to promote then"),
        ),
        (
            {"undecided": "promote", "steps": [{"weight": 5}, {"weight": 10}, {"weight": 50, "gate": True}]},
            place(passed=True),
            Continue(f"{OVER}: {TO_GO}"),
        ),
    ],
)
def test_at_the_end_of_its_time_the_plan_says_what_becomes_of_a_canary(
    changes: dict[str, Any], at: PlanPosition, verdict: Verdict
) -> None:
    plan = planned(**changes)
    known = ledger(counted(30, 30, (1, 1)), plan=plan)
    assert judge(plan, known, at, OVER_S) == verdict
    assert judge(plan, known, at, OVER_S - 1) != verdict


def test_without_a_request_time_promotes_nothing_and_rolls_back_only_before_the_first_step() -> None:
    said = "undecided after 600 s and 0 requests: it holds until somebody decides"
    promote, back = planned(undecided="promote"), planned(undecided="roll_back")
    assert judge(promote, ledger(), place(), OVER_S) == Continue(said)
    assert judge(back, ledger(), place(), OVER_S) == Continue(said)
    assert isinstance(judge(back, ledger(), place(-1), OVER_S), RollBack)


def test_enough_evidence_promotes_at_the_end_from_the_last_step_as_before() -> None:
    assert isinstance(judge(PLAN, good(), place(1), OVER_S), Promote)
    assert judge(PLAN, good(), place(0), OVER_S) == Continue(
        "undecided after 600 s and 2000 requests: it holds until somebody decides"
    )


def test_a_pause_holds_beyond_the_end_of_its_time() -> None:
    assert judge(planned(undecided="promote"), good(), place(paused=True), OVER_S) == Continue("it is paused")


def test_what_is_shown_is_tested_at_half_of_its_alpha() -> None:
    assert to_show(PLAN) == math.log(2 / 0.05)
    assert to_show(planned(promote_alpha=0.1)) == math.log(20)


def test_a_metric_does_no_harm_only_while_nothing_hints_that_it_is_worse() -> None:
    metric = good().metrics["errors"]
    assert harmless(metric) is metric.below
    assert harmless(replace(metric, differs=Wealth((math.log(3.001),)))) is None
    assert harmless(replace(metric, differs=Wealth((math.log(2.999),)))) is metric.below


def test_a_rate_of_its_own_counts_for_no_more_than_its_difference_to_the_others() -> None:
    known = ledger(counted(10, 10, (5, 1)))
    metric = known.metrics["errors"]
    low, high = Wealth((1.0,)), Wealth((2.0,))
    assert too_often(known, replace(metric, above=high, differs=low)) is low
    assert too_often(known, replace(metric, above=low, differs=high)) is low
    assert too_often(known, replace(metric, above=None)) is None
    copied = replace(known, canary=10, shadowed=10)
    assert too_often(copied, replace(metric, above=high, differs=low)) is high


def test_a_threshold_counts_each_metric_each_most_and_the_pairs() -> None:
    assert (PLAN.tests, PLAN.needed) == (2, 200.0)
    assert planned(metrics={"errors": ERRORS, "empty": {}}).tests == 3
    assert planned(win_margin=0.1).tests == 3
    assert planned(slices=["tenant"]).needed == 400.0
