"""The course of the evidence on a canary, look by look: that it is worse, and that it is not. Pure."""

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
    """A look. `requests`: the canary's so far; `weight`: the percent of callers that it had; `worse`: by metric, the
    evidence that it is, as a share of what rolls it back; `no_worse`: that it is not, as a share of what promotes it;
    `bad`: by metric, bad events of the canary's and of others."""

    requests: int
    weight: float
    worse: Mapping[str, float]
    no_worse: Mapping[str, float]
    bad: Mapping[str, tuple[int, int]]


def course_of(record: CanaryRecord, looks: Sequence[Look]) -> tuple[Point, ...]:
    """Every look at which the evidence was judged, in order. Raises ConfigError where this version cannot read the
    plan."""
    if not any("place" in look.verdict for look in looks):
        return ()
    plan = plan_of(dict(record.plan), record.id)
    return tuple(
        Point(
            requests=one.ledger.canary,
            weight=_weight(plan, one.look),
            worse=one.look.verdict["evidence"],
            no_worse=no_worse_of(plan, one.ledger),
            bad={name: (pair[0], pair[1]) for name, pair in one.look.verdict["bad"].items()},
        )
        for one in replayed(plan, looks)
    )


def no_worse_of(plan: PlanConfig, ledger: Ledger) -> dict[str, float]:
    """The evidence by metric that it is not worse, as a share of what promotes it: of logarithms, at least 0."""
    needed = to_show(plan)
    found = {name: _best(one.no_worse, harmless(one)) / needed for name, one in ledger.metrics.items()}
    if ledger.held_up is not None:
        found["wins"] = _best(ledger.held_up) / math.log(1 / plan.promote_alpha)
    return found


def _best(*either: Wealth | None) -> float:
    return max((0.0, *(one.log_e for one in either if one is not None)))


def _weight(plan: PlanConfig, look: Look) -> float:
    step: int = look.verdict["place"][0]
    return plan.steps[min(step, len(plan.steps) - 1)].weight
