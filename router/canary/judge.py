"""The judge of canaries: makes a verdict from a canary's evidence. Pure: a plan, a ledger, the position in the plan and
the time in; a verdict out.

The reasons that it gives are stored with each look, and `patchbay canary replay` compares them: other words for the
same verdict would make it say that old looks differ.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from patchbay.registry.canary_records import AT_GATE
from patchbay.router.canary.evidence import (
    Mean,
    Wealth,
    more_below,
    more_needed,
    more_to_show,
    no_worse,
    rejected,
    worse,
)
from patchbay.router.canary.ledger import Ledger, Metric
from patchbay.router.canary.plan import PlanConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPosition:
    """The position of a canary in its plan.

    `step`: counted from 0, -1 before the first step, when no caller is sent to the canary; `began_s`: when the canary
    began, Unix time, moved on by as long as it was paused; `step_s`: when its step began; `samples`: the requests that
    it had answered by then; `passed`: whether somebody let the next step begin; `paused`: whether somebody keeps it at
    its step.
    """

    step: int
    began_s: float
    step_s: float
    samples: int
    passed: bool = False
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Continue:
    """Verdict: goes on as it is. `more`: about how many more of the canary's requests it takes to decide, None where
    that cannot be estimated."""

    reason: str
    more: int | None = None


@dataclass(frozen=True, slots=True)
class StepOn:
    """Verdict: the canary gets the weight of the next step."""

    step: int
    reason: str


@dataclass(frozen=True, slots=True)
class Promote:
    """Verdict: the canary is no worse and becomes stable."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Verdict: the canary is worse and is taken out.

    `metric`: the deciding one; `e`: the evidence; `needed`: the evidence that would have been enough.
    """

    metric: str
    reason: str
    e: float
    needed: float


# The first word of the reason for a canary that is beyond its plan's time.
UNDECIDED = "undecided"
# Evidence that is too weak to say that something is worse, and strong enough not to promote on its being rare.
_HINT = 3.0
Verdict = Continue | StepOn | Promote | RollBack


def judge(plan: PlanConfig, ledger: Ledger, place: PlanPosition, now_s: float) -> Verdict:
    """Returns the verdict at `now_s`, Unix time. It may be asked for after every request: the evidence is made for
    that.

    A canary that is worse goes at once. One that is not goes on when its step has lasted long enough and has seen
    enough requests. It is promoted when it is shown, too, to be worse by no more than the margins. Without requests
    there is no evidence, either way. No clock moves a canary past what a person or the plan holds back.
    """
    return _worst(plan, ledger) or _gone_on(plan, ledger, place, now_s)


def _gone_on(plan: PlanConfig, ledger: Ledger, place: PlanPosition, now_s: float) -> Verdict:
    """Returns the verdict by the plan, for a canary that is not worse."""
    if place.paused:
        return Continue("it is paused")
    if now_s - place.began_s >= plan.max_s:
        return _at_the_end(plan, ledger, place, now_s)
    if (not_yet := _in_its_step(plan, ledger, place, now_s)) is not None:
        return not_yet
    if place.step + 1 == len(plan.steps):
        return _promoted(plan, ledger)
    if (closed := _gate(plan, place, place.step + 1)) is not None:
        return Continue(closed)
    seen = f"no worse so far on {ledger.canary} requests" if ledger.canary else "it has its first share from now on"
    return StepOn(place.step + 1, seen)


def _in_its_step(plan: PlanConfig, ledger: Ledger, place: PlanPosition, now_s: float) -> Continue | None:
    """Returns the reason that keeps a canary in its step, None where it may leave it."""
    return _unfinished(plan, ledger, place, now_s) or _blacked_out(plan, now_s)


def _unfinished(plan: PlanConfig, ledger: Ledger, place: PlanPosition, now_s: float) -> Continue | None:
    copies = plan.shadow.samples if plan.shadow is not None else 0
    if ledger.shadowed < copies:
        return Continue(f"{ledger.shadowed} of {copies} copies", copies - ledger.shadowed)
    if place.step < 0:
        return None
    if not ledger.canary:
        return Continue("no request has reached the canary yet, so there is nothing to judge")
    step, seen = plan.steps[place.step], ledger.canary - place.samples
    if seen < step.samples:
        return Continue(f"{seen} of {step.samples} requests of this step", step.samples - seen)
    left_s = step.hold_s - (now_s - place.step_s)
    return Continue(f"this step lasts for {left_s:.0f} s more") if left_s > 0 else None


def _blacked_out(plan: PlanConfig, now_s: float) -> Continue | None:
    return (
        Continue("it neither grows nor is promoted within the plan's blackout") if plan.is_blacked_out(now_s) else None
    )


def _gate(plan: PlanConfig, place: PlanPosition, step: int) -> str | None:
    """Returns the message of a closed gate before a step, None where there is none."""
    if not plan.steps[step].gate or (place.passed and step == place.step + 1):
        return None
    return f"{AT_GATE} go on to {plan.steps[step].weight:g}% (`patchbay canary resume`)"


def _worst(plan: PlanConfig, ledger: Ledger) -> RollBack | None:
    if ledger.tripped is not None:
        return RollBack(metric="breaker", reason=ledger.tripped, e=plan.needed, needed=plan.needed)
    found = [verdict for verdict in _against(plan, ledger) if verdict.e >= verdict.needed]
    if not found:
        # The whole first: slices have half of alpha for themselves, and say less about everybody.
        found = list(_against_slices(plan, ledger))
    return max(found, key=lambda verdict: verdict.e, default=None)


def _against_slices(plan: PlanConfig, ledger: Ledger) -> Iterator[RollBack]:
    """Yields the slices in which it is worse. Of the slices named, a share of at most half of alpha is expected to be
    named wrongly."""
    e_values = {name: wealth.e for name, wealth in ledger.slices.items()}
    for name in rejected(e_values, plan.alpha / 2):
        metric, _, where = name.partition("@")
        yield RollBack(
            metric=metric, reason=f"it is worse for {where}", e=e_values[name], needed=len(e_values) * 2 / plan.alpha
        )


def _against(plan: PlanConfig, ledger: Ledger) -> Iterator[RollBack]:
    """Yields everything that speaks against the canary, however little."""
    needed = plan.needed
    for name, metric in ledger.metrics.items():
        config = plan.metrics[name]
        seen = f"{metric.canary} of the canary's {ledger.canary} were bad, {metric.other} of {ledger.other} others"
        ratio = f"{seen}; at most {config.tolerated:g} times as often is tolerated"
        yield RollBack(metric=name, reason=ratio, e=metric.worse.e, needed=needed)
        if (above := too_often(ledger, metric)) is not None:
            yield RollBack(
                metric=name, reason=f"{seen}; at most {config.most:.2%} is allowed", e=above.e, needed=needed
            )
    if ledger.lost is not None:
        seen = f"it loses too many of {ledger.pairs} pairs"
        yield RollBack(metric="wins", reason=seen, e=ledger.lost.e, needed=needed)


def too_often(ledger: Ledger, metric: Metric) -> Wealth | None:
    """Returns the evidence that something happens more often than it may at all, None where no `most` is set.

    It is the lesser of two: that, and that it happens more often than to the others, since what hits all alike is no
    fault of the canary. Copies are made only of requests that the stable revision has answered, so while there is
    nothing but copies the first one says both.
    """
    if metric.above is None or ledger.canary == ledger.shadowed:
        return metric.above
    return min(metric.above, metric.differs, key=lambda wealth: wealth.log_e)


def _promoted(plan: PlanConfig, ledger: Ledger) -> Verdict:
    """Returns promotion where every metric is shown to be no worse. Each is tested at `promote_alpha`, since all have
    to pass."""
    open_ = [name for name in ledger.metrics if not _shown(plan, ledger, name)]
    if ledger.held_up is not None and ledger.held_up.e < 1 / plan.promote_alpha:
        open_.append("wins")
    if not open_:
        return Promote(f"on {ledger.canary} requests nothing is worse by more than its margin{_too_rare(plan, ledger)}")
    return Continue(f"not yet shown to be no worse: {', '.join(open_)}", _more(plan, ledger, open_))


def _shown(plan: PlanConfig, ledger: Ledger, name: str) -> bool:
    """Whether a metric is shown to be no worse than the others' by its margin, or else to do no harm: to be below
    `few`, and not shown to be worse. Each is tested at half of `promote_alpha`, so that both together keep it."""
    metric, needed = ledger.metrics[name], to_show(plan)
    if metric.no_worse.log_e >= needed:
        return True
    return (below := harmless(metric)) is not None and below.log_e >= needed


def harmless(metric: Metric) -> Wealth | None:
    """Returns the evidence that something is too rare to do harm, None where there is a hint that the canary is
    worse."""
    return metric.below if metric.differs.e < _HINT else None


def to_show(plan: PlanConfig) -> float:
    """Returns the logarithm of the evidence by which a metric is shown not to be worse, by either test."""
    return math.log(2 / plan.promote_alpha)


def _too_rare(plan: PlanConfig, ledger: Ledger) -> str:
    """Names the metrics that were too rare to compare, and how many more requests would tell."""
    rare = [name for name, metric in ledger.metrics.items() if metric.no_worse.log_e < to_show(plan)]
    needed = [more for name in rare if (more := _to_compare(plan, ledger, name)) is not None]
    if not rare or not needed:
        return ""
    return (
        f"; too rare to be compared, and below what does harm: {', '.join(rare)} (about {max(needed)} more would tell)"
    )


def _at_the_end(plan: PlanConfig, ledger: Ledger, place: PlanPosition, now_s: float) -> Verdict:
    """Returns the verdict at the plan's `max_s`.

    Sufficient evidence promotes only from where it would have done so before. Without it the plan's `undecided`
    decides, as far as neither a gate nor a blackout holds the canary back.
    """
    if place.step + 1 == len(plan.steps) and _in_its_step(plan, ledger, place, now_s) is None:
        reached = _promoted(plan, ledger)
        if isinstance(reached, Promote):
            return reached
    over = f"{UNDECIDED} after {plan.max_s:g} s and {ledger.canary} requests"
    # Without a copy or a request nothing is known of it, but the plan's first step has not begun then either.
    if plan.undecided == "roll_back" and (ledger.canary or place.step < 0):
        return RollBack(metric="time", reason=f"{over}, and the plan says to roll back then", e=1.0, needed=plan.needed)
    if plan.undecided == "promote" and ledger.canary:
        held = _held_back(plan, place, now_s)
        if held is None:
            return Promote(f"{over}, and the plan says to promote then")
        return Continue(f"{over}: {held}")
    return Continue(f"{over}: it holds until somebody decides")


def _held_back(plan: PlanConfig, place: PlanPosition, now_s: float) -> str | None:
    """Returns the gate or blackout that forbids a promotion, whatever the plan's clock says, None where there is
    none."""
    gates = (_gate(plan, place, step) for step in range(place.step + 1, len(plan.steps)))
    blackout = _blacked_out(plan, now_s)
    return next((gate for gate in gates if gate is not None), blackout.reason if blackout is not None else None)


def _more(plan: PlanConfig, ledger: Ledger, open_: Sequence[str]) -> int | None:
    """Estimates how many more requests it takes until something is decided.

    Either it is rolled back, if all goes on as it went, or every metric of `open_` is shown, if it is as good as the
    others.
    """
    share = plan.steps[-1].weight / 100
    worse_ = [_more_of(plan, ledger, name, metric.worse, share) for name, metric in ledger.metrics.items()]
    shown = [_to_compare_or_below(plan, ledger, name) for name in open_ if name != "wins"]
    soonest = [number for number in worse_ if number is not None]
    if shown and None not in shown:
        soonest.append(max(number for number in shown if number is not None))
    return min(soonest, default=None)


def _to_compare_or_below(plan: PlanConfig, ledger: Ledger, name: str) -> int | None:
    few, metric = plan.metrics[name].harmless, ledger.metrics[name]
    ways = [_to_compare(plan, ledger, name)]
    if few is not None and metric.below is not None:
        bet = Mean(few, above=False)
        ways.append(more_below(bet, metric.below, _pooled(ledger, metric), plan.promote_alpha / 2))
    return min((way for way in ways if way is not None), default=None)


def _to_compare(plan: PlanConfig, ledger: Ledger, name: str) -> int | None:
    """Estimates how many more requests show that a metric is no worse by its margin."""
    metric, share = ledger.metrics[name], plan.steps[-1].weight / 100
    rate = _pooled(ledger, metric)
    return more_to_show(no_worse(plan.metrics[name].margin), metric.no_worse, rate, share, plan.promote_alpha / 2)


def _pooled(ledger: Ledger, metric: Metric) -> float:
    """Returns the rate of bad requests over both arms, with half an event added, since nothing is impossible."""
    return (metric.canary + metric.other + 0.5) / (ledger.canary + ledger.other + 1)


def _more_of(plan: PlanConfig, ledger: Ledger, name: str, wealth: Wealth, share: float) -> int | None:
    metric = ledger.metrics[name]
    seen = {
        "canary": float(ledger.canary),
        "other": float(ledger.other),
        "canary_bad": float(metric.canary),
        "other_bad": float(metric.other),
    }
    return more_needed(worse(plan.metrics[name].tolerated), wealth, seen, share, plan.alpha / plan.tests)
