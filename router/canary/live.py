"""The canaries that this router sends requests to, and its counts of each. They are swapped as the registry has
them."""

import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from patchbay.core.errors import ConfigError, Unavailable
from patchbay.registry.canary_records import CanaryRecord
from patchbay.router.canary.assigned_request import AssignedRequest
from patchbay.router.canary.assignment import Arm, Asker, CanaryAssignment, slices_of
from patchbay.router.canary.baseline import Baseline
from patchbay.router.canary.config import plan_of
from patchbay.router.canary.ledger import Counts
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.canary.recorder import Recorder
from patchbay.router.routes.table import language_of
from patchbay.router.telemetry.canary_metrics import CanaryMetrics

_log = logging.getLogger("patchbay.router")
_STEERED = ("running", "paused", "promoting")
_VOTES_KEPT = 20_000
_ALONE_TOLD_EVERY_S = 60.0
Interrupt = Callable[[Unavailable], None]


class LiveCanaries:
    """Holds the running canaries and their recorders.

    `running`: the canaries that get requests, by their adapter's name; `pool`: the canary of a pool; `known`: pairs of
    a canary and a model that all replicas have been able to answer; `dropped`: functions that are called with a
    revision whose canary has failed; `clock`: seconds, monotonic; `reserved`: pools that get nothing unless a canary of
    theirs is under way.
    """

    def __init__(self, metrics: CanaryMetrics, clock: Callable[[], float], reserved: Collection[str] = ()) -> None:
        self._metrics = metrics
        self._clock = clock
        self._reserved = reserved
        self._recorders: dict[int, Recorder] = {}
        self._records: Mapping[int, CanaryRecord] = {}
        self._plans: dict[int, PlanConfig] = {}
        self._open: dict[int, dict[AssignedRequest, Interrupt]] = {}
        self._alone_told_s = -math.inf
        self._answered: OrderedDict[bytes, AssignedRequest] = OrderedDict()
        self.baselines: dict[str, Baseline] = {}
        self.known: set[tuple[int, str]] = set()
        self.dropped: list[Callable[[str], None]] = []
        self.running: Mapping[str, CanaryAssignment] = {}
        self.pool: CanaryAssignment | None = None

    def put(self, records: Sequence[CanaryRecord]) -> None:
        """Replaces the canaries by those of `records`."""
        before, self._records = self._records, {record.id: record for record in records}
        for record in records:
            was = before.get(record.id)
            if record.verdict < 0 and (was is None or was.verdict >= 0):
                for drop in self.dropped:
                    drop(record.name)
            if record.cut and not record.live and (was is None or was.live):
                self._cut(record)
        steered = [record for record in records if record.phase in _STEERED and record.pool is None]
        # One that failed was refused before it began.
        pools = [record for record in records if record.pool is not None and record.phase != "failed"]
        self.pool = self._assignment(pools[-1]) if pools else None
        self.running = {
            assignment.adapter: assignment for record in steered if (assignment := self._assignment(record)) is not None
        }
        for record in records:
            self._metrics.stands(record.subject, record.name, record.weight, record.verdict)
        self.known = {pair for pair in self.known if pair[0] in self._records}
        for gone in self._recorders.keys() - {record.id for record in records if record.live}:
            del self._recorders[gone]
            self._metrics.forget(gone)
            self._open.pop(gone, None)
        if not self.running and self.pool is None:
            self.baselines.clear()

    @property
    def live(self) -> Sequence[CanaryAssignment]:
        """The canaries that are still judged."""
        return tuple(canary for canary in (*self.running.values(), self.pool) if canary is not None and canary.live)

    def answers_alone(self, pool: str) -> None:
        """Counts, and now and then logs, a request that goes to a pool on trial because no replica of another pool
        could answer."""
        self._metrics.alone(pool)
        now_s = self._clock()
        if now_s - self._alone_told_s < _ALONE_TOLD_EVERY_S:
            return
        self._alone_told_s = now_s
        _log.warning(
            "no replica of another pool is there, so the pool %s gets all requests, whatever its canary says: "
            "start replicas of another pool, or reserve it (canary.reserved_pools) to have it get none",
            pool,
        )

    def baseline_of(self, name: str) -> Baseline:
        """Returns the baseline of an adapter or a base, kept while a canary is under way."""
        return self.baselines.setdefault(name, Baseline())

    def shadowing(self, model: str) -> CanaryAssignment | None:
        """Returns the canary that answers copies of the requests for `model`, and nothing else yet."""
        assignment = self.running.get(model)
        return (
            assignment
            if assignment is not None and assignment.share == 0 and assignment.plan.shadow is not None
            else None
        )

    def shadowed(self, assignment: CanaryAssignment, bad: Collection[str]) -> None:
        """Counts an answered copy. `bad`: the metrics by which its answer was bad."""
        self._recorder(assignment).shadowed(bad)

    def unit_of(self, assignment: CanaryAssignment, caller: bytes, alone: bytes) -> bytes:
        """Returns the bytes that a request is assigned by: its `caller`, or `alone`, which stands for this request and
        no other, where the callers seen are too few."""
        return (
            self._recorder(assignment).population.unit_of(caller, alone, assignment.share)
            if assignment.live
            else caller
        )

    def begin(
        self, assignment: CanaryAssignment, arm: Arm, asker: Asker, caller: bytes, interrupt: Interrupt
    ) -> AssignedRequest:
        """Notes a request of `caller` that was assigned to `arm`. `interrupt`: cuts its answer, with an error."""
        slices = slices_of(assignment, asker, language_of) if assignment.plan.slices else ()
        entry = self._recorder(assignment).begin(arm, assignment.share, asker.unit, slices, caller)
        if arm == "canary":
            self._open.setdefault(assignment.id, {})[entry] = interrupt
        return entry

    def end(self, entry: AssignedRequest, bad: Collection[str] | None, answer: bytes) -> None:
        """Notes the end of a request.

        `bad`: the metrics by which it was bad, None where it counts for nobody; `answer`: its `answer_key`, for later
        votes.
        """
        self._open.get(entry.canary, {}).pop(entry, None)
        recorder = self._recorders.get(entry.canary)
        if recorder is None:
            return
        recorder.end(entry, bad)
        if recorder.tripped is not None:
            self._shut(entry.canary)
        if bad is not None:
            self._answered[answer] = entry
            while len(self._answered) > _VOTES_KEPT:
                self._answered.popitem(last=False)

    def voted_down(self, answer: bytes) -> None:
        """Counts a vote against the answer of that `answer_key`."""
        entry = self._answered.get(answer)
        recorder = self._recorders.get(entry.canary) if entry is not None else None
        if entry is not None and recorder is not None:
            recorder.happened(entry, "votes")

    def compared(self, canary: int, value: float) -> bool:
        """Counts a pair of answers: 1 where the canary's is better, 0 where it is worse, else 0.5. Returns whether this
        router has such a canary."""
        canaries = (*self.running.values(), *((self.pool,) if self.pool is not None else ()))
        found = next((assignment for assignment in canaries if assignment.id == canary), None)
        if found is not None:
            self._recorder(found).won(found.share, value)
        return found is not None

    def take(self) -> Mapping[int, Sequence[Counts]]:
        """Takes the counts since the last time, by canary."""
        found = {canary: recorder.take() for canary, recorder in self._recorders.items()}
        return {canary: counts for canary, counts in found.items() if counts}

    def give_back(self, taken: Mapping[int, Sequence[Counts]]) -> None:
        """Puts back counts that could not be passed on."""
        for canary, counts in taken.items():
            if canary in self._recorders:
                self._recorders[canary].give_back(counts)

    def _recorder(self, assignment: CanaryAssignment) -> Recorder:
        if assignment.id not in self._recorders:

            def told(arm: str, share: float, what: str) -> None:
                self._metrics.event(assignment.id, assignment.revision, arm, share, what)

            self._recorders[assignment.id] = Recorder(assignment.id, assignment.plan, self._clock, told)
        return self._recorders[assignment.id]

    def _assignment(self, record: CanaryRecord) -> CanaryAssignment | None:
        if record.id not in self._plans:
            try:
                self._plans[record.id] = plan_of(dict(record.plan), record.id)
            except ConfigError as error:
                _log.error("canary %d gets no requests, since this version cannot read its plan: %s", record.id, error)
                return None
        recorder = self._recorders.get(record.id)
        share = 0.0 if recorder is not None and recorder.tripped else record.weight / 100
        if record.pool is not None and record.phase == "promoted":
            share = 0.0 if record.pool in self._reserved else 1.0
        plan = self._plans[record.id]
        return CanaryAssignment(
            id=record.id,
            adapter=record.adapter,
            revision=record.name,
            plan=plan,
            share=share,
            pool=record.pool,
            live=record.live,
        )

    def _shut(self, canary: int) -> None:
        """Stops requests to a canary until the registry says what becomes of it."""
        self.running = {
            name: replace(assignment, share=0.0) if assignment.id == canary else assignment
            for name, assignment in self.running.items()
        }
        if self.pool is not None and self.pool.id == canary:
            self.pool = replace(self.pool, share=0.0)

    def _cut(self, record: CanaryRecord) -> None:
        error = Unavailable(f"{record.name} was rolled back while it answered; ask again.")
        for interrupt in list(self._open.get(record.id, {}).values()):
            interrupt(error)
