"""The steps of a rollout. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from patchbay.registry.records import Placement, Rollout

# The result of the smoke test on each replica where it ran: None where the revision passed, else the reason.
Tested = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Wait:
    """Step: does nothing yet. `reason`: what the rollout waits for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Try:
    """Step: runs the smoke test on these replicas."""

    replicas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flip:
    """Step: moves the channel, since the revision is everywhere and has passed."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Step: gives the rollout up. The channel stays where it is."""

    reason: str


Step = Wait | Try | Flip | Fail


def next_step(
    rollout: Rollout, placements: Sequence[Placement], tested: Tested, now: datetime, *, timeout_s: float
) -> Step:
    """Returns the next step of `rollout`.

    `placements`: of its revision, on each ready replica that fits its base model; `tested`: results of smoke tests;
    `now`: the time; `timeout_s`: how long it may take to be everywhere, in seconds. A refusal on one replica fails the
    whole: a revision that some replicas cannot serve must not become what a name means. A rollback goes to a revision
    that has served before, so that is staged but not tested again.
    """
    late = (now - rollout.created_at).total_seconds() > timeout_s
    for placement in placements:
        if placement.state == "failed":
            return Fail(f"{placement.replica}: {placement.reason or 'it failed'}")
    missing = [placement.replica for placement in placements if placement.state != "resident"]
    if not placements or missing:
        waiting = f"waiting for {', '.join(missing)}" if missing else "no ready replica has its base model"
        return Fail(f"{waiting} for more than {timeout_s:g} s") if late else Wait(waiting)
    if rollout.kind == "rollback":
        return Flip()
    for placement in placements:
        if reason := tested.get(placement.replica):
            return Fail(f"{placement.replica}: {reason}")
    untested = tuple(placement.replica for placement in placements if placement.replica not in tested)
    return Try(untested) if untested else Flip()
