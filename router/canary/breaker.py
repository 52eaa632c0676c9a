"""The breaker: takes a canary that alone fails out of service, on the router that sees it and in the same moment. Pure.

It bets on the arm of each request that ends, given how it ended. Had the canary no part in failures, a failed request
would be one of the canary's callers with a probability of the canary's share, however many requests fail in both arms
and whenever; and so would an answered one. It bets that nearly all of the canary's requests fail and nearly none of the
others'. A bet begins with the first request, and anew when the canary fails after the last bet was lost. The n-th bet
is decided at n(n + 1)/alpha, so that all of them together err with a probability of at most alpha over a canary's life
(Ville's inequality; the sum of 1/(n(n + 1)) is 1; sources of the method in evidence.py).
"""

import math
from collections import Counter
from dataclasses import dataclass, field

from patchbay.router.canary.assignment import Arm
from patchbay.router.canary.callers import Crowd, caller_of

ALPHA = 0.002
_FAILS, _FAILS_ELSEWHERE = 0.98, 0.02
_MOST_UNITS = 1000


@dataclass(slots=True, kw_only=True)
class _Bet:
    """One bet.

    `log_e`: its logarithm; `failed`: the canary's requests that failed in a row; `others`: requests of the other arm
    since the first of these, of which `others_failed` failed; `units`: the units that have counted, each once per arm
    with a failure and once without; `callers`: how many of the canary's failures each caller has.
    """

    log_e: float = 0.0
    failed: int = 0
    others: int = 0
    others_failed: int = 0
    units: set[tuple[Arm, bytes, bool]] = field(default_factory=set)
    callers: Counter[bytes] = field(default_factory=Counter)

    def note(self, arm: Arm, share: float, *, failed: bool) -> None:
        self.log_e += _gain(arm, share, failed=failed)
        if arm == "canary" and not failed:
            self.failed = self.others = self.others_failed = 0
        elif arm == "canary":
            self.failed += 1
        elif self.failed:
            self.others += 1
            self.others_failed += failed


class Breaker:
    """Decides when a canary is taken out at once.

    `least`: the number of the canary's requests that must fail in a row, while at least one of the others is answered.
    They must come from different callers, as far as there are so many (`crowd`): each caller counts for at most its
    part of `least`.
    """

    def __init__(self, least: int, crowd: Crowd | None = None) -> None:
        self._least = least
        self._crowd = crowd or Crowd()
        self._bets = 1
        self._bet: _Bet | None = _Bet()

    def after(self, arm: Arm, share: float, unit: bytes, *, failed: bool) -> str | None:
        """Notes a request that ended. Returns the reason to take the canary out, None as long as there is none.

        `share`: the canary's share when the request was assigned, 0 to 1; `unit`: what was assigned; `failed`: whether
        it got an error or nothing.
        """
        if not 0 < share < 1:
            return None
        if self._bet is None:
            if arm == "canary" and failed:
                # It is no part of the bet: that it was the canary's is why there is one.
                self._bets, self._bet = self._bets + 1, _Bet(units={(arm, unit, True)})
            return None
        return self._grown(self._bet, arm, share, unit, failed=failed)

    def _grown(self, bet: _Bet, arm: Arm, share: float, unit: bytes, *, failed: bool) -> str | None:
        if (arm, unit, failed) in bet.units:
            return None
        if arm == "canary" and failed:
            caller = caller_of(unit)
            if bet.callers[caller] >= self._most_of(caller):
                return None
            bet.callers[caller] += 1
        bet.units.add((arm, unit, failed))
        bet.note(arm, share, failed=failed)
        needed = math.log(self._bets * (self._bets + 1) / ALPHA)
        if bet.failed >= self._least and bet.others > bet.others_failed and bet.log_e >= needed:
            seen = f"{bet.failed} of its callers got errors or nothing, and {bet.others_failed} of {bet.others} others"
            return f"{seen} of that time"
        # Lost, or undecided for so long that its memory would grow without bound: the next failure begins a new one.
        if bet.log_e < 0 or len(bet.units) > _MOST_UNITS:
            self._bet = None
        return None

    def _most_of(self, caller: bytes) -> int:
        """Returns the number of failures of one caller that count at most."""
        if not self._crowd.is_shared_by(caller):
            return _MOST_UNITS
        return math.ceil(self._least / max(2, self._crowd.callers(self._least)))


def _gain(arm: Arm, share: float, *, failed: bool) -> float:
    """Returns by how much the evidence grows, as a logarithm."""
    canary = share * (_FAILS if failed else 1 - _FAILS)
    other = (1 - share) * (_FAILS_ELSEWHERE if failed else 1 - _FAILS_ELSEWHERE)
    return math.log((canary / share if arm == "canary" else other / (1 - share)) / (canary + other))
