"""How far one caller has moved the evidence against a canary, and where that ends. Pure.

A client sees which arm has answered, so one with bad intent can make only what the canary answers go wrong: votes, its
own odd prompts. No such caller decides alone where others ask, too. What its own events have made of the bet that the
canary is worse is kept beside the bet, and none counts by which it could exceed a part of what rolls back. Whether an
event counts is known before its arm is looked at, so the bet on the arm stays honest.
"""

import math

from patchbay.router.canary.evidence import Wealth, worse
from patchbay.router.canary.plan import PlanConfig

# Of the logarithm of what rolls back: beyond the first nothing more of one caller counts, and nothing by which it could
# come beyond the second. Two callers can do it, and one cannot.
_ENOUGH, _PART = 0.5, 0.75
_MOST = 20_000


class Influence:
    """What each caller has made of the evidence, by metric, over one canary's life."""

    def __init__(self, plan: PlanConfig) -> None:
        self._needed = math.log(plan.needed)
        self._bets = {name: worse(metric.tolerated) for name, metric in plan.metrics.items()}
        self._wealth: dict[tuple[bytes, str], Wealth] = {}
        self._spent: set[bytes] = set()

    def is_spent(self, caller: bytes) -> bool:
        """Whether `caller` has said all that it may alone."""
        return caller in self._spent

    def may_add(self, caller: bytes, metric: str, share: float, *, shared: bool) -> bool:
        """Whether a bad event of `caller` counts, whichever arm it fell on. `shared`: whether others ask as well."""
        if not (shared and 0 < share < 1):
            return True
        if caller in self._spent:
            return False
        known = self._wealth.get((caller, metric))
        if known is None:
            return len(self._wealth) < _MOST
        after = self._bets[metric].after(known, 1, 0, share)
        if known.log_e <= _ENOUGH * self._needed and after.log_e <= _PART * self._needed:
            return True
        self._spent.add(caller)
        return False

    def add(self, caller: bytes, metric: str, share: float, *, canary: bool) -> None:
        """Notes that a bad event of `caller` has counted."""
        known = self._wealth.get((caller, metric))
        if 0 < share < 1 and (known is not None or len(self._wealth) < _MOST):
            bet = self._bets[metric]
            self._wealth[caller, metric] = bet.after(known or bet.start, int(canary), int(not canary), share)
