"""The memory of callers that were counted, in which arm, and of what a further event of theirs can still say.

A hash assigns callers: they stay in the canary as its share grows, and may move into it from the stable arm. So the
weight of a second event depends on the first one. If a caller was in the stable arm while the canary had a share s, and
had something bad there, the next event falls on the canary at a share t with a probability of (t - s)/(1 - s). If the
caller was in the canary already, it falls there for certain, which says nothing. With these shares the bets of
evidence.py stay honest while callers move: each event is judged given all that was counted of its caller before.
"""

import math

from patchbay.router.canary.assignment import Arm
from patchbay.router.canary.first_seen import BloomFilter
from patchbay.router.canary.plan import PlanConfig, StepConfig

# More callers come while a plan lasts than it needs, and some are counted in both arms.
_SPARE = 16
_LEAST_CALLERS = 250_000


class CountedCallers:
    """Remembers, for one canary's recorder, which callers have counted. Its size follows the plan."""

    def __init__(self, plan: PlanConfig) -> None:
        self._once = BloomFilter(callers_expected(plan))
        self._shares: list[float] = []

    @property
    def error(self) -> float:
        """The probability that a new caller is taken for a known one."""
        return self._once.error

    def is_new(self, arm: Arm, share: float, unit: bytes) -> bool:
        """Whether `unit` is to be counted in `arm`: once in the canary, in the stable arm once for each share."""
        return self._once.is_first(_key(arm, share, b"", unit))

    def share_of(self, arm: Arm, share: float, metric: str, unit: bytes) -> float | None:
        """Returns the share at which a bad event of `unit` counts, None where it says nothing any more."""
        key = metric.encode()
        if self._once.knows(_key("canary", share, key, unit)) or not self._once.is_first(_key(arm, share, key, unit)):
            return None
        before = max((earlier for earlier in self._shares if self._was_stable(earlier, share, key, unit)), default=0.0)
        if share not in self._shares:
            self._shares.append(share)
        if before >= share:
            return None
        return share if not before else float(f"{(share - before) / (1 - before):.6g}")

    def _was_stable(self, then: float, share: float, key: bytes, unit: bytes) -> bool:
        return then != share and self._once.knows(_key("stable", then, key, unit))


def callers_expected(plan: PlanConfig) -> int:
    """Returns the number of callers that a memory has to hold: a multiple of those that a plan needs where each counts
    once."""
    return max(_LEAST_CALLERS, math.ceil(_SPARE * max(step.samples * 100 / weight for step, weight in growths(plan))))


def growths(plan: PlanConfig) -> list[tuple[StepConfig, float]]:
    """Lists each step with the percentage of callers who are new in it."""
    before = [0.0, *(step.weight for step in plan.steps)]
    return [(step, step.weight - less) for step, less in zip(plan.steps, before, strict=False)]


def _key(arm: Arm, share: float, metric: bytes, unit: bytes) -> bytes:
    return b"\0".join((metric, b"canary" if arm == "canary" else b"%r" % share, unit))
