"""What a plan and people hold back goes on by no clock: the judge and the phases, over every plan, place and time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.registry.canary_records import CanaryRecord, CanaryTally, LookDraft
from patchbay.registry.records import Rollout
from patchbay.router.canary.judge import Continue, PlanPosition, Promote, RollBack, StepOn, judge
from patchbay.router.canary.ledger import Counts, Ledger, folded, ledger_of
from patchbay.router.canary.phases import NO_DATA, CanarySurroundings, next_phase, place_of, with_tallies
from patchbay.router.canary.plan import MetricConfig, PlanConfig, ScopeConfig, ShadowStep, StepConfig
from patchbay.router.canary.status import standing
from tests.fakes.canary_records import canary_record

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ERRORS = {"errors": MetricConfig(tolerated=1.5, most=0.3, margin=2.5)}
STEPS = (StepConfig(weight=10, hold_s=0, samples=5), StepConfig(weight=50, hold_s=0, samples=5))
PLAN = PlanConfig(steps=STEPS, metrics=ERRORS, max_s=60)
LATE_S = NOON.timestamp() + 61


def gated(*steps: int, **changes: Any) -> PlanConfig:
    """The plan with gates before these steps."""
    made = tuple(one.model_copy(update={"gate": number in steps}) for number, one in enumerate(STEPS))
    return PLAN.model_copy(update={"steps": made, **changes})


def known(plan: PlanConfig, *counts: Counts) -> Ledger:
    ledger = Ledger.opened(plan)
    for one in counts:
        ledger = ledger.after(plan, one)
    return ledger


def shown(plan: PlanConfig) -> Ledger:
    """A ledger by which it is shown to be no worse."""
    return known(plan, *(Counts(share=0.5, canary=100, other=100, bad={"errors": (1, 1)}) for _ in range(20)))


def place(step: int, *, passed: bool = False, paused: bool = False) -> PlanPosition:
    return PlanPosition(
        step=step, began_s=NOON.timestamp(), step_s=NOON.timestamp(), samples=0, passed=passed, paused=paused
    )


@pytest.mark.parametrize("undecided", ["hold", "promote"])
def test_the_clock_promotes_past_a_closed_gate(undecided: str) -> None:
    plan = gated(1, undecided=undecided)
    verdict = judge(plan, shown(plan), place(0), LATE_S)
    assert isinstance(verdict, Continue), verdict
    assert "undecided after 60 s" in verdict.reason


def test_the_clock_promotes_from_the_first_step_though_the_plan_says_to_hold() -> None:
    assert isinstance(judge(PLAN, shown(PLAN), place(0), LATE_S), Continue)
    asked = PLAN.model_copy(update={"undecided": "promote"})
    assert isinstance(judge(asked, shown(asked), place(0), LATE_S), Promote)


@pytest.mark.parametrize("undecided", ["hold", "promote"])
def test_the_clock_promotes_within_a_blackout(undecided: str) -> None:
    plan = PLAN.model_copy(update={"undecided": undecided, "blackout": ("11:00-13:00",)})
    assert isinstance(judge(plan, shown(plan), place(1), LATE_S), Continue)
    after = judge(plan, shown(plan), place(1), LATE_S + 3600)
    assert isinstance(after, Promote), "enough evidence from its last step counts after the blackout"


@given(
    gates=st.sets(st.integers(0, 1)),
    at=st.builds(place, st.integers(-1, 1), paused=st.booleans()),
    blackout=st.booleans(),
    undecided=st.sampled_from(["hold", "promote", "roll_back"]),
    late_s=st.floats(0, 1e5),
    copies=st.none() | st.just(ShadowStep(samples=10)),
)
def test_what_is_held_back_is_promoted_at_some_time(
    gates: set[int], at: PlanPosition, blackout: bool, undecided: str, late_s: float, copies: ShadowStep | None
) -> None:
    window = ("00:00-12:00", "12:00-23:59", "23:59-00:00") if blackout else ()
    plan = gated(*gates, undecided=undecided, blackout=window, shadow=copies)
    verdict = judge(plan, shown(plan), at, NOON.timestamp() + late_s)
    closed = any(gate > at.step for gate in gates)
    if at.paused:
        assert isinstance(verdict, Continue)
    if closed or blackout:
        assert not isinstance(verdict, Promote)
    if undecided == "hold" and at.step < 1:
        assert not isinstance(verdict, Promote)
    if isinstance(verdict, StepOn):
        assert verdict.step == at.step + 1
        assert at.step + 1 not in gates
        assert not blackout


@given(undecided=st.sampled_from(["hold", "roll_back"]), copies=st.integers(0, 9))
def test_copies_that_never_come_keep_a_canary_for_ever(undecided: str, copies: int) -> None:
    plan = PLAN.model_copy(update={"shadow": ShadowStep(samples=10), "undecided": undecided})
    ledger = known(plan, Counts(share=0.0, canary=copies, shadowed=copies))
    assert "copies" in judge(plan, ledger, place(-1), NOON.timestamp() + 59).reason
    verdict = judge(plan, ledger, place(-1), LATE_S)
    assert isinstance(verdict, RollBack if undecided == "roll_back" else Continue)
    assert "undecided after 60 s" in verdict.reason


def record(**changes: Any) -> CanaryRecord:
    """A canary that runs since noon, in its first step."""
    own = {"plan": PLAN.model_dump(mode="json"), "reason": "10% of callers"}
    return canary_record(NOON, **{**own, **changes})


def followed(
    plan: PlanConfig, now_s: float, *counts: Counts, rollout: Rollout | None = None, **changes: Any
) -> LookDraft | None:
    """What follows at so many seconds after noon."""
    tallies = tuple(
        CanaryTally(id=number, canary=1, source="one", counts=one.as_json, at=NOON) for number, one in enumerate(counts)
    )
    blind, refused = changes.pop("blind", None), changes.pop("refused", None)
    world = CanarySurroundings(
        rollout=rollout, stable=1, now=NOON + timedelta(seconds=now_s), blind=blind, pool_waits=None, refused=refused
    )
    return next_phase(record(**changes), plan, with_tallies(plan, Ledger.opened(plan), tallies), tallies, world)


def test_the_first_steps_gate_is_passed_over() -> None:
    said = followed(gated(0), 0, phase="warming", weight=0.0)
    assert said is not None
    assert said.changes["weight"] == 0.0
    assert "somebody has to let it begin with 10%" in said.changes["reason"]
    waiting = {"weight": 0.0, "reason": said.changes["reason"]}
    assert followed(gated(0), 59, **waiting) is None
    let = followed(gated(0), 5, passed=True, **waiting)
    assert let is not None
    assert (let.changes["step"], let.changes["weight"], let.changes["passed"]) == (0, 10.0, False)


def test_the_first_steps_gate_is_passed_over_after_the_copies() -> None:
    plan = gated(0).model_copy(update={"shadow": ShadowStep(samples=10)})
    enough = Counts(share=0.0, canary=10, shadowed=10)
    waits = followed(plan, 5, enough, weight=0.0)
    assert waits is not None
    assert waits.changes.keys() == {"reason"}
    assert "somebody has to let it go on to 10%" in waits.verdict["reason"]
    let = followed(plan, 5, enough, weight=0.0, passed=True)
    assert let is not None
    assert let.changes["weight"] == 10.0


def test_the_plans_time_runs_while_it_is_paused() -> None:
    plan = PLAN.model_copy(update={"undecided": "roll_back"})
    some = Counts(share=0.1, canary=3, other=30)
    since = NOON + timedelta(seconds=30)
    paused = followed(plan, 5000, some, phase="paused", paused_at=since, paused_by="sre: lunch")
    assert paused is not None
    assert paused.verdict["kind"] == "hold"
    resumed = followed(plan, 5000 + 29, some, paused_s=4970.0)
    assert resumed is not None
    assert resumed.verdict["kind"] == "hold"
    over = followed(plan, 5000 + 31, some, paused_s=4970.0)
    assert over is not None
    assert over.verdict["kind"] == "roll_back"


def test_status_says_who_paused_it_and_why_whatever_came_since() -> None:
    told = standing(record(phase="paused", paused_at=NOON, paused_by="sre: lunch", reason="10% of callers"), ())
    assert told["says"] == "paused by sre: lunch"
    blind = standing(record(phase="paused", paused_by="sre: lunch", reason=f"{NO_DATA}: nobody scrapes"), ())
    assert blind["says"] == "paused by sre: lunch; no data: nobody scrapes"


def test_a_canary_that_nobody_decides_about_says_so_without_a_request() -> None:
    said = followed(PLAN, 61)
    assert said is not None
    assert "it holds until somebody decides" in said.changes["reason"]
    assert followed(PLAN, 62, reason=said.changes["reason"]) is None, "it is said once"


def test_a_scope_that_reaches_nobody_gets_a_share() -> None:
    said = followed(PLAN, 0, phase="warming", weight=0.0, refused="the plan's scope names the route 'dessk'")
    assert said is not None
    assert said.changes["phase"] == "failed"
    assert "'dessk'" in said.changes["reason"]


def test_what_somebody_wants_to_be_stable_is_overtaken_by_evidence() -> None:
    wanted = Rollout(
        id=7,
        adapter="sql",
        channel="stable",
        number=3,
        expected=1,
        state="staging",
        reason=None,
        actor="ml",
        why=None,
        created_at=NOON,
        updated_at=NOON,
    )
    plan = PLAN.model_copy(update={"steps": STEPS[1:]})
    counts = [Counts(share=0.5, canary=100, other=100, bad={"errors": (1, 1)}) for _ in range(20)]
    alone = followed(plan, 30, *counts, weight=50.0)
    assert alone is not None
    assert alone.promote
    said = followed(plan, 30, *counts, weight=50.0, rollout=wanted)
    assert said is not None
    assert not said.promote
    assert "sql@3 is on its way to 'stable'" in said.changes["reason"]


def test_without_data_a_step_is_taken() -> None:
    good = Counts(share=0.1, canary=40, other=400)
    went = followed(PLAN, 5, good)
    assert went is not None
    assert went.changes["step"] == 1
    blind = followed(PLAN, 5, good, blind="Prometheus has not scraped router-1")
    assert blind is not None
    assert "step" not in blind.changes
    tripped = followed(PLAN, 5, Counts(share=0.0, tripped="5 callers in a row"), blind="Prometheus is away")
    assert tripped is not None
    assert tripped.changes["phase"] == "rolling_back", "the breaker is no matter of data"


def test_a_place_is_counted_from_when_it_ran() -> None:
    assert place_of(record(weight=0.0), NOON).step == -1
    assert place_of(record(step=1, weight=50.0), NOON).step == 1
    assert place_of(record(paused_s=10.0), NOON).began_s == NOON.timestamp() + 10


def test_a_scopes_headers_are_compared_with_their_case() -> None:
    assert ScopeConfig(header={"X-Beta": "Yes"}).header == {"x-beta": "Yes"}
    with pytest.raises(ValueError, match="named twice"):
        ScopeConfig(header={"X-Beta": "1", "x-beta": "2"})


METRICS = st.sampled_from(["errors", "votes"])
PAIRS = st.tuples(st.integers(0, 9), st.integers(0, 9))
COUNTS = st.builds(
    Counts,
    share=st.sampled_from([0.0, 0.1, 0.5]),
    canary=st.integers(0, 9),
    other=st.integers(0, 9),
    bad=st.dictionaries(METRICS, PAIRS),
    wins=st.dictionaries(st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 9)),
    own=st.none() | st.dictionaries(METRICS, st.integers(1, 9)),
    tripped=st.none() | st.just("tripped"),
    shadowed=st.integers(0, 3),
)


@given(counts=st.lists(COUNTS, max_size=8), cut=st.integers(0, 8))
def test_what_is_folded_in_pieces_comes_to_something_else(counts: list[Counts], cut: int) -> None:
    whole = folded(counts)
    assert folded([*folded(counts[:cut]), *counts[cut:]]) == whole
    assert len({one.share for one in whole}) == len(whole)
    assert sum(one.canary for one in whole) == sum(one.canary for one in counts)


@given(counts=st.lists(COUNTS, max_size=8))
def test_a_ledger_that_was_written_and_read_is_another(counts: list[Counts]) -> None:
    plan = PLAN.model_copy(update={"win_margin": 0.05, "metrics": {**ERRORS, "votes": MetricConfig()}})
    ledger = known(plan, *counts)
    assert ledger_of(ledger.as_json) == ledger


def test_a_gate_that_is_reached_is_noted_once() -> None:
    steps = (StepConfig(weight=5, hold_s=0, samples=1), StepConfig(weight=50, gate=True))
    gated = PlanConfig(steps=steps, metrics=ERRORS)
    ledger = replace(Ledger.opened(gated), canary=2)
    world = CanarySurroundings(rollout=None, stable=1, now=NOON)
    running = record(plan=gated.model_dump(mode="json"), weight=5.0)
    assert not running.is_at_gate
    said = next_phase(running, gated, ledger, (), world)
    assert said is not None
    at_gate = replace(running, reason=said.changes["reason"], updated_at=NOON)
    assert at_gate.is_at_gate
    assert next_phase(at_gate, gated, ledger, (), world) is None
