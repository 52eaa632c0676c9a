"""The recorder of a canary: counts the outcomes of its requests, and of those that it is compared with, on one router.

Outcomes count in the order of event_order.py. What is assigned is what counts: a caller (or a conversation) counts once
in each arm, with its first request, and for each metric with its first bad event (counted_callers.py). Where requests
are assigned one by one each of them counts, up to a bound for each caller (clusters.py). No caller, by whatever names,
moves the evidence further than influence.py allows where others ask, too. The comparison of the arms and the canary's
own rate see the same events.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from patchbay.router.canary.assigned_request import AssignedRequest
from patchbay.router.canary.assignment import Arm
from patchbay.router.canary.breaker import Breaker
from patchbay.router.canary.callers import Crowd, caller_of
from patchbay.router.canary.clusters import NestedClusters
from patchbay.router.canary.counted_callers import CountedCallers
from patchbay.router.canary.counts import GrowingCounts
from patchbay.router.canary.event_order import EventOrder
from patchbay.router.canary.influence import Influence
from patchbay.router.canary.ledger import CallersSeen, Counts
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.canary.population import ALONE, Population

# The breaker counts only these: no client can bring them about at will.
_HARD = frozenset({"errors", "empty"})
_MOST_SLICES = 200


class Recorder:
    """Records the requests of one canary.

    `clock`: seconds, monotonic; `told`: called for each event that counts, with its arm, its share, and the name of the
    count.
    """

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
        self._order = EventOrder(clock, plan.settle_s)
        self._counted = CountedCallers(plan)
        self._clusters = NestedClusters(0.0)
        self._crowd = Crowd()
        self._influence = Influence(plan)
        self._breaker = Breaker(plan.breaker, self._crowd)
        self._sums: defaultdict[float, GrowingCounts] = defaultdict(GrowingCounts)
        self._seen_told = CallersSeen("", 0, 0.0)
        self.population = Population(plan)
        self.tripped: str | None = None
        self._trip_told = False

    def begin(
        self, arm: Arm, share: float, unit: bytes, slices: tuple[str, ...] = (), caller: bytes | None = None
    ) -> AssignedRequest:
        """Notes a request that is assigned by its `unit` to `arm`.

        `share`: the canary's at the time, 0 to 1; `slices`: the slices that it is in; `caller`: who asks, by default
        `unit` itself.
        """
        entry = AssignedRequest(
            canary=self._canary,
            arm=arm,
            share=share,
            unit=unit,
            caller=unit if caller is None else caller,
            began_s=self._clock(),
            slices=slices,
        )
        self._crowd.asked(caller_of(entry.caller))
        self._order.begin(entry)
        return entry

    def end(self, entry: AssignedRequest, bad: Collection[str] | None) -> None:
        """Notes the end of a request.

        `bad`: the metrics by which it was bad; None where it counts for nobody, as where its client made a mistake or
        broke off.
        """
        entry.done, entry.bad = True, bad
        if bad is not None and self.tripped is None:
            failed = not _HARD.isdisjoint(bad)
            self.tripped = self._breaker.after(entry.arm, entry.share, entry.unit, failed=failed)
        self._order.end(entry, "failed" if bad and "errors" in bad else "answered")
        self._settle()

    def happened(self, entry: AssignedRequest, metric: str) -> None:
        """Notes something bad that came later, such as a vote."""
        if metric not in self._plan.metrics:
            return
        if entry.counted:
            self._add(entry, metric)
        elif entry.bad is not None:
            entry.bad = {*entry.bad, metric}

    def won(self, share: float, value: float) -> None:
        """Counts a compared pair: 1 where the canary's answer is better, 0 where it is worse, else 0.5."""
        self._sums[share].wins[value] += 1
        self._told("canary", share, f"win_{value:g}")

    def shadowed(self, bad: Collection[str]) -> None:
        """Counts a copy that the canary has answered. `bad`: the metrics by which its answer was bad.

        Only requests that the stable revision has answered are copied, so this is evidence about the canary's own rates
        and about no ratio.
        """
        into = self._sums[0.0]
        into.requests["canary"] += 1
        into.shadowed += 1
        self._told("canary", 0.0, "copied")
        for metric in self._plan.metrics.keys() & set(bad):
            into.bad[metric]["canary"] += 1
            into.own[metric] += 1
            self._told("canary", 0.0, f"copied_{metric}")

    def take(self) -> Sequence[Counts]:
        """Takes the counts since the last time, one for each share at which requests were assigned."""
        self._settle()
        found = [growing.counts(share) for share, growing in self._sums.items()]
        self._sums = defaultdict(GrowingCounts)
        if self.tripped is not None and not self._trip_told:
            self._trip_told = True
            found.append(Counts(share=0.0, tripped=self.tripped))
        seen = self.population.seen
        if seen.callers and seen.is_news(self._seen_told):
            self._seen_told = seen
            found.append(Counts(share=0.0, seen=seen))
        return found

    def give_back(self, counts: Sequence[Counts]) -> None:
        """Puts back counts that could not be passed on."""
        for part in counts:
            if part.tripped is not None:
                self._trip_told = False
            elif part.seen is not None:
                self._seen_told = CallersSeen("", 0, 0.0)
            else:
                self._sums[part.share].add(part)

    def _settle(self) -> None:
        for entry in self._order.settled():
            if entry.bad is not None and self._counts(entry):
                entry.counted = True
                for metric in self._plan.metrics.keys() & set(entry.bad):
                    self._add(entry, metric)

    def _counts(self, entry: AssignedRequest) -> bool:
        """Counts a request, where its caller is new in its arm. Returns whether its bad events may count, too."""
        caller = caller_of(entry.caller)
        if self._influence.is_spent(caller) and self._crowd.is_shared_by(caller):
            return False
        if self._is_alone(entry):
            names = self.population.names_of(caller)
            if not self._clusters_of(entry.share).takes(entry.caller, self._crowd.size, names):
                return False
        elif not self._counted.is_new(entry.arm, entry.share, entry.unit):
            return True
        self._sums[entry.share].requests[entry.arm] += 1
        self._told(entry.arm, entry.share, "request")
        return True

    def _is_alone(self, entry: AssignedRequest) -> bool:
        return self._plan.unit == "request" or entry.unit.startswith(ALONE)

    def _clusters_of(self, share: float) -> NestedClusters:
        if self._clusters.share != share:
            self._clusters = NestedClusters(share)
        return self._clusters

    def _add(self, entry: AssignedRequest, metric: str) -> None:
        """Counts a bad event, once for each assigned unit, in the comparison and in the canary's own rate."""
        caller = caller_of(entry.caller)
        alone, share = self._is_alone(entry), entry.share
        if not alone:
            left = self._counted.share_of(entry.arm, entry.share, metric, entry.unit)
            if left is None:
                return
            share = left
        if not self._influence.may_add(caller, metric, share, shared=self._crowd.is_shared_by(caller)):
            return
        self._influence.add(caller, metric, share, canary=entry.arm == "canary")
        if alone:
            names = self.population.names_of(caller)
            self._clusters_of(entry.share).note(entry.caller, metric, self._crowd.size, names)
        self._put(entry, metric, share)

    def _put(self, entry: AssignedRequest, metric: str, share: float) -> None:
        bad = self._sums[share].bad
        bad[metric][entry.arm] += 1
        self._told(entry.arm, share, metric)
        if entry.arm == "canary":
            self._sums[share].own[metric] += 1
            self._told(entry.arm, share, f"own_{metric}")
        for name in (f"{metric}@{part}" for part in entry.slices):
            # Headers are the clients' own: they may name any number of slices.
            if name in bad or len(bad) < _MOST_SLICES:
                bad[name][entry.arm] += 1
