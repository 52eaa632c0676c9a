"""What must not be lost by mistake: a registry that has forgotten, and removals that nobody asked for. Pure."""

from collections.abc import Sequence

from patchbay.core.names import revision_name
from patchbay.core.replica import ReplicaStatus, RevisionStatus
from patchbay.registry.records import AdapterView, Snapshot

# So many revisions may leave a replica unexplained, where others stay.
FEW = 3


def loss_of(before: Snapshot, now: Snapshot) -> str | None:
    """Why `now` cannot be what became of `before`, or None: adapters and keys are ended, but never deleted, so a
    registry without any, where there were some, is another one, or a damaged one."""
    if before.access.keyed and not now.access.keyed:
        return f"it knows of no key at all, and there were {len(before.access.keys)}"
    if before.adapters and not now.adapters:
        return f"it knows of no adapter at all, and there were {len(before.adapters)}"
    return None


def held_back(drops: Sequence[str], status: ReplicaStatus, snapshot: Snapshot, *, kept: int) -> tuple[str, ...]:
    """Those of `drops`, names as `sql@3`, that a replica must not be asked for yet. `kept`: revisions that it should
    have.

    A removal is explained where the registry tells what took the revision's place, or that its channel was moved. Of
    the rest a few may go; but not the last ones, and not more than half of what the replica has at once.
    """
    here = {revision_name(one.adapter, one.number): one for one in status.revisions}
    open_ = tuple(name for name in drops if name in here and not _is_explained(here[name], snapshot))
    many = len(open_) > FEW and 2 * len(open_) > len(here)
    return open_ if not kept or many else ()


def _is_explained(revision: RevisionStatus, snapshot: Snapshot) -> bool:
    view = snapshot.adapters.get(revision.adapter)
    if view is None:
        return False
    brief = view.revisions.get(revision.number)
    other_bytes = brief is not None and brief.digest != revision.digest
    moved = any(one.adapter == view.name and one.before == revision.number for one in snapshot.recent)
    return other_bytes or moved or _is_replaced(view, revision.number)


def _is_replaced(view: AdapterView, number: int) -> bool:
    """Whether a channel means another revision, or did and was emptied after it had meant this one."""
    records = view.channels.values()
    return any(one.number not in (None, number) or (one.number is None and one.previous == number) for one in records)
