"""Protection from losses by mistake: a registry that has forgotten its contents, and unexplained removals. Pure."""

from collections.abc import Sequence

from patchbay.core.names import revision_name
from patchbay.core.replica import ReplicaStatus, RevisionStatus
from patchbay.registry.records import AdapterView, Snapshot

# The most revisions that may leave a replica unexplained, where others stay.
FEW = 3


def loss_of(before: Snapshot, now: Snapshot) -> str | None:
    """Returns the reason why `now` cannot have come from `before`, None where it can.

    Adapters and keys are ended, but never deleted. So a registry without any, where there were some, is another one, or
    a damaged one.
    """
    if before.access.keyed and not now.access.keyed:
        return f"it has no keys, and there were {len(before.access.keys)}"
    if before.adapters and not now.adapters:
        return f"it has no adapters, and there were {len(before.adapters)}"
    return None


def held_back(drops: Sequence[str], status: ReplicaStatus, snapshot: Snapshot, *, kept: int) -> tuple[str, ...]:
    """Returns those of `drops`, names as `sql@3`, that a replica must not be asked for yet.

    A removal is explained where the registry names the revision's successor, or that its channel was moved. A few
    unexplained ones may go, but never the last ones, and not more than half of the replica's revisions at once. `kept`:
    the number of revisions that the replica should have.
    """
    here = {revision_name(revision.adapter, revision.number): revision for revision in status.revisions}
    open_ = tuple(name for name in drops if name in here and not _is_explained(here[name], snapshot))
    many = len(open_) > FEW and 2 * len(open_) > len(here)
    return open_ if not kept or many else ()


def _is_explained(revision: RevisionStatus, snapshot: Snapshot) -> bool:
    view = snapshot.adapters.get(revision.adapter)
    if view is None:
        return False
    brief = view.revisions.get(revision.number)
    other_bytes = brief is not None and brief.digest != revision.digest
    moved = any(move.adapter == view.name and move.before == revision.number for move in snapshot.recent)
    return other_bytes or moved or _is_replaced(view, revision.number)


def _is_replaced(view: AdapterView, number: int) -> bool:
    """Whether a channel means another revision, or was emptied after it had meant this one."""
    records = view.channels.values()
    return any(
        record.number not in (None, number) or (record.number is None and record.previous == number)
        for record in records
    )
