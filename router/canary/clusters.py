"""What one caller may contribute to the evidence, where requests are assigned one by one. Pure.

The requests of one caller share a fate: a broken prompt fails every time. So a caller is a cluster, and what is taken
of it is bounded: of requests by twice its fair share of all, of bad events by a number that falls with the number of
callers. Both bounds go by what came before in both arms together, and not by the arm, so that a bet on the arm stays
honest.
"""

import math
from collections import Counter

_REQUESTS = 20
_EVENTS, _ALL_EVENTS = 5, 200
_MOST_CALLERS = 10_000


class Clusters:
    """What was taken of each caller while the canary had one `share`."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._requests: Counter[bytes] = Counter()
        self._events: Counter[tuple[bytes, str]] = Counter()
        self._spent: set[bytes] = set()
        self._taken = 0

    def takes(self, caller: bytes, callers: int) -> bool:
        """Whether a request of `caller` counts, one of `callers` that were seen."""
        if caller in self._spent or self._requests[caller] >= max(_REQUESTS, 2 * self._taken / max(callers, 1)):
            return False
        self._taken += 1
        if caller in self._requests or len(self._requests) < _MOST_CALLERS:
            self._requests[caller] += 1
        return True

    def note(self, caller: bytes, metric: str, callers: int) -> None:
        """Something bad of `caller` has counted. Who has had too much of it does not count any more."""
        if len(self._events) < _MOST_CALLERS:
            self._events[caller, metric] += 1
        if self._events[caller, metric] >= max(_EVENTS, math.ceil(_ALL_EVENTS / max(callers, 1))):
            self._spent.add(caller)
