"""The looks that are stored of a canary, phase by phase: what changes, what is said, and what is not worth a note."""

import math
from datetime import timedelta
from typing import Any

import pytest

from patchbay.registry.canary_records import CanaryPhase, CanaryRecord, CanaryTally, LookDraft
from patchbay.registry.records import Rollout, RolloutState
from patchbay.router.canary.ledger import CallersSeen, Counts, Ledger
from patchbay.router.canary.phases import (
    CanarySurroundings,
    evidence_of,
    next_phase,
    no_worse_of,
    place_of,
    verdict_json,
    with_tallies,
)
from patchbay.router.canary.plan import PlanConfig
from tests.unit.router.canary.build import NOON, NOON_S, PLAN, counted, ledger, place, planned, record

LATER = NOON + timedelta(seconds=100)


def rollout(state: RolloutState = "pending", reason: str | None = None) -> Rollout:
    return Rollout(
        id=1,
        adapter="sql",
        channel="stable",
        number=9,
        expected=3,
        state=state,
        reason=reason,
        actor="ann",
        why=None,
        created_at=NOON,
        updated_at=NOON,
    )


def around(moving: Rollout | None = None, **changes: Any) -> CanarySurroundings:
    return CanarySurroundings(**{"rollout": moving, "stable": 3, "now": LATER, **changes})


def tally(*counts: Counts) -> tuple[CanaryTally, ...]:
    return tuple(
        CanaryTally(id=number, canary=7, source="r1", counts=one.as_json, at=NOON) for number, one in enumerate(counts)
    )


def look(
    canary: CanaryRecord,
    world: CanarySurroundings,
    known: Ledger | None = None,
    tallies: tuple[CanaryTally, ...] = (),
    plan: PlanConfig = PLAN,
) -> LookDraft | None:
    return next_phase(canary, plan, known or Ledger.opened(plan), tallies, world)


def changed(
    canary: CanaryRecord, world: CanarySurroundings, known: Ledger | None = None, plan: PlanConfig = PLAN
) -> tuple[Any, ...]:
    """What a look changes, the audit's name for it, and whether `stable` moves and `canary` is emptied."""
    found = look(canary, world, known, plan=plan)
    assert found is not None
    return dict(found.changes), found.action, found.promote, found.clear


ON_ITS_WAY = "its revision goes to every replica and is tested there"


@pytest.mark.parametrize(
    ("moving", "world", "changes", "action"),
    [
        (rollout("pending"), {}, {"phase": "warming", "reason": ON_ITS_WAY}, "canary.warm"),
        (rollout("testing", "r2 loads it"), {}, {"phase": "warming", "reason": "r2 loads it"}, "canary.warm"),
        (None, {"pool_waits": "no replica"}, {"phase": "warming", "reason": "no replica"}, "canary.warm"),
        (
            rollout("failed", "r2 refused it"),
            {},
            {
                "phase": "failed",
                "reason": "it did not come to serve: r2 refused it",
                "weight": 0.0,
                "ended_at": LATER,
            },
            "canary.failed",
        ),
        (
            rollout("superseded"),
            {},
            {"phase": "failed", "reason": "it did not come to serve: superseded", "weight": 0.0, "ended_at": LATER},
            "canary.failed",
        ),
        (
            None,
            {"refused": "no such metric"},
            {"phase": "failed", "reason": "no such metric", "weight": 0.0, "ended_at": LATER},
            "canary.failed",
        ),
        *(
            (
                done,
                {},
                {
                    "phase": "running",
                    "weight": 10.0,
                    "began_at": LATER,
                    "step_at": LATER,
                    "rollout": None,
                    "reason": "10% of callers",
                },
                "canary.run",
            )
            for done in (None, rollout("done"))
        ),
    ],
)
@pytest.mark.parametrize("phase", ["pending", "warming"])
def test_a_canary_runs_once_its_revision_serves_everywhere(
    phase: CanaryPhase, moving: Rollout | None, world: dict[str, Any], changes: dict[str, Any], action: str
) -> None:
    over = action == "canary.failed"
    assert changed(record(phase=phase), around(moving, **world)) == (changes, action, False, over)


def test_what_a_warming_canary_waits_for_is_noted_once() -> None:
    waiting = record(phase="warming", reason=ON_ITS_WAY)
    assert look(waiting, around(rollout())) is None
    assert look(record(phase="pending", reason=ON_ITS_WAY), around(rollout())) is not None
    assert look(waiting, around(rollout(reason="r2 loads it"))) is not None


@pytest.mark.parametrize(
    ("plan", "weight", "reason"),
    [
        (planned(shadow={}), 0.0, "it answers copies of requests"),
        (
            planned(steps=[{"weight": 5, "gate": True}]),
            0.0,
            "somebody has to let it begin with 5% (`patchbay canary resume`)",
        ),
        (planned(steps=[{"weight": 2.5}]), 2.5, "2.5% of callers"),
    ],
)
def test_a_canary_begins_with_copies_behind_its_gate_or_with_its_first_share(
    plan: PlanConfig, weight: float, reason: str
) -> None:
    changes, *_ = changed(record(phase="pending"), around(), plan=plan)
    assert (changes["weight"], changes["reason"]) == (weight, reason)


@pytest.mark.parametrize(
    ("moving", "phase", "reason"),
    [
        (None, "promoted", "10% of callers"),
        (rollout("done"), "promoted", "10% of callers"),
        (rollout("failed", "r2 died"), "failed", "it was not promoted: r2 died"),
        (rollout("superseded"), "failed", "it was not promoted: superseded"),
    ],
)
def test_a_promotion_ends_as_its_rollout_does(moving: Rollout | None, phase: str, reason: str) -> None:
    changes = {"phase": phase, "reason": reason, "weight": 0.0, "ended_at": LATER}
    assert changed(record(phase="promoting"), around(moving)) == (changes, f"canary.{phase}", False, True)


@pytest.mark.parametrize("state", ["pending", "staging", "testing"])
def test_a_promotion_under_way_is_waited_for(state: RolloutState) -> None:
    assert look(record(phase="promoting"), around(rollout(state))) is None


@pytest.mark.parametrize("phase", ["promoted", "rolling_back", "rolled_back", "failed"])
def test_nothing_follows_for_a_canary_that_has_ended(phase: CanaryPhase) -> None:
    assert look(record(phase=phase), around(stable=None, blind="gone"), ledger(counted(9, 9, (9, 0)))) is None


@pytest.mark.parametrize("stable", [None, 4, 2])
def test_a_canary_ends_when_stable_means_another_revision_than_at_its_start(stable: int | None) -> None:
    reason = "'stable' was moved meanwhile, so there is nothing to compare with"
    changes = {"phase": "failed", "reason": reason, "weight": 0.0, "ended_at": LATER}
    assert changed(record(), around(stable=stable)) == (changes, "canary.failed", False, True)
    assert look(record(pool="next"), around(stable=stable)) is None


def test_without_data_a_canary_stays_as_it_is_and_that_is_noted_once() -> None:
    bad = ledger(counted(40, 40, (30, 1)))
    changes = {"reason": "no data: Prometheus is away"}
    assert changed(record(), around(blind="Prometheus is away"), bad) == (changes, "canary.blind", False, False)
    assert look(record(reason="no data: Prometheus is away"), around(blind="Prometheus is away"), bad) is None
    tripped = ledger(Counts(share=0.5, tripped="it fails"))
    changes, action, *_ = changed(record(), around(blind="Prometheus is away"), tripped)
    assert (changes["reason"], action) == ("breaker: it fails", "canary.roll_back")


@pytest.mark.parametrize("cut", [False, True])
def test_a_worse_canary_is_rolled_back_with_its_metric_and_its_answers_are_cut_where_that_says_so(cut: bool) -> None:
    plan = planned(metrics={"errors": {"tolerated": 1.5, "margin": 2.5, "cut": cut}})
    said = "30 of the canary's 40 were bad, 1 of 40 others; at most 1.5 times as often is tolerated"
    changes = {"phase": "rolling_back", "reason": f"errors: {said}", "weight": 0.0, "cut": cut}
    known = ledger(counted(40, 40, (30, 1)), plan=plan)
    assert changed(record(), around(rollout()), known, plan) == (changes, "canary.roll_back", False, True)


def test_a_breaker_cuts_no_answers() -> None:
    changes, *_ = changed(record(), around(), ledger(Counts(share=0.5, tripped="it fails")))
    assert changes["cut"] is False


def test_a_step_is_taken_with_its_time_and_its_requests() -> None:
    known = ledger(counted(25, 100))
    changes = {
        "step": 1,
        "weight": 50.0,
        "step_at": LATER,
        "samples": 25,
        "passed": False,
        "reason": "50% of callers: no worse so far on 25 requests",
    }
    assert changed(record(), around(rollout("done")), known) == (changes, "canary.step", False, False)


def test_a_canary_waits_for_another_revision_on_its_way_to_stable() -> None:
    known, reason = ledger(counted(25, 100)), "sql@9 is on its way to 'stable', and this waits for that"
    assert changed(record(), around(rollout()), known) == ({"reason": reason}, "canary.wait", False, False)
    assert look(record(reason=reason), around(rollout()), known) is None


def test_a_canary_that_is_shown_is_promoted() -> None:
    known = ledger(*[counted(100, 100, (3, 4))] * 20)
    changes = {"phase": "promoting", "reason": "on 2000 requests nothing is worse by more than its margin"}
    last = record(step=1, weight=50.0)
    assert changed(last, around(), known) == (changes, "canary.promote", True, False)


def held(canary: CanaryRecord, *, seen: bool, plan: PlanConfig = PLAN, **world: Any) -> LookDraft | None:
    known = ledger(counted(5, 5), plan=plan)
    return look(canary, around(**world), known, tally(counted(5, 5)) if seen else (), plan)


def test_new_requests_are_noted_now_and_then_and_nothing_without_them() -> None:
    assert held(record(), seen=False) is None
    found = held(record(), seen=True)
    assert found is not None
    assert (dict(found.changes), found.action, found.verdict["kind"]) == ({}, None, "hold")


@pytest.mark.parametrize(
    ("age_s", "since_s", "due"),
    [
        (10, 0.9, False),
        (10, 1.0, True),
        (300, 4.9, False),
        (300, 5.0, True),
        (90_000, 29.9, False),
        (90_000, 30.0, True),
    ],
)
def test_looks_that_change_nothing_are_fewer_the_longer_a_canary_lasts(age_s: float, since_s: float, due: bool) -> None:
    canary = record(began_at=LATER - timedelta(seconds=age_s), updated_at=LATER - timedelta(seconds=since_s))
    plan = planned(max_s=1_000_000)
    assert (held(canary, seen=True, plan=plan) is not None) is due


def test_the_end_of_its_time_and_a_gate_are_noted_once() -> None:
    over = held(record(began_at=NOON - timedelta(hours=1)), seen=False)
    assert over is not None
    assert over.changes["reason"].startswith("undecided after 600 s")
    assert held(record(began_at=NOON - timedelta(hours=1), reason=over.changes["reason"]), seen=False) is None
    gated = planned(steps=[{"weight": 10, "samples": 5, "hold_s": 0}, {"weight": 50, "gate": True}])
    gate = held(record(), seen=False, plan=gated)
    assert gate is not None
    assert gate.changes["reason"] == "somebody has to let it go on to 50% (`patchbay canary resume`)"
    assert held(record(reason=gate.changes["reason"]), seen=False, plan=gated) is None


def test_data_that_is_there_again_is_noted() -> None:
    found = held(record(reason="no data: gone"), seen=False)
    assert found is not None
    assert found.changes == {"reason": "10% of callers"}
    paused = held(record(phase="paused", reason="no data: gone", paused_by="ann: lunch"), seen=False)
    assert paused is not None
    assert paused.changes == {"reason": "paused by ann: lunch"}


def test_a_look_keeps_its_tallies_folded_and_the_ledger_after_them() -> None:
    tallies = tally(counted(5, 5), counted(3, 2, (1, 0)), counted(1, 1, share=0.1))
    known = with_tallies(PLAN, Ledger.opened(PLAN), tallies)
    found = look(record(), around(), known, tallies)
    assert found is not None
    assert found.folded is not None
    assert [(one["share"], one["canary"], one["other"]) for one in found.folded] == [(0.1, 1, 1), (0.5, 8, 7)]
    assert found.checkpoint == known.as_json
    assert (known.canary, known.other, known.metrics["errors"].canary) == (9, 8, 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, place()),
        ({"step": 1, "samples": 30, "passed": True}, place(1, samples=30, passed=True)),
        ({"weight": 0.0}, place(-1)),
        ({"began_at": None, "step_at": None}, place()),
        ({"paused_s": 40.0}, place(began_s=NOON_S + 40)),
        (
            {"phase": "paused", "paused_at": NOON + timedelta(seconds=60), "paused_s": 5.0},
            place(began_s=NOON_S + 45, paused=True),
        ),
        ({"step_at": LATER}, place(step_s=NOON_S + 100)),
    ],
)
def test_the_place_in_the_plan_is_that_of_the_record_and_pauses_move_its_beginning(
    changes: dict[str, Any], expected: Any
) -> None:
    assert place_of(record(**changes), LATER) == expected


def test_a_verdict_is_stored_with_all_that_it_was_made_from() -> None:
    known = ledger(counted(25, 100, (1, 2)))
    told = verdict_json(PLAN, known, place(samples=10), NOON_S + 100)
    assert told == {
        "kind": "hold",
        "reason": "15 of 20 requests of this step",
        "now_s": NOON_S + 100,
        "more": 5,
        "place": [0, NOON_S, NOON_S, 10, False, False],
        "requests": [25, 100],
        "bad": {"errors": [1, 2]},
        "evidence": evidence_of(PLAN, known),
        "no_worse": no_worse_of(PLAN, known),
    }


def test_each_kind_of_verdict_tells_what_it_decides() -> None:
    step = verdict_json(PLAN, ledger(counted(25, 100)), place(), NOON_S + 100)
    assert (step["kind"], step["step"], "more" in step) == ("step", 1, False)
    back = verdict_json(PLAN, ledger(counted(40, 40, (30, 1))), place(), NOON_S)
    assert (back["kind"], back["metric"], back["needed"]) == ("roll_back", "errors", 200.0)
    assert back["e"] > 200
    good = verdict_json(PLAN, ledger(*[counted(100, 100, (3, 4))] * 20), place(1), NOON_S + 100)
    assert (good["kind"], "step" in good, "metric" in good) == ("promote", False, False)


def test_slices_and_callers_are_told_where_there_are_any() -> None:
    plan = planned(slices=["tenant"])
    seen = Counts(share=0.5, canary=9, bad={"errors@tenant=a": (1, 0)}, seen=CallersSeen("caller", 30, 0.001))
    known = ledger(seen, plan=plan)
    told = verdict_json(plan, known, place(), NOON_S)
    assert told["seen"] == {"unit": "caller", "callers": 30, "error": 0.001}
    assert told["slices"] == {"errors@tenant=a": known.slices["errors@tenant=a"].log_e}


def test_evidence_is_told_as_a_share_of_the_logarithm_that_rolls_back() -> None:
    plan = planned(win_margin=0.1)
    known = ledger(counted(40, 40, (30, 1)), Counts(share=0.5, wins={0.0: 20}), plan=plan)
    metric, lost = known.metrics["errors"], known.lost
    assert metric.above is not None
    assert lost is not None
    most = max(metric.worse.log_e, min(metric.above.log_e, metric.differs.log_e))
    assert evidence_of(plan, known) == pytest.approx(
        {"errors": most / math.log(300), "wins": lost.log_e / math.log(300)}
    )
    assert evidence_of(PLAN, ledger(*[counted(100, 100, (0, 9))] * 3)) == {"errors": 0.0}
