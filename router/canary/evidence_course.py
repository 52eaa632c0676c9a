"""The course of the evidence about a canary, look by look: that it is worse, and that it is no worse. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchbay.registry.canary_records import CanaryRecord, Look
from patchbay.router.canary.config import plan_of
from patchbay.router.canary.plan import PlanConfig


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
    the plan.

    Only the stored verdicts are read, so some of the looks, without their counts, are enough.
    """
    judged = [look for look in looks if "place" in look.verdict]
    if not judged:
        return ()
    plan = plan_of(dict(record.plan), record.id)
    return tuple(_point(plan, look) for look in judged)


def _point(plan: PlanConfig, look: Look) -> Point:
    verdict = look.verdict
    step: int = verdict["place"][0]
    return Point(
        requests=verdict["requests"][0],
        weight=plan.steps[min(step, len(plan.steps) - 1)].weight,
        worse=verdict["evidence"],
        # Looks of earlier versions do not have it.
        no_worse=verdict.get("no_worse", {}),
        bad={name: (pair[0], pair[1]) for name, pair in verdict["bad"].items()},
    )
