"""How well each replica does: what it failed at, whether it is left alone, and what dies with it."""

import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from patchbay.router.balance import outliers
from patchbay.router.balance.outliers import SOUND, AnswerTally, Health, Sort
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.telemetry.metrics import EjectionCause, Metrics

_log = logging.getLogger("patchbay.router")
# However long a replica wants to be left alone for.
_MOST_PAUSE_S = 600.0
# Intervals, where little is asked.
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class ReplicaDeath:
    """A replica's death, of which many requests can die. `kinds`: theirs; `sound`: whether it was well until then;
    `company`: how many there were."""

    at_s: float
    kinds: frozenset[bytes]
    sound: bool
    company: int


class ReplicaHealths:
    """`clock`: seconds, monotonic."""

    def __init__(
        self, policy: outliers.OutlierPolicy, fleet: Fleet, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._policy = policy
        self._fleet = fleet
        self._metrics = metrics
        self._clock = clock
        self._health: dict[str, Health] = {}
        self._falls: dict[str, ReplicaDeath] = {}
        self._paused: dict[str, float] = {}
        self._good: Counter[str] = Counter()
        self._bad: Counter[str] = Counter()
        self._since_s = clock()

    @property
    def untroubled(self) -> bool:
        """Whether every replica may be asked."""
        return not self._health and not self._paused

    def shunned(self) -> set[str]:
        """The replicas that are not to be asked now."""
        now_s = self._clock()
        for name in [name for name, until_s in self._paused.items() if until_s <= now_s]:
            del self._paused[name]
        shut = {name for name, one in self._health.items() if not outliers.admits(one, now_s)}
        return shut.union(self._paused)

    def is_shut(self, name: str) -> bool:
        """Whether a replica is left alone for now, after failures."""
        return name in self._health and not outliers.admits(self._health[name], self._clock())

    def shut_s(self, name: str) -> float:
        """For how many seconds a replica is left alone, after failures; 0 where it is not, or is on trial."""
        health = self._health.get(name, SOUND)
        return max(0.0, health.until_s - self._clock()) if health.shut else 0.0

    def paused_s(self, name: str) -> float:
        """For how many seconds a replica is not to be asked, as it said itself; 0 where it may be."""
        return max(0.0, self._paused.get(name, 0.0) - self._clock())

    def pause(self, name: str, seconds: float) -> None:
        """Leaves a replica alone for as long as it said."""
        self._paused[name] = self._clock() + min(max(seconds, 0.0), _MOST_PAUSE_S)

    def asked(self, name: str) -> None:
        """Notes that a request goes there."""
        if name in self._health:
            self._health[name] = outliers.asked(self._health[name])

    def released(self, name: str) -> None:
        """Notes that a request has ended there that tells nothing of it."""
        if name in self._health:
            self._health[name] = outliers.released(self._health[name])

    def began(self, name: str) -> None:
        """Notes that an answer began there."""
        if self._falls:
            self._falls.pop(name, None)
        if name in self._health:
            self._health[name] = outliers.began(self._health[name])

    def answered(self, name: str) -> None:
        """Notes a whole answer."""
        self._good[name] += 1
        if name in self._health:
            after = outliers.answered(self._health[name], self._clock(), self._policy)
            if after is SOUND:
                del self._health[name]
            else:
                self._health[name] = after

    def fell(self, name: str, began_s: float, kind: bytes, company: int) -> ReplicaDeath:
        """Notes that a replica died under a request of that kind, and gives the death, which may be of others too."""
        before = self._falls.get(name)
        if before is not None and began_s <= before.at_s:
            self._falls[name] = ReplicaDeath(before.at_s, before.kinds | {kind}, before.sound, before.company)
            return before
        sound = before is None or kind in before.kinds
        fall = self._falls[name] = ReplicaDeath(self._clock(), frozenset({kind}), sound, company)
        return fall

    def failed(self, name: str, sort: Sort, began_s: float) -> None:
        """Notes a failure, and leaves the replica alone for a while where that is one too many."""
        now_s = self._clock()
        self._bad[name] += 1
        before = self._health.get(name, SOUND)
        after = self._health[name] = outliers.failed(before, sort, began_s, now_s)
        if after is not before and outliers.is_due(after, self._policy):
            by_failures = after.shut or after.failures >= self._policy.failures
            self._eject(name, "failures" if by_failures else "errors")
        self._compare(now_s)

    def _compare(self, now_s: float) -> None:
        """Compares the replicas, once an interval in which something failed, or later, once there is enough for it."""
        past_s = now_s - self._since_s
        if past_s < self._policy.interval_s:
            return
        tallies = {name: AnswerTally(self._good[name], self._bad[name]) for name in {*self._good, *self._bad}}
        enough = sum(tally.total >= self._policy.answers for tally in tallies.values()) > 1
        if not enough and past_s < _LONGEST * self._policy.interval_s:
            return
        for name in outliers.by_rate(tallies, self._policy):
            if not self._health.get(name, SOUND).shut:
                self._eject(name, "rate")
        self._good.clear()
        self._bad.clear()
        self._since_s = now_s

    def _eject(self, name: str, cause: EjectionCause) -> None:
        before = self._health.get(name, SOUND)
        ready = {one.name for one in self._fleet.view.replicas if one.state == "ready"} | {name}
        shut = sum(self._health[one].shut for one in ready if one in self._health and one != name)
        answers = cause != "failures"
        if not before.shut and not outliers.may_eject(shut, len(ready), self._policy, answers=answers):
            return
        jitter = random.random()  # noqa: S311 - no secret
        self._health[name] = outliers.ejected(before, self._clock(), self._policy, jitter)
        if cause == "rate" or not before.shut:
            _log.warning("replica %s is left alone for a while: %s", name, _WHY[cause])
        self._metrics.circuit_opened(name, cause)


_WHY = {
    "failures": "it failed several times in a row",
    "errors": "it answered 500 several times in a row to what others can answer",
    "rate": "it fails more often than the others do",
}
