"""The order in which outcomes count: that of the requests, as far as waiting for it takes little time.

If outcomes counted as they come, an arm that fails faster than the other one answers would look worse than it is. So an
outcome waits for all earlier requests, but for each of them only as long as such outcomes usually take in its arm: an
endless stream says nothing about errors that come within a second.
"""

import heapq
import math
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

from patchbay.router.canary.assigned_request import AssignedRequest
from patchbay.router.canary.assignment import Arm

Kind = Literal["failed", "answered"]
_ARMS: tuple[Arm, Arm] = ("canary", "stable")
_KEPT, _LEAST, _USUAL = 200, 20, 0.95


class EventOrder:
    """Puts outcomes into the order of their requests.

    `clock`: seconds, monotonic; `longest_s`: the longest time that an outcome waits for an earlier request, and the
    time that it does wait while too little is known of an arm.
    """

    def __init__(self, clock: Callable[[], float], longest_s: float) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self._kinds: dict[Kind, _Line] = {"failed": _Line(), "answered": _Line()}
        self._all: dict[Arm, _TypicalWait] = {arm: _TypicalWait() for arm in _ARMS}
        self._next = 0

    def begin(self, entry: AssignedRequest) -> None:
        """Adds a request that has come."""
        entry.place = self._next
        self._next += 1
        for line in self._kinds.values():
            line.open[entry.arm].append(entry)

    def end(self, entry: AssignedRequest, kind: Kind) -> None:
        """Notes the outcome of a request, and its kind."""
        took_s = self._clock() - entry.began_s
        self._kinds[kind].typical[entry.arm].note(took_s)
        self._all[entry.arm].note(took_s)
        heapq.heappush(self._kinds[kind].ended, (entry.place, entry))

    def settled(self) -> Iterator[AssignedRequest]:
        """Takes the requests that count now, in order, each once."""
        now = self._clock()
        for line in self._kinds.values():
            first = min(self._first_open(line, "canary", now), self._first_open(line, "stable", now))
            while line.ended and line.ended[0][0] < first:
                yield heapq.heappop(line.ended)[1]

    def _first_open(self, line: "_Line", arm: Arm, now: float) -> float:
        """Returns the place of the first request of an arm that others wait for, infinity where there is none."""
        open_ = line.open[arm]
        while open_ and (open_[0].done or now - open_[0].began_s > self._horizon_s(line, arm)):
            open_.popleft()
        return open_[0].place if open_ else math.inf

    def _horizon_s(self, line: "_Line", arm: Arm) -> float:
        known = line.typical[arm].within_s, self._all[arm].within_s
        return min(next((within_s for within_s in known if within_s is not None), self._longest_s), self._longest_s)


class _Line:
    """The open requests and the waiting outcomes of one kind."""

    def __init__(self) -> None:
        self.open: dict[Arm, deque[AssignedRequest]] = {arm: deque() for arm in _ARMS}
        self.typical: dict[Arm, _TypicalWait] = {arm: _TypicalWait() for arm in _ARMS}
        self.ended: list[tuple[int, AssignedRequest]] = []


class _TypicalWait:
    """The time that the last outcomes took. `within_s`: their 95th percentile, None where too few are known."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque()
        self._sorted: list[float] = []

    @property
    def within_s(self) -> float | None:
        return self._sorted[int(len(self._sorted) * _USUAL)] if len(self._sorted) >= _LEAST else None

    def note(self, took_s: float) -> None:
        self._seen.append(took_s)
        insort(self._sorted, took_s)
        if len(self._seen) > _KEPT:
            self._sorted.remove(self._seen.popleft())
