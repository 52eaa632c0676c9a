"""Hold on requests that are suspected of killing replicas (`balance/suspicion.py` decides which)."""

import asyncio
import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_bytes

from patchbay.core.errors import SuspectedQuery
from patchbay.router.balance import suspicion
from patchbay.router.balance.suspicion import NOTHING, Death, Record
from patchbay.router.fleet.snapshot import Target
from patchbay.router.forward.request_kind import kind_of
from patchbay.router.telemetry.replica_metrics import ReplicaMetrics

# One JSON object for each hold: the kind's hash, the model and the replicas, never the prompt.
_audit = logging.getLogger("patchbay.audit")
_POLL_S = 0.02
_MOST_RECORDS = 10_000
_TIDY_S = 1.0


@dataclass(slots=True, eq=False, kw_only=True)
class Case:
    """Record of one request's tries. It begins when one fails, or while requests are suspected.

    `kind`: a keyed hash of its work; `label`: its model's name; `request`: its id; `deaths`: how many replicas died
    under it; `blamed`: replicas whose failure it was counted as; `counted`: whether a death was counted against one;
    `erred`: the replica that answered 500 first, and when it was asked, until another has answered.
    """

    kind: bytes
    label: str
    request: str
    deaths: int = 0
    blamed: set[str] = field(default_factory=set)
    counted: bool = False
    erred: tuple[str, float] | None = None


class Suspects:
    """Evidence of this router against kinds of requests, and the holds that follow. `clock`: seconds, monotonic."""

    def __init__(self, policy: suspicion.SuspicionPolicy, metrics: ReplicaMetrics, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._metrics = metrics
        self._clock = clock
        self._key = token_bytes(32)
        self._records: dict[bytes, Record] = {}
        self._trials: dict[bytes, Case] = {}
        self._poisoned_until_s: dict[bytes, float] = {}
        self._tidied_s = clock()

    @property
    def watching(self) -> bool:
        """Whether there is evidence against any request. While there is none, the checks can be skipped."""
        return bool(self._records)

    def case(self, target: Target, body: bytes, request: str) -> Case:
        """Opens the case of a request to `target` with JSON `body`. `request`: its id, for the audit log."""
        return Case(kind=kind_of(target.engine_name, body, self._key), label=target.label, request=request)

    def check(self, case: Case) -> None:
        """Raises SuspectedQuery where requests of this kind are held off."""
        record, now_s = self._records.get(case.kind), self._clock()
        if record is None or suspicion.standing(record, now_s) != "held":
            return
        self._metrics.query_held(case.label)
        raise SuspectedQuery(retry_after_s=max(1, math.ceil(record.until_s - now_s)))

    async def admit(self, case: Case) -> None:
        """Waits until a request may go to a replica: one of its kind at a time, after a death that the kind may have
        caused. Raises SuspectedQuery where the kind is held off."""
        while (record := self._records.get(case.kind)) is not None:
            self.check(case)
            if suspicion.standing(record, self._clock()) == "free":
                return
            if self._trials.setdefault(case.kind, case) is case:
                return
            await asyncio.sleep(_POLL_S)

    def left(self, case: Case) -> None:
        """Notes that a request is at no replica any more, so that the next of its kind may go."""
        if self._trials.get(case.kind) is case:
            del self._trials[case.kind]

    def died(self, case: Case, death: Death) -> None:
        """Notes that a replica died under a request. Raises SuspectedQuery where that was one death too many."""
        before = self._records.get(case.kind, NOTHING)
        after = self._records[case.kind] = suspicion.died(before, death, self._policy)
        self._tidy()
        if after.holds > before.holds or after.until_s > before.until_s:
            held_s = after.until_s - self._clock()
            self._report(case, (*before.deaths, death), held_s)
            raise SuspectedQuery(retry_after_s=max(1, math.ceil(held_s)))
        self._put(case.kind, after)

    def began(self, case: Case, *, midway: bool) -> None:
        """Notes that an answer began, or, `midway`, that its continuation did."""
        if (record := self._records.get(case.kind)) is not None:
            self._put(case.kind, suspicion.began(record, midway=midway))
            if not record.holds:
                self.left(case)

    def answered(self, case: Case) -> None:
        """Notes that an answer is whole, which clears its kind."""
        self._records.pop(case.kind, None)
        self.left(case)

    def poisons(self, case: Case) -> bool:
        """Whether requests of this kind are known to be answered with 500 wherever they go."""
        return self._poisoned_until_s.get(case.kind, 0.0) > self._clock()

    def poisoned(self, case: Case) -> None:
        """Notes that two replicas answered a request with 500."""
        if len(self._poisoned_until_s) >= _MOST_RECORDS:
            del self._poisoned_until_s[next(iter(self._poisoned_until_s))]
        self._poisoned_until_s[case.kind] = self._clock() + self._policy.hold_s

    def _put(self, kind: bytes, record: Record) -> None:
        if record.empty:
            self._records.pop(kind, None)
        else:
            self._records[kind] = record

    def _tidy(self) -> None:
        """Drops records that are over, and the oldest where there are too many."""
        now_s = self._clock()
        if now_s - self._tidied_s < _TIDY_S and len(self._records) <= _MOST_RECORDS:
            return
        self._tidied_s = now_s
        over = [kind for kind, record in self._records.items() if suspicion.is_over(record, now_s, self._policy)]
        for kind in over:
            del self._records[kind]
        while len(self._records) > _MOST_RECORDS:
            del self._records[next(iter(self._records))]

    def _report(self, case: Case, deaths: tuple[Death, ...], held_s: float) -> None:
        self._metrics.query_suspected(case.label)
        event = {
            "event": "suspected_query_of_death",
            "request": case.request,
            "kind": case.kind.hex(),
            "model": case.label,
            "replicas": [death.replica for death in deaths],
            "held_s": round(held_s, 1),
        }
        _audit.warning("%s", json.dumps(event))
