"""The plan for a replica: compares its status with the wanted revisions. Pure."""

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
    """The failure of a replica to take a revision.

    `count`: failures in a row; `at`: of the last one, seconds, monotonic; `final`: whether the replica says that it
    never will.
    """

    reason: str
    count: int
    at: float
    final: bool

    def due(self, now: float) -> bool:
        """Whether it is time to ask again. `now`: seconds, monotonic."""
        wait = _REFUSED_RETRY_S if self.final else min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2.0 ** (self.count - 1))
        return now - self.at >= wait


Failures = Mapping[str, Failure]


@dataclass(frozen=True, slots=True)
class Put:
    """A request to a replica to take a revision. `load`: whether to load it at once."""

    wanted: DesiredRevision
    load: bool


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """The changes to ask of one replica. `drops`: names of revisions, `sql@3`, that it should remove."""

    puts: tuple[Put, ...] = ()
    drops: tuple[str, ...] = ()


def fitting(wanted: Iterable[DesiredRevision], status: ReplicaStatus) -> tuple[DesiredRevision, ...]:
    """Returns the revisions that are for this replica's base model, or for any."""
    return tuple(revision for revision in wanted if revision.base in (None, status.base.fingerprint))


def make_plan(wanted: Sequence[DesiredRevision], status: ReplicaStatus, failures: Failures, now: float) -> ReplicaPlan:
    """Makes the plan for the replica with `status`.

    `wanted`: in order of importance: of those to load ahead, as many as fit are; `failures`: by engine name; `now`:
    seconds, monotonic.
    """
    here = {revision.engine_name: revision for revision in status.revisions}
    ours = fitting(wanted, status)
    first = [revision for revision in ours if _loads_ahead(revision)][: status.slots.cpu]
    ahead = {revision.engine_name for revision in first}
    changes = (_put(revision, here.get(revision.engine_name), revision.engine_name in ahead) for revision in ours)
    puts = [put for put in changes if put is not None]
    puts = [put for put in puts if (known := failures.get(put.wanted.engine_name)) is None or known.due(now)]
    kept = {revision.engine_name for revision in ours}
    left = [revision for revision in here.values() if revision.engine_name not in kept and _there(revision)]
    drops = [f"{revision.adapter}@{revision.number}" for revision in left]
    # A revision of the same name and other bytes can be put only once the old one is gone.
    return ReplicaPlan(tuple(put for put in puts if put.wanted.name not in drops), tuple(drops))


def place(
    wanted: Iterable[DesiredRevision], replica: str, status: ReplicaStatus, failures: Failures
) -> tuple[Placement, ...]:
    """Returns the state of each revision that `replica` should have.

    `wanted`: the revisions; `status`: the replica's; `failures`: its, by engine name.
    """
    here = {revision.engine_name: revision for revision in status.revisions}
    return tuple(
        _placement(revision, replica, here.get(revision.engine_name), failures.get(revision.engine_name))
        for revision in fitting(wanted, status)
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
