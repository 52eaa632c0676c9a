"""The phases of a canary: decides what follows from a record, its ledger and the time. Pure: these in; a look out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from patchbay.core.names import revision_name
from patchbay.registry.canary_records import AT_GATE, CanaryRecord, CanaryTally, LookDraft
from patchbay.registry.records import UNFINISHED, Rollout
from patchbay.router.canary.evidence import Wealth
from patchbay.router.canary.judge import (
    UNDECIDED,
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
from patchbay.router.canary.ledger import Ledger, counts_of, folded
from patchbay.router.canary.plan import PlanConfig

_JUDGED = ("running", "paused")
NO_DATA = "no data"
_SPACING, _OFTEN_S, _SELDOM_S = 1 / 60, 1.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySurroundings:
    """The circumstances of a canary beside its evidence.

    `rollout`: the one that the canary waits for, or else one that moves `stable`; `stable`: the number of the revision
    in `stable`; `now`: the time; `blind`: why there is no data where there should be; `pool_waits`: why a pool cannot
    be tried yet; `refused`: why its plan cannot be judged here. Each reason is None where there is none.
    """

    rollout: Rollout | None
    stable: int | None
    now: datetime
    blind: str | None = None
    pool_waits: str | None = None
    refused: str | None = None


def with_tallies(plan: PlanConfig, ledger: Ledger, tallies: Sequence[CanaryTally]) -> Ledger:
    """Returns the ledger with the routers' new counts. All counts of one share are added at once, so that it does not
    matter in how many pieces they came."""
    return ledger.after(plan, *folded(counts_of(tally.counts) for tally in tallies))


def next_phase(
    record: CanaryRecord, plan: PlanConfig, ledger: Ledger, tallies: Sequence[CanaryTally], world: CanarySurroundings
) -> LookDraft | None:
    """Decides what follows for `record`. Returns a look to store, None where nothing is worth a note.

    `ledger`: the canary's, which holds `tallies` already; `world`: its circumstances. A look keeps its tallies folded,
    and the ledger beside them.
    """
    look = _followed(record, plan, ledger, tallies, world)
    if look is None:
        return None
    kept = tuple(counts.as_json for counts in folded(counts_of(tally.counts) for tally in tallies))
    return replace(look, folded=kept, checkpoint=ledger.as_json)


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
        # No data is no evidence, either way: it stays as it is. A breaker that has tripped needs no data.
        return _waiting(record, "blind", f"{NO_DATA}: {world.blind}")
    return _judged(record, plan, ledger, tallies, world)


def _waiting(record: CanaryRecord, kind: str, reason: str) -> LookDraft | None:
    """Returns a look with the reason why it waits, None where that reason was noted already."""
    return (
        None
        if record.reason == reason
        else LookDraft(verdict=_plain(kind, reason), changes={"reason": reason}, action=f"canary.{kind}")
    )


def place_of(record: CanaryRecord, now: datetime) -> PlanPosition:
    """Returns the position of a canary in its plan. The plan's time stands still while the canary is paused."""
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
    """Makes a verdict, as JSON with everything that it was made from, so that it can be made again.

    `place`: the position in the plan; `now_s`: Unix time. `patchbay canary replay` compares the whole document.
    """
    verdict = judge(plan, ledger, place, now_s)
    document: dict[str, Any] = {"kind": _KINDS[type(verdict)], "reason": verdict.reason, "now_s": now_s}
    if isinstance(verdict, Continue):
        document["more"] = verdict.more
    if isinstance(verdict, StepOn):
        document["step"] = verdict.step
    if isinstance(verdict, RollBack):
        document |= {"metric": verdict.metric, "e": verdict.e, "needed": verdict.needed}
    document["place"] = [place.step, place.began_s, place.step_s, place.samples, place.passed, place.paused]
    document["requests"] = [ledger.canary, ledger.other]
    document["bad"] = {name: [metric.canary, metric.other] for name, metric in ledger.metrics.items()}
    document["evidence"] = evidence_of(plan, ledger)
    document["no_worse"] = no_worse_of(plan, ledger)
    if ledger.seen is not None:
        document["seen"] = {"unit": ledger.seen.unit, "callers": ledger.seen.callers, "error": ledger.seen.error}
    if ledger.slices:
        document["slices"] = {name: wealth.log_e for name, wealth in ledger.slices.items()}
    return document


def evidence_of(plan: PlanConfig, ledger: Ledger) -> dict[str, float]:
    """Returns by metric the evidence against the canary, as a share of what rolls it back. Shares are of logarithms, at
    least 0."""
    needed = math.log(plan.needed)
    above = {name: too_often(ledger, metric) for name, metric in ledger.metrics.items()}
    found = {
        name: max(metric.worse.log_e, how.log_e if (how := above[name]) is not None else 0.0)
        for name, metric in ledger.metrics.items()
    }
    if ledger.lost is not None:
        found["wins"] = ledger.lost.log_e
    return {name: max(0.0, log_e) / needed for name, log_e in found.items()}


def no_worse_of(plan: PlanConfig, ledger: Ledger) -> dict[str, float]:
    """Returns by metric the evidence that it is no worse, as a share of what promotes the canary. Shares are of
    logarithms, at least 0."""
    needed = to_show(plan)
    found = {name: _best(metric.no_worse, harmless(metric)) / needed for name, metric in ledger.metrics.items()}
    if ledger.held_up is not None:
        found["wins"] = _best(ledger.held_up) / math.log(1 / plan.promote_alpha)
    return found


def _best(*bets: Wealth | None) -> float:
    return max((0.0, *(bet.log_e for bet in bets if bet is not None)))


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
            verdict=_plain("warming", reason), changes={"phase": "warming", "reason": reason}, action="canary.warm"
        )
    if rollout is not None and rollout.state != "done":
        return _over(record, world, "failed", f"it did not come to serve: {rollout.reason or rollout.state}")
    weight, reason = _first_share(plan)
    changes = {"phase": "running", "weight": weight, "began_at": world.now, "step_at": world.now, "rollout": None}
    return LookDraft(verdict=_plain("running", reason), changes={**changes, "reason": reason}, action="canary.run")


def _first_share(plan: PlanConfig) -> tuple[float, str]:
    """Returns the percentage of callers that it begins with, and the reason."""
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
    return LookDraft(verdict=_plain(phase, reason), changes=changes, action=f"canary.{phase}", clear=True)


def _plain(kind: str, reason: str) -> dict[str, Any]:
    return {"kind": kind, "reason": reason}


def _judged(
    record: CanaryRecord, plan: PlanConfig, ledger: Ledger, tallies: Sequence[CanaryTally], world: CanarySurroundings
) -> LookDraft | None:
    verdict = verdict_json(plan, ledger, place_of(record, world.now), world.now.timestamp())
    kind, reason = verdict["kind"], verdict["reason"]
    if kind == "roll_back":
        cut = verdict["metric"] in plan.metrics and plan.metrics[verdict["metric"]].cut
        changes = {"phase": "rolling_back", "reason": f"{verdict['metric']}: {reason}", "weight": 0.0, "cut": cut}
        return LookDraft(verdict=verdict, changes=changes, action="canary.roll_back", clear=True)
    if kind == "hold":
        return _held(record, verdict, world, seen=bool(tallies))
    if world.rollout is not None and world.rollout.state in UNFINISHED:
        # Somebody wants another revision in `stable`, and that goes before the evidence about this one.
        return _waiting(record, "wait", f"{_name_of(world.rollout)} is on its way to 'stable', and this waits for that")
    if kind == "step":
        step = verdict["step"]
        changes = {"step": step, "weight": plan.steps[step].weight, "step_at": world.now, "samples": ledger.canary}
        stands = f"{plan.steps[step].weight:g}% of callers: {reason}"
        return LookDraft(verdict=verdict, changes={**changes, "passed": False, "reason": stands}, action="canary.step")
    return LookDraft(
        verdict=verdict, changes={"phase": "promoting", "reason": reason}, action="canary.promote", promote=True
    )


def _held(record: CanaryRecord, verdict: dict[str, Any], world: CanarySurroundings, *, seen: bool) -> LookDraft | None:
    """Returns a look at a canary that stays as it is, None where it is not worth keeping.

    It is kept where data is there again, where the plan's time is over, where the canary has reached a gate, which may
    be opened from then on, and now and then for new requests.
    """
    if verdict["reason"].startswith(UNDECIDED) and not record.reason.startswith(UNDECIDED):
        return LookDraft(verdict=verdict, changes={"reason": verdict["reason"]})
    if record.phase == "running" and verdict["reason"].startswith(AT_GATE) and AT_GATE not in record.reason:
        return LookDraft(verdict=verdict, changes={"reason": verdict["reason"]})
    if record.reason.startswith(NO_DATA):
        return LookDraft(verdict=verdict, changes={"reason": _stands(record)})
    return LookDraft(verdict=verdict) if seen and _is_due(record, world) else None


def _stands(record: CanaryRecord) -> str:
    return f"paused by {record.paused_by}" if record.phase == "paused" else f"{record.weight:g}% of callers"


def _name_of(rollout: Rollout) -> str:
    return revision_name(rollout.adapter, rollout.number)


def _is_due(record: CanaryRecord, world: CanarySurroundings) -> bool:
    """Whether a look that changes nothing is worth keeping: the longer a canary lasts, the fewer are. Tallies that no
    look has taken stay for the next one, and are judged each time."""
    age_s = (world.now - (record.began_at or record.created_at)).total_seconds()
    return (world.now - record.updated_at).total_seconds() >= min(max(age_s * _SPACING, _OFTEN_S), _SELDOM_S)
