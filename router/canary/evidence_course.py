"""The course of the evidence about a canary, look by look: that it is worse, and that it is no worse. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchbay.registry.canary_records import CanaryRecord, Look
from patchbay.router.canary.config import plan_of
from patchbay.router.canary.evidence import Wealth
from patchbay.router.canary.judge import harmless, to_show
from patchbay.router.canary.ledger import Ledger
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.canary.replay import replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The state at one look.

    `requests`: the canary's so far; `weight`: its percentage of the callers; `worse`: by metric, the evidence that it
    is worse, as a share of what rolls it back; `no_worse`: the evidence that it is not, as a share of what promotes it;
    `bad`: by metric, bad events of the canary and of others.
    """

    requests: int
    weight: float
    worse: Mapping[str, float]
    no_worse: Mapping[str, float]
    bad: Mapping[str, tuple[int, int]]


def course_of(record: CanaryRecord, looks: Sequence[Look]) -> tuple[Point, ...]:
    """Lists every look at which the evidence was judged, in order. Raises ConfigError where this version cannot read
    the plan."""
    if not any("place" in look.verdict for look in looks):
        return ()
    plan = plan_of(dict(record.plan), record.id)
    return tuple(
        Point(
            requests=replay.ledger.canary,
            weight=_weight(plan, replay.look),
            worse=replay.look.verdict["evidence"],
            no_worse=no_worse_of(plan, replay.ledger),
            bad={name: (pair[0], pair[1]) for name, pair in replay.look.verdict["bad"].items()},
        )
        for replay in replayed(plan, looks)
    )


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


def _weight(plan: PlanConfig, look: Look) -> float:
    step: int = look.verdict["place"][0]
    return plan.steps[min(step, len(plan.steps) - 1)].weight
