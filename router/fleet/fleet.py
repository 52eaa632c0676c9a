"""Fleet: the router's view of its replicas, one frozen value that is replaced, and events that ask for a new poll."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from patchbay.core.replica import ReplicaStatus
from patchbay.router.fleet.models_page import Listing, build_listing
from patchbay.router.fleet.names import SERVED, Table, alike, build_table, settled_naming
from patchbay.router.fleet.snapshot import Naming, Replica, Target

# Time within which a replica that has come back gets its revisions again.
_GATHERING_S = 5.0


@dataclass(frozen=True, slots=True)
class View:
    """Snapshot of all that a request needs to know of the replicas. `table` (model names) and `listing` (the models
    page) follow from `replicas`."""

    replicas: tuple[Replica, ...]
    table: Table
    listing: Listing

    @property
    def ready(self) -> int:
        """The number of ready replicas, without reserved ones."""
        return sum(replica.state == "ready" and not replica.reserved for replica in self.replicas)


class Fleet:
    """Holder of the current `view`, and the place where news of replicas arrive.

    `doubts`: an event for each replica, set when it should be polled at once; `regrouped`: set when replicas came or
    went; `statuses`: the last whole status of each replica of ours; `news`: set when a replica or the registry sent
    something new; `settled`: whether names mean what they should, since the start, so that requests can come.
    `created`: the router's start, Unix time in seconds; `clock`: seconds, monotonic.
    """

    def __init__(
        self, replicas: Sequence[Replica] = (), *, created: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.created = created
        self._clock = clock
        self._controlled = False
        self._gathering_until_s = float("-inf")
        self.regrouped = asyncio.Event()
        self._naming = self._desired_naming = Naming()
        self.statuses: dict[str, ReplicaStatus] = {}
        self.news = asyncio.Event()
        self.settled = True
        self.doubts: dict[str, asyncio.Event] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self.view = self._view(())
        self.put_members(replicas)

    def put_members(self, replicas: Sequence[Replica]) -> None:
        """Sets the replicas that exist. What is known of one that stays at its address is kept."""
        known = {replica.name: replica for replica in self.view.replicas}
        for gone in known.keys() - {replica.name for replica in replicas}:
            del self.doubts[gone]
            self.statuses.pop(gone, None)
        for replica in replicas:
            self.doubts.setdefault(replica.name, asyncio.Event())
        same = [(known.get(replica.name, replica), replica) for replica in replicas]
        self._show(self._view(tuple(before if _place(before) == _place(now) else now for before, now in same)))
        self.regrouped.set()
        self.news.set()

    def get(self, name: str) -> Replica:
        """Returns the replica called `name`, as last seen. Raises KeyError where there is none."""
        if (found := self.find(name)) is None:
            raise KeyError(name)
        return found

    def find(self, name: str) -> Replica | None:
        """Returns the replica called `name`, as last seen, None where there is none (any more)."""
        for replica in self.view.replicas:
            if replica.name == name:
                return replica
        return None

    def able(self, target: Target) -> tuple[str, ...]:
        """Returns the replicas that can serve `target` now. Those in `target` are as of its lookup, maybe long ago."""
        return (self.view.table.get(target.engine_name) or target).replicas

    def holds(self, name: str, target: Target) -> bool:
        """Whether the replica called `name` can serve the revision of `target`, as last seen."""
        replica = self.find(name)
        held = replica.catalog.revisions if replica is not None and replica.catalog is not None else ()
        return any(one.engine_name == target.engine_name and one.state in SERVED for one in held)

    def put(self, seen: Replica) -> None:
        """Replaces what is known of the replica with the name of `seen`. Does nothing where that one is gone."""
        before = self.find(seen.name)
        if before is None or seen == before:
            return
        if seen.state == "ready" and not any(replica.state == "ready" for replica in self.view.replicas):
            self._gathering_until_s = self._clock() + _GATHERING_S
        replicas = tuple(seen if replica is before else replica for replica in self.view.replicas)
        # Most polls change only loads. Table and listing stay then: they cost much with hundreds of revisions.
        if seen.state == before.state and alike(seen.catalog, before.catalog):
            self._show(replace(self.view, replicas=replicas))
        else:
            self._show(self._view(replicas))

    def put_status(self, name: str, status: ReplicaStatus) -> None:
        """Keeps the whole status of a replica of ours."""
        if name not in self.doubts:
            return
        self.statuses[name] = status
        self.news.set()

    def put_naming(self, naming: Naming) -> None:
        """Sets what names should mean. A name moves to its new revision once a ready replica is known to have it."""
        if naming != self._desired_naming:
            self._desired_naming = naming
            self._show(self._view(self.view.replicas))
            for name in self.doubts if self.behind else ():
                self.doubt(name)

    @property
    def behind(self) -> bool:
        """Whether a name still has its old meaning, since no replica is known to have the new revision."""
        return self._naming != self._desired_naming

    def mark_unready(self, name: str, reason: str) -> None:
        """Takes a replica out until the next poll, and asks for that. `reason`: shown to operators."""
        before = self.find(name)
        if before is not None:
            self.put(replace(before, state="unready", reason=reason))
            self.doubt(name)

    @property
    def gathering(self) -> bool:
        """Whether no replica was ready until just now, so that those that came may lack their revisions still."""
        return self.gathering_s > 0

    @property
    def gathering_s(self) -> float:
        """The seconds for which replicas may lack their revisions still."""
        return self._gathering_until_s - self._clock() if self._controlled else 0.0

    def follow_control(self) -> None:
        """Notes that replicas get their revisions from a registry, so that names need time until they are settled."""
        self._controlled = True
        self.settled = False

    def settle(self) -> None:
        """Notes that names mean what they should: ready replicas have the revisions that the registry wants there."""
        self.settled = True
        self._gathering_until_s = float("-inf")
        self._wake()

    async def changed(self, within_s: float) -> None:
        """Waits for the next change of the view or of `settled`, at most `within_s` seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await asyncio.wait({waiter}, timeout=within_s)
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def doubt(self, name: str) -> None:
        """Asks for a poll of a replica at once."""
        if name in self.doubts:
            self.doubts[name].set()

    def _show(self, view: View) -> None:
        self.view = view
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set_result(None)

    def _view(self, replicas: tuple[Replica, ...]) -> View:
        self._naming = settled_naming(self._desired_naming, self._naming, replicas)
        table = build_table(replicas, self._naming)
        return View(replicas, table, build_listing(replicas, self.created, self._naming))


def _place(replica: Replica) -> tuple[str, str, bool]:
    """Returns a replica's address and pool. In a cluster an address that one pool has left may soon be another's."""
    return replica.url, replica.pool, replica.reserved
