"""The bound on how far one caller can move the evidence against a canary. Pure.

A client sees which arm has answered, so a malicious one can spoil the canary's answers alone: by votes, by odd prompts
of its own. No such caller may decide alone where others ask, too. So the part of the bet that the canary is worse that
a caller's own events have made is kept beside the bet, and an event that could lift it above a part of what rolls back
is not counted. Whether an event counts is decided before its arm is looked at, so the bet on the arm stays honest.
"""

import math

from patchbay.router.canary.evidence import Wealth, worse
from patchbay.router.canary.plan import PlanConfig

# Shares of the logarithm that rolls back. A caller who is beyond the first counts no more, and no event counts that
# could bring a caller beyond the second. So two callers can roll a canary back, and one cannot.
_ENOUGH, _PART = 0.5, 0.75
_MOST = 20_000


class Influence:
    """Keeps what each caller has contributed to the evidence, by metric, over one canary's life."""

    def __init__(self, plan: PlanConfig) -> None:
        self._needed = math.log(plan.needed)
        self._bets = {name: worse(metric.tolerated) for name, metric in plan.metrics.items()}
        self._wealth: dict[tuple[bytes, str], Wealth] = {}
        self._spent: set[bytes] = set()

    def is_spent(self, caller: bytes) -> bool:
        """Whether `caller` has contributed all that one caller may."""
        return caller in self._spent

    def may_add(self, caller: bytes, metric: str, share: float, *, shared: bool) -> bool:
        """Whether a bad event of `caller` counts, whichever arm it fell on.

        `share`: the canary's, 0 to 1; `shared`: whether other callers ask as well.
        """
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
        """Adds a bad event of `caller` that has counted. `canary`: whether it fell on the canary."""
        known = self._wealth.get((caller, metric))
        if 0 < share < 1 and (known is not None or len(self._wealth) < _MOST):
            bet = self._bets[metric]
            self._wealth[caller, metric] = bet.after(known or bet.start, int(canary), int(not canary), share)
