"""A request that was assigned to an arm of a canary, with its outcome."""

from collections.abc import Collection
from dataclasses import dataclass

from patchbay.router.canary.assignment import Arm


@dataclass(slots=True, eq=False, kw_only=True)
class AssignedRequest:
    """Follows one request of a canary from its assignment to its count.

    `canary`: the canary's id; `share`: the canary's share at the time, 0 to 1; `unit`: what was assigned: the caller, a
    conversation or this request alone; `caller`: who asked; `began_s`: when, monotonic seconds; `slices`: the slices
    that it is in, such as `tenant=acme`; `bad`: the metrics by which it was bad, once `done`, None where it counts for
    nobody; `place`: its number in the order of requests; `counted`: whether its turn has come and it counts.
    """

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
