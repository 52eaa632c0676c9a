"""The router's view of its replicas: one frozen value that is replaced, and the events that ask for a fresh look."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from patchbay.core.replica import ReplicaStatus
from patchbay.router.fleet.models_page import Listing, build_listing
from patchbay.router.fleet.names import Table, alike, build_table, settled_naming
from patchbay.router.fleet.snapshot import Naming, Replica, Target

# How long it may take until a replica that has come back has been given its revisions again.
_GATHERS_S = 5.0


@dataclass(frozen=True, slots=True)
class View:
    """All that a request needs to know of the replicas. `table` and `listing` follow from `replicas`."""

    replicas: tuple[Replica, ...]
    table: Table
    listing: Listing

    @property
    def ready(self) -> int:
        """How many replicas are ready, of those that anybody may ask."""
        return sum(replica.state == "ready" and not replica.reserved for replica in self.replicas)


class Fleet:
    """Holds the current `view`. `doubts`: an event a replica, set when its state should be looked at at once;
    `regrouped`: set when there are other replicas than before.

    `statuses`: what each replica of ours last told, whole; `news`: set when one, or the registry, has told something;
    `settled`: whether names have come to mean what they should since the start, so that requests can come.
    `created`: the router's start, Unix time in seconds; `clock`: seconds, monotonic.
    """

    def __init__(
        self, replicas: Sequence[Replica] = (), *, created: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.created = created
        self._clock = clock
        self._controlled = False
        self._gathers_until_s = float("-inf")
        self.regrouped = asyncio.Event()
        self._naming = self._wished = Naming()
        self.statuses: dict[str, ReplicaStatus] = {}
        self.news = asyncio.Event()
        self.settled = True
        self.doubts: dict[str, asyncio.Event] = {}
        self.view = self._view(())
        self.put_members(replicas)

    def put_members(self, replicas: Sequence[Replica]) -> None:
        """Takes `replicas` as those that there are; what is known of one that stays, is kept."""
        known = {replica.name: replica for replica in self.view.replicas}
        for gone in known.keys() - {replica.name for replica in replicas}:
            del self.doubts[gone]
            self.statuses.pop(gone, None)
        for replica in replicas:
            self.doubts.setdefault(replica.name, asyncio.Event())
        same = [(known.get(replica.name, replica), replica) for replica in replicas]
        self.view = self._view(tuple(before if _place(before) == _place(now) else now for before, now in same))
        self.regrouped.set()
        self.news.set()

    def get(self, name: str) -> Replica:
        """The replica called `name`, as last seen. Raises KeyError where there is none."""
        if (found := self.find(name)) is None:
            raise KeyError(name)
        return found

    def find(self, name: str) -> Replica | None:
        """The replica called `name`, as last seen, None where there is none (any more)."""
        return next((replica for replica in self.view.replicas if replica.name == name), None)

    def able(self, target: Target) -> tuple[str, ...]:
        """The replicas that can serve `target`, by what is known now: it may have been looked up a while ago."""
        return (self.view.table.get(target.engine_name) or target).replicas

    def put(self, seen: Replica) -> None:
        """Replaces what is known of the replica that has `seen`'s name. One that has gone stays so."""
        before = self.find(seen.name)
        if before is None or seen == before:
            return
        if seen.state == "ready" and not any(one.state == "ready" for one in self.view.replicas):
            self._gathers_until_s = self._clock() + _GATHERS_S
        replicas = tuple(seen if replica is before else replica for replica in self.view.replicas)
        if seen.state == before.state and alike(seen.catalog, before.catalog):
            self.view = replace(self.view, replicas=replicas)
        else:
            self.view = self._view(replicas)

    def put_status(self, name: str, status: ReplicaStatus) -> None:
        """Notes all that a replica of ours tells of itself."""
        if name not in self.doubts:
            return
        self.statuses[name] = status
        self.news.set()

    def put_naming(self, naming: Naming) -> None:
        """Replaces what names mean. A name goes over to a revision once a ready replica is known to have it."""
        if naming != self._wished:
            self._wished = naming
            self.view = self._view(self.view.replicas)
            for name in self.doubts if self.behind else ():
                self.doubt(name)

    @property
    def behind(self) -> bool:
        """Whether a name still means what it did, since no replica is known to have what it should mean now."""
        return self._naming != self._wished

    def mark_unready(self, name: str, reason: str) -> None:
        """Takes a replica out until it has been looked at again, which is asked for."""
        before = self.find(name)
        if before is not None:
            self.put(replace(before, state="unready", reason=reason))
            self.doubt(name)

    @property
    def gathering(self) -> bool:
        """Whether no replica was ready until just now, so that those that came may not have their revisions yet."""
        return self._controlled and self._clock() < self._gathers_until_s

    def follow_control(self) -> None:
        """Notes that replicas get their revisions from a registry, and names their meaning only once they have them."""
        self._controlled = True
        self.settled = False

    def settle(self) -> None:
        """Notes that names mean what they should: replicas that are ready have what they were to be given."""
        self.settled = True
        self._gathers_until_s = float("-inf")

    def doubt(self, name: str) -> None:
        """Asks for a fresh look at a replica."""
        if name in self.doubts:
            self.doubts[name].set()

    def _view(self, replicas: tuple[Replica, ...]) -> View:
        self._naming = settled_naming(self._wished, self._naming, replicas)
        table = build_table(replicas, self._naming)
        return View(replicas, table, build_listing(replicas, self.created, self._naming))


def _place(replica: Replica) -> tuple[str, str, bool]:
    """Where a replica is. In a cluster an address that one pool has left may soon be another's."""
    return replica.url, replica.pool, replica.reserved
