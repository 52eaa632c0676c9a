"""What follows for a canary from what is known: its phases. Pure: a record, its ledger, and the time in; a look out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from patchbay.core.names import revision_name
from patchbay.registry.canary_records import AT_GATE, CanaryRecord, CanaryTally, LookDraft
from patchbay.registry.records import UNFINISHED, Rollout
from patchbay.router.canary.judge import (
    UNDECIDED,
    Continue,
    PlanPosition,
    Promote,
    RollBack,
    StepOn,
    Verdict,
    judge,
    too_often,
)
from patchbay.router.canary.ledger import Ledger, counts_of, folded
from patchbay.router.canary.plan import PlanConfig

_JUDGED = ("running", "paused")
NO_DATA = "no data"
_SPACING, _OFTEN_S, _SELDOM_S = 1 / 60, 1.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySurroundings:
    """What else matters. `rollout`: the one that the canary waits for, or else one that `stable` is under way to;
    `stable`: the number that `stable` means; `blind`: why there is no data, where there should be; `pool_waits`: why a
    pool cannot be tried, where it cannot; `refused`: why its plan cannot be judged here, where it cannot."""

    rollout: Rollout | None
    stable: int | None
    now: datetime
    blind: str | None = None
    pool_waits: str | None = None
    refused: str | None = None


def with_tallies(plan: PlanConfig, ledger: Ledger, tallies: Sequence[CanaryTally]) -> Ledger:
    """The ledger with what routers counted since: all of one share at once, so that it does not matter in how many
    pieces it came."""
    return ledger.after(plan, *folded(counts_of(tally.counts) for tally in tallies))


def next_phase(
    record: CanaryRecord, plan: PlanConfig, ledger: Ledger, tallies: Sequence[CanaryTally], world: CanarySurroundings
) -> LookDraft | None:
    """What follows for `record`, whose `ledger` holds `tallies` already; None where nothing is worth a note. A look
    keeps its tallies folded, and the ledger beside them."""
    said = _followed(record, plan, ledger, tallies, world)
    if said is None:
        return None
    kept = tuple(one.as_json for one in folded(counts_of(tally.counts) for tally in tallies))
    return replace(said, folded=kept, checkpoint=ledger.as_json)


def _followed(
    record: CanaryRecord, plan: PlanConfig, ledger: Ledger, tallies: Sequence[CanaryTally], world: CanarySurroundings
) -> LookDraft | None:
    if record.phase in ("pending", "warming"):
        return _warmed(record, plan, world)
    if record.phase == "promoting":
        return _promoted(record, world)
    if record.phase not in _JUDGED:
        return None
    if record.pool is None and world.stable != record.baseline:
        return _over(record, world, "failed", "'stable' was moved meanwhile, so there is nothing to compare with")
    if world.blind is not None and ledger.tripped is None:
        # No data is no evidence, either way: it stays as it is. What a router's breaker has said is no matter of data.
        return _waiting(record, "blind", f"{NO_DATA}: {world.blind}")
    return _judged(record, plan, ledger, tallies, world)


def _waiting(record: CanaryRecord, kind: str, reason: str) -> LookDraft | None:
    """A note of what it waits for, once."""
    return (
        None
        if record.reason == reason
        else LookDraft(verdict=_plain(kind, reason), changes={"reason": reason}, said=f"canary.{kind}")
    )


def place_of(record: CanaryRecord, now: datetime) -> PlanPosition:
    """Where in its plan a canary is. Its plan's time stands still while it is paused."""
    began, step = record.began_at or record.created_at, record.step_at or record.created_at
    return PlanPosition(
        step=record.next_step - 1,
        began_s=began.timestamp() + record.paused_until(now),
        step_s=step.timestamp(),
        samples=record.samples,
        passed=record.passed,
        paused=record.phase == "paused",
    )


def verdict_json(plan: PlanConfig, ledger: Ledger, place: PlanPosition, now_s: float) -> dict[str, Any]:
    """A verdict with all that it was made by, so that it can be made again."""
    verdict = judge(plan, ledger, place, now_s)
    told: dict[str, Any] = {"kind": _KINDS[type(verdict)], "reason": verdict.reason, "now_s": now_s}
    if isinstance(verdict, Continue):
        told["more"] = verdict.more
    if isinstance(verdict, StepOn):
        told["step"] = verdict.step
    if isinstance(verdict, RollBack):
        told |= {"metric": verdict.metric, "e": verdict.e, "needed": verdict.needed}
    told["place"] = [place.step, place.began_s, place.step_s, place.samples, place.passed, place.paused]
    told["requests"] = [ledger.canary, ledger.other]
    told["bad"] = {name: [one.canary, one.other] for name, one in ledger.metrics.items()}
    told["evidence"] = evidence_of(plan, ledger)
    if ledger.seen is not None:
        told["seen"] = {"unit": ledger.seen.unit, "callers": ledger.seen.callers, "error": ledger.seen.error}
    if ledger.slices:
        told["slices"] = {name: wealth.log_e for name, wealth in ledger.slices.items()}
    return told


def evidence_of(plan: PlanConfig, ledger: Ledger) -> dict[str, float]:
    """The evidence against the canary by metric, as a share of what rolls it back: of logarithms, at least 0."""
    needed = math.log(plan.needed)
    above = {name: too_often(ledger, one) for name, one in ledger.metrics.items()}
    found = {
        name: max(one.worse.log_e, how.log_e if (how := above[name]) is not None else 0.0)
        for name, one in ledger.metrics.items()
    }
    if ledger.lost is not None:
        found["wins"] = ledger.lost.log_e
    return {name: max(0.0, log_e) / needed for name, log_e in found.items()}


_KINDS: Mapping[type[Verdict], str] = {Continue: "hold", StepOn: "step", Promote: "promote", RollBack: "roll_back"}


def _warmed(record: CanaryRecord, plan: PlanConfig, world: CanarySurroundings) -> LookDraft | None:
    if world.refused is not None:
        return _over(record, world, "failed", world.refused)
    rollout, reason = world.rollout, world.pool_waits
    if rollout is not None and rollout.state in UNFINISHED:
        reason = rollout.reason or "its revision goes to every replica and is tested there"
    if reason is not None:
        if record.phase == "warming" and record.reason == reason:
            return None
        return LookDraft(
            verdict=_plain("warming", reason), changes={"phase": "warming", "reason": reason}, said="canary.warm"
        )
    if rollout is not None and rollout.state != "done":
        return _over(record, world, "failed", f"it did not come to serve: {rollout.reason or rollout.state}")
    weight, reason = _first_share(plan)
    changes = {"phase": "running", "weight": weight, "began_at": world.now, "step_at": world.now, "rollout": None}
    return LookDraft(verdict=_plain("running", reason), changes={**changes, "reason": reason}, said="canary.run")


def _first_share(plan: PlanConfig) -> tuple[float, str]:
    """The percent of callers that it begins with, and why."""
    first = plan.steps[0]
    if plan.shadow is not None:
        return 0.0, "it answers copies of requests"
    if first.gate:
        return 0.0, f"{AT_GATE} begin with {first.weight:g}% (`patchbay canary resume`)"
    return first.weight, f"{first.weight:g}% of callers"


def _promoted(record: CanaryRecord, world: CanarySurroundings) -> LookDraft | None:
    rollout = world.rollout
    if rollout is not None and rollout.state in UNFINISHED:
        return None
    if rollout is None or rollout.state == "done":
        return _over(record, world, "promoted", record.reason)
    return _over(record, world, "failed", f"it was not promoted: {rollout.reason or rollout.state}")


def _over(record: CanaryRecord, world: CanarySurroundings, phase: str, reason: str) -> LookDraft:
    changes = {"phase": phase, "reason": reason, "weight": 0.0, "ended_at": world.now}
    return LookDraft(verdict=_plain(phase, reason), changes=changes, said=f"canary.{phase}", clear=True)


def _plain(kind: str, reason: str) -> dict[str, Any]:
    return {"kind": kind, "reason": reason}


def _judged(
    record: CanaryRecord, plan: PlanConfig, ledger: Ledger, tallies: Sequence[CanaryTally], world: CanarySurroundings
) -> LookDraft | None:
    told = verdict_json(plan, ledger, place_of(record, world.now), world.now.timestamp())
    kind, reason = told["kind"], told["reason"]
    if kind == "roll_back":
        cut = told["metric"] in plan.metrics and plan.metrics[told["metric"]].cut
        changes = {"phase": "rolling_back", "reason": f"{told['metric']}: {reason}", "weight": 0.0, "cut": cut}
        return LookDraft(verdict=told, changes=changes, said="canary.roll_back", clear=True)
    if kind == "hold":
        return _held(record, told, world, seen=bool(tallies))
    if world.rollout is not None and world.rollout.state in UNFINISHED:
        # Somebody wants another revision in `stable`, which goes before what the evidence says of this one.
        return _waiting(record, "wait", f"{_name_of(world.rollout)} is on its way to 'stable', and this waits for that")
    if kind == "step":
        step = told["step"]
        changes = {"step": step, "weight": plan.steps[step].weight, "step_at": world.now, "samples": ledger.canary}
        said = f"{plan.steps[step].weight:g}% of callers: {reason}"
        return LookDraft(verdict=told, changes={**changes, "passed": False, "reason": said}, said="canary.step")
    return LookDraft(
        verdict=told, changes={"phase": "promoting", "reason": reason}, said="canary.promote", promote=True
    )


def _held(record: CanaryRecord, told: dict[str, Any], world: CanarySurroundings, *, seen: bool) -> LookDraft | None:
    """A look at one that stays as it is, where it is worth to be kept: that it can be judged again, that its time is
    over, that it is at a gate, which may be opened from then on, and what came, now and then."""
    if told["reason"].startswith(UNDECIDED) and not record.reason.startswith(UNDECIDED):
        return LookDraft(verdict=told, changes={"reason": told["reason"]})
    if record.phase == "running" and told["reason"].startswith(AT_GATE) and AT_GATE not in record.reason:
        return LookDraft(verdict=told, changes={"reason": told["reason"]})
    if record.reason.startswith(NO_DATA):
        return LookDraft(verdict=told, changes={"reason": _stands(record)})
    return LookDraft(verdict=told) if seen and _is_due(record, world) else None


def _stands(record: CanaryRecord) -> str:
    return f"paused by {record.paused_by}" if record.phase == "paused" else f"{record.weight:g}% of callers"


def _name_of(rollout: Rollout) -> str:
    return revision_name(rollout.adapter, rollout.number)


def _is_due(record: CanaryRecord, world: CanarySurroundings) -> bool:
    """Whether a look that changes nothing is worth to be kept: the longer a canary lasts, the fewer are. What no look
    has taken stays for the next, and is judged each time."""
    age_s = (world.now - (record.began_at or record.created_at)).total_seconds()
    return (world.now - record.updated_at).total_seconds() >= min(max(age_s * _SPACING, _OFTEN_S), _SELDOM_S)
