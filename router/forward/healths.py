"""Health of each replica: its failures, ejections, pauses and deaths.

An *ejected* replica gets no requests after failures (`balance/outliers.py` decides). A *paused* one asked for that
itself, by `Retry-After`.
"""

import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from patchbay.router.balance import outliers
from patchbay.router.balance.outliers import SOUND, AnswerTally, Health, Sort
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.telemetry.replica_metrics import EjectionCause, ReplicaMetrics

_log = logging.getLogger("patchbay.router")
# Upper limit, however long a replica asks to be left alone.
_MOST_PAUSE_S = 600.0
# Replicas with few answers are compared after this many intervals at the latest.
_MAX_INTERVALS = 60


@dataclass(frozen=True, slots=True)
class ReplicaDeath:
    """Death of a replica, under which many requests may fail. `at_s`: when it was noticed first; `kinds`: of those
    requests; `sound`: whether the replica was well until then; `concurrent`: how many requests it had."""

    at_s: float
    kinds: frozenset[bytes]
    sound: bool
    concurrent: int


class ReplicaHealths:
    """Health of all replicas as this router sees it. `policy`: when to eject; `clock`: seconds, monotonic."""

    def __init__(
        self, policy: outliers.OutlierPolicy, fleet: Fleet, metrics: ReplicaMetrics, clock: Callable[[], float]
    ) -> None:
        self._policy = policy
        self._fleet = fleet
        self._metrics = metrics
        self._clock = clock
        self._health: dict[str, Health] = {}
        self._deaths: dict[str, ReplicaDeath] = {}
        self._paused: dict[str, float] = {}
        # Answers since `_since_s`, for the comparison of the replicas.
        self._good: Counter[str] = Counter()
        self._bad: Counter[str] = Counter()
        self._since_s = clock()

    @property
    def all_available(self) -> bool:
        """Whether every replica may be asked. Cheap: it is read for each request."""
        return not self._health and not self._paused

    def unavailable(self) -> set[str]:
        """Returns the replicas that must not be asked now: ejected or paused."""
        now_s = self._clock()
        for name in [name for name, until_s in self._paused.items() if until_s <= now_s]:
            del self._paused[name]
        ejected = {name for name, health in self._health.items() if not outliers.admits(health, now_s)}
        return ejected.union(self._paused)

    def is_ejected(self, name: str) -> bool:
        """Whether a replica gets no requests for now, after failures."""
        return name in self._health and not outliers.admits(self._health[name], self._clock())

    def ejected_s(self, name: str) -> float:
        """Returns the seconds until an ejected replica is tried again. 0 where it is not ejected, or is on trial."""
        health = self._health.get(name, SOUND)
        return max(0.0, health.until_s - self._clock()) if health.ejected else 0.0

    def paused_s(self, name: str) -> float:
        """Returns the seconds for which a replica asked to be left alone. 0 where it did not."""
        return max(0.0, self._paused.get(name, 0.0) - self._clock())

    def pause(self, name: str, seconds: float) -> None:
        """Sends a replica no requests for `seconds`, as it asked, but no longer than ten minutes."""
        self._paused[name] = self._clock() + min(max(seconds, 0.0), _MOST_PAUSE_S)

    def asked(self, name: str) -> None:
        """Notes that a request goes to a replica."""
        if name in self._health:
            self._health[name] = outliers.asked(self._health[name])

    def released(self, name: str) -> None:
        """Notes that a request has ended at a replica without telling anything of its health."""
        if name in self._health:
            self._health[name] = outliers.released(self._health[name])

    def began(self, name: str) -> None:
        """Notes that a replica began an answer."""
        if self._deaths:
            self._deaths.pop(name, None)
        if name in self._health:
            self._health[name] = outliers.began(self._health[name])

    def answered(self, name: str) -> None:
        """Notes that a replica gave a whole answer."""
        self._good[name] += 1
        if name in self._health:
            after = outliers.answered(self._health[name], self._clock(), self._policy)
            if after is SOUND:
                del self._health[name]
            else:
                self._health[name] = after

    def died(self, name: str, began_s: float, kind: bytes, concurrent: int) -> ReplicaDeath:
        """Notes that a replica died under a request, and returns the death, which other requests may share.

        `began_s`: when the request began; `kind`: of the request; `concurrent`: requests at the replica, with this one.
        """
        before = self._deaths.get(name)
        # A request that began before the last death belongs to it: all that the replica was doing died with it.
        if before is not None and began_s <= before.at_s:
            self._deaths[name] = ReplicaDeath(before.at_s, before.kinds | {kind}, before.sound, before.concurrent)
            return before
        # A replica that died of requests of other kinds, and has answered none since, is broken itself.
        sound = before is None or kind in before.kinds
        death = self._deaths[name] = ReplicaDeath(self._clock(), frozenset({kind}), sound, concurrent)
        return death

    def failed(self, name: str, sort: Sort, began_s: float) -> None:
        """Notes a failure of a replica, and ejects it where that is one too many.

        `sort`: a failure, or an error that another replica did not give; `began_s`: when the request began.
        """
        now_s = self._clock()
        self._bad[name] += 1
        before = self._health.get(name, SOUND)
        after = self._health[name] = outliers.failed(before, sort, began_s, now_s)
        if after is not before and outliers.is_due(after, self._policy):
            by_failures = after.ejected or after.failures >= self._policy.failures
            self._eject(name, "failures" if by_failures else "errors")
        self._compare(now_s)

    def _compare(self, now_s: float) -> None:
        """Compares the replicas' failure rates and ejects outliers.

        Called after failures. It acts once an interval is over, or later, once enough answers are there to compare.
        """
        elapsed_s = now_s - self._since_s
        if elapsed_s < self._policy.interval_s:
            return
        tallies = {name: AnswerTally(good=self._good[name], bad=self._bad[name]) for name in {*self._good, *self._bad}}
        enough = sum(tally.total >= self._policy.answers for tally in tallies.values()) > 1
        if not enough and elapsed_s < _MAX_INTERVALS * self._policy.interval_s:
            return
        for name in outliers.by_rate(tallies, self._policy):
            if not self._health.get(name, SOUND).ejected:
                self._eject(name, "rate")
        self._good.clear()
        self._bad.clear()
        self._since_s = now_s

    def _eject(self, name: str, cause: EjectionCause) -> None:
        before = self._health.get(name, SOUND)
        ready = {replica.name for replica in self._fleet.view.replicas if replica.state == "ready"} | {name}
        ejected = sum(self._health[other].ejected for other in ready if other in self._health and other != name)
        answers = cause != "failures"
        if not before.ejected and not outliers.may_eject(ejected, len(ready), self._policy, answers=answers):
            return
        jitter = random.random()  # noqa: S311 - no secret
        self._health[name] = outliers.ejected(before, self._clock(), self._policy, jitter)
        if cause == "rate" or not before.ejected:
            _log.warning("replica %s is left alone for a while: %s", name, _REASONS[cause])
        self._metrics.circuit_opened(name, cause)


_REASONS = {
    "failures": "it failed several times in a row",
    "errors": "it answered 500 several times in a row to what others can answer",
    "rate": "it fails more often than the others do",
}
