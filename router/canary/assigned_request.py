"""A request that was assigned to an arm of a canary, and what became of it."""

from collections.abc import Collection
from dataclasses import dataclass

from patchbay.router.canary.assignment import Arm


@dataclass(slots=True, eq=False, kw_only=True)
class AssignedRequest:
    """`share`: the canary's at the time; `unit`: what was assigned, the caller, a conversation or this request alone;
    `caller`: who asked; `slices`: what it is of, as `tenant=acme`; `bad`: what was bad, once `done`, None where it
    counts for nobody; `place`: in the order of requests; `counted`: whether it had its turn there, and counts."""

    canary: int
    arm: Arm
    share: float
    unit: bytes
    caller: bytes
    began_s: float
    slices: tuple[str, ...] = ()
    done: bool = False
    bad: Collection[str] | None = None
    place: int = 0
    counted: bool = False
