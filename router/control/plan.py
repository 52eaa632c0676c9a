"""From what a replica should have and what it says it has, to what to ask of it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from patchbay.core.replica import ReplicaStatus, RevisionStatus
from patchbay.registry.records import Placement
from patchbay.router.control.desired import DesiredRevision

_BUSY = ("staging", "loading")
_FIRST_RETRY_S = 2.0
_REFUSED_RETRY_S = 60.0
_LONGEST_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a replica did not take a revision. `count`: times in a row; `at`: seconds, monotonic; `final`: whether the
    replica says that it never will."""

    reason: str
    count: int
    at: float
    final: bool

    def due(self, now: float) -> bool:
        """Whether it is time to ask again."""
        wait = _REFUSED_RETRY_S if self.final else min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2.0 ** (self.count - 1))
        return now - self.at >= wait


Failures = Mapping[str, Failure]


@dataclass(frozen=True, slots=True)
class Put:
    """Ask a replica to take a revision. `load`: to load it at once."""

    wanted: DesiredRevision
    load: bool


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """What to ask of one replica. `drops`: names of revisions, `sql@3`, that it should remove."""

    puts: tuple[Put, ...] = ()
    drops: tuple[str, ...] = ()


def fitting(wanted: Iterable[DesiredRevision], status: ReplicaStatus) -> tuple[DesiredRevision, ...]:
    """Those of `wanted` that are for this replica's base model, or for any."""
    return tuple(one for one in wanted if one.base in (None, status.base.fingerprint))


def make_plan(wanted: Sequence[DesiredRevision], status: ReplicaStatus, failures: Failures, now: float) -> ReplicaPlan:
    """What to ask of the replica that tells `status`. `wanted`: in order of importance, the first are loaded ahead, as
    many as fit; `failures`: by engine name; `now`: seconds, monotonic."""
    here = {one.engine_name: one for one in status.revisions}
    ours = fitting(wanted, status)
    ahead = {one.engine_name for one in [one for one in ours if _loads_ahead(one)][: status.slots.cpu]}
    puts = [put for one in ours if (put := _put(one, here.get(one.engine_name), one.engine_name in ahead)) is not None]
    puts = [put for put in puts if (known := failures.get(put.wanted.engine_name)) is None or known.due(now)]
    kept = {one.engine_name for one in ours}
    drops = [f"{one.adapter}@{one.number}" for one in here.values() if one.engine_name not in kept and _there(one)]
    # A number cannot change its bytes before it has gone.
    return ReplicaPlan(tuple(put for put in puts if put.wanted.name not in drops), tuple(drops))


def place(
    wanted: Iterable[DesiredRevision], replica: str, status: ReplicaStatus, failures: Failures
) -> tuple[Placement, ...]:
    """How each revision that `replica` should have stands on it."""
    here = {one.engine_name: one for one in status.revisions}
    return tuple(
        _placement(one, replica, here.get(one.engine_name), failures.get(one.engine_name))
        for one in fitting(wanted, status)
    )


def _loads_ahead(wanted: DesiredRevision) -> bool:
    return wanted.why == "rollout" or (wanted.settings.preload and wanted.why != "warm")


def _put(wanted: DesiredRevision, here: RevisionStatus | None, ahead: bool) -> Put | None:
    if here is None:
        return Put(wanted, load=ahead)
    if here.state in _BUSY or here.state == "draining":
        return None
    load = here.state == "failed" or (wanted.why == "rollout" and here.state != "resident")
    return Put(wanted, load=load) if load or here.pin != wanted.settings.pin else None


def _there(revision: RevisionStatus) -> bool:
    return revision.state != "draining"


def _placement(
    wanted: DesiredRevision, replica: str, here: RevisionStatus | None, failure: Failure | None
) -> Placement:
    state = here.state if here else None
    reason = here.reason if here and here.state == "failed" else failure.reason if failure else None
    if state == "resident":
        return Placement(
            replica=replica, adapter=wanted.adapter, number=wanted.number, state="resident", reason=None, detail=state
        )
    if state == "failed" or (failure is not None and state not in _BUSY):
        return Placement(
            replica=replica, adapter=wanted.adapter, number=wanted.number, state="failed", reason=reason, detail=state
        )
    if state == "declared":
        return Placement(
            replica=replica, adapter=wanted.adapter, number=wanted.number, state="staged", reason=None, detail=state
        )
    return Placement(
        replica=replica, adapter=wanted.adapter, number=wanted.number, state="pending", reason=reason, detail=state
    )
