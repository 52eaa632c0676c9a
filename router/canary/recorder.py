"""What became of a canary's requests, and of those that it is compared with, on one router.

Outcomes are committed in the order in which requests were assigned, or an arm that fails faster than the other answers
would look worse than it is. A request that takes very long is waited for only so long, and committed when it ends. A
caller counts once: with the first request, and for each metric with the first bad event (the unit that is assigned is
the unit that is tested).
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from router.canary.ledger import Counts
from router.canary.once import Once
from router.canary.plan import PlanConfig
from router.canary.sums import Sum
from router.canary.trial import Arm

# What the breaker goes by: nothing that a client can want.
_HARD = frozenset({"errors", "empty"})
_MOST_SLICES = 200
_ONE_OF_A_KIND = b"request:"


@dataclass(slots=True, eq=False)
class Entry:
    """A request that was assigned. `share`: the canary's at the time; `slices`: what it is of, as
    `tenant=acme`; `bad`: what was bad, once `done`; None where it
    counts for nobody."""

    canary: int
    arm: Arm
    share: float
    unit: bytes
    began_s: float
    slices: tuple[str, ...] = ()
    done: bool = False
    late: bool = False
    bad: Collection[str] | None = None


class Recorder:
    """One canary's. `clock`: seconds, monotonic; `told`: is told of each that counts: its arm, its share, and what it
    counts as."""

    def __init__(
        self,
        canary: int,
        plan: PlanConfig,
        clock: Callable[[], float],
        told: Callable[[Arm, float, str], None] = lambda arm, share, what: None,
    ) -> None:
        self._canary = canary
        self._plan = plan
        self._clock = clock
        self._told = told
        self._waiting: deque[Entry] = deque()
        self._once = Once()
        self._sums: defaultdict[float, Sum] = defaultdict(Sum)
        self._failed: set[bytes] = set()
        self._others_fine = False
        self.tripped: str | None = None
        self._trip_told = False

    def begin(self, arm: Arm, share: float, unit: bytes, slices: tuple[str, ...] = ()) -> Entry:
        """A request is assigned to `arm`, while the canary has `share`."""
        entry = Entry(self._canary, arm, share, unit, self._clock(), slices)
        self._waiting.append(entry)
        return entry

    def end(self, entry: Entry, bad: Collection[str] | None) -> None:
        """It has ended. `bad`: the metrics by which it was bad; None where it counts for nobody, as what its client
        got wrong or broke off."""
        entry.done, entry.bad = True, bad
        if bad is not None:
            self._note_hard(entry, bad)
        if entry.late:
            self._commit(entry)
        self._settle()

    def happened(self, entry: Entry, metric: str) -> None:
        """Something bad came of it later, as a vote."""
        if metric not in self._plan.metrics:
            return
        if entry.unit.startswith(_ONE_OF_A_KIND) or self._once.is_first(metric.encode() + b"\0" + entry.unit):
            self._add(entry, metric)

    def won(self, share: float, value: float) -> None:
        """A pair was compared: 1 where the canary's answer is better, 0 where it is worse, else 0.5."""
        self._sums[share].wins[value] += 1
        self._told("canary", share, f"win_{value:g}")

    def shadowed(self, bad: Collection[str]) -> None:
        """The canary has answered a copy of a request. `bad`: by which metrics its answer was. Only requests that the
        stable revision has answered are copied, so this is evidence of the canary's own rates and of no ratio."""
        into = self._sums[0.0]
        into.requests["canary"] += 1
        into.shadowed += 1
        self._told("canary", 0.0, "copied")
        for metric in self._plan.metrics.keys() & set(bad):
            into.bad[metric]["canary"] += 1
            into.own[metric] += 1
            self._told("canary", 0.0, f"copied_{metric}")

    def take(self) -> Sequence[Counts]:
        """What was counted since the last time, by the share at which it was assigned."""
        self._settle()
        found = [one.counts(share) for share, one in self._sums.items()]
        self._sums = defaultdict(Sum)
        if self.tripped is not None and not self._trip_told:
            self._trip_told = True
            found.append(Counts(0.0, tripped=self.tripped))
        return found

    def give_back(self, counts: Sequence[Counts]) -> None:
        """Takes back what could not be passed on."""
        for one in counts:
            if one.tripped is not None:
                self._trip_told = False
                continue
            self._sums[one.share].add(one)

    def _settle(self) -> None:
        now = self._clock()
        while self._waiting and (self._waiting[0].done or now - self._waiting[0].began_s > self._plan.settle_s):
            entry = self._waiting.popleft()
            if entry.done:
                self._commit(entry)
            else:
                entry.late = True

    def _commit(self, entry: Entry) -> None:
        if entry.bad is None:
            return
        alone = self._plan.unit == "request" or entry.unit.startswith(_ONE_OF_A_KIND)
        first = alone or self._once.is_first(entry.unit)
        if first:
            self._sums[entry.share].requests[entry.arm] += 1
            self._told(entry.arm, entry.share, "request")
        for metric in self._plan.metrics.keys() & set(entry.bad):
            if first and entry.arm == "canary":
                self._sums[entry.share].own[metric] += 1
                self._told(entry.arm, entry.share, f"own_{metric}")
            if alone or self._once.is_first(metric.encode() + b"\0" + entry.unit):
                self._add(entry, metric)

    def _add(self, entry: Entry, metric: str) -> None:
        bad = self._sums[entry.share].bad
        bad[metric][entry.arm] += 1
        self._told(entry.arm, entry.share, metric)
        for name in (f"{metric}@{one}" for one in entry.slices):
            # Headers are the clients' own: they may name any number of slices.
            if name in bad or len(bad) < _MOST_SLICES:
                bad[name][entry.arm] += 1

    def _note_hard(self, entry: Entry, bad: Collection[str]) -> None:
        """The breaker: at once, and not in order, since it is no evidence but first aid."""
        failed = not _HARD.isdisjoint(bad)
        if entry.arm == "stable":
            self._others_fine = self._others_fine or not failed
            return
        if not failed:
            self._failed.clear()
            self._others_fine = False
            return
        if len(self._failed) < self._plan.breaker:
            self._failed.add(entry.unit)
        if len(self._failed) >= self._plan.breaker and self._others_fine and self.tripped is None:
            self.tripped = f"{len(self._failed)} callers in a row got errors or nothing from it, while others did not"
