"""Bounds on a caller's contribution to the evidence, where requests are assigned one by one. Pure.

The requests of one caller share a fate: a broken prompt fails every time. So a caller is a cluster with two bounds: it
counts for at most twice its fair share of all requests, and for a number of bad events that falls with the number of
callers. Both bounds depend on the earlier requests of both arms together, and not on the arm, so that a bet on the arm
stays honest. A caller is a key, which all names that it gives itself share; each name within it is bounded in the same
way.
"""

import math
from collections import Counter

from patchbay.router.canary.callers import caller_of

_REQUESTS = 20
_EVENTS, _ALL_EVENTS = 5, 200
_MOST_CALLERS = 10_000
_MOST_WITHIN = 1000


class Clusters:
    """Counts the contributions of each caller while the canary had one `share`."""

    def __init__(self, share: float, most: int = _MOST_CALLERS) -> None:
        self.share = share
        self._most = most
        self._requests: Counter[bytes] = Counter()
        self._events: Counter[tuple[bytes, str]] = Counter()
        self._spent: set[bytes] = set()
        self._taken = 0

    def takes(self, caller: bytes, callers: int) -> bool:
        """Whether a request of `caller` counts. `callers`: the number of callers seen."""
        if caller in self._spent or self._requests[caller] >= max(_REQUESTS, 2 * self._taken / max(callers, 1)):
            return False
        self._taken += 1
        if caller in self._requests or len(self._requests) < self._most:
            self._requests[caller] += 1
        return True

    def note(self, caller: bytes, metric: str, callers: int) -> None:
        """Adds a bad event of `caller` that has counted. A caller with too many of them counts no more."""
        if len(self._events) < self._most:
            self._events[caller, metric] += 1
        if self._events[caller, metric] >= max(_EVENTS, math.ceil(_ALL_EVENTS / max(callers, 1))):
            self._spent.add(caller)


class NestedClusters:
    """Clusters of callers, and within each caller clusters of its names, while the canary had one `share`."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._callers = Clusters(share)
        self._within: dict[bytes, Clusters] = {}

    def takes(self, name: bytes, callers: int, names: int) -> bool:
        """Whether a request of `name` counts. `callers`: the number of callers; `names`: of names that this caller
        has."""
        within, caller = self._names_of(name, names), caller_of(name)
        return (within is None or within.takes(name, names)) and self._callers.takes(caller, callers)

    def note(self, name: bytes, metric: str, callers: int, names: int) -> None:
        """Adds a bad event of `name` that has counted. `metric`: by which it was bad."""
        if (within := self._names_of(name, names)) is not None:
            within.note(name, metric, names)
        self._callers.note(caller_of(name), metric, callers)

    def _names_of(self, name: bytes, names: int) -> Clusters | None:
        caller = caller_of(name)
        if caller not in self._within and names > 1 and len(self._within) < _MOST_WITHIN:
            self._within[caller] = Clusters(self.share, _MOST_WITHIN)
        return self._within.get(caller)
