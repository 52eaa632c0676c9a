"""Scheduler of turns: virtual token counters between tenants, grouping by revision within replicas' slots.

Pure: a state machine that is given the time.

Fairness: each tenant has a counter of the service that it got, divided by its weight. Of the tenants that wait, the one
with the smallest counter goes first. A tenant that comes back after a pause is lifted to the smallest counter of those
that waited meanwhile, so that nobody saves up. Source: Y. Sheng et al., "Fairness in Serving Large Language Models",
OSDI 2024 (VTC, algorithm 2, with predicted lengths corrected when they are known).

Slots: a batch holds at most `slots` revisions. An engine that is sent more makes requests wait that it has no slot for,
although it could run more of the others. So no replica is sent more distinct revisions than it has slots. A revision
keeps its slot while it has work. But when another's oldest request has waited for longer than `patience_s`, the
revision that has held its slot longest takes no more requests, and gives up its slot as its answers end.
"""

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Capacity of a replica. `requests`: at a time, None without limit; `slots`: distinct revisions at a time, None
    without limit; `elsewhere`: requests of other routers there."""

    requests: int | None = None
    slots: int | None = None
    elsewhere: int = 0


class Waiting(msgspec.Struct, eq=False, kw_only=True):
    """Request as the scheduler sees it. `revision`: what needs a slot, None for the base; `replicas`: those that can
    serve it, best as a set; `cost`: the tokens that it is expected to take; `since_s`: when it came; `weight`: its
    tenant's."""

    tenant: str
    revision: str | None
    replicas: Collection[str]
    cost: float
    since_s: float
    weight: float = 1.0


@dataclass(slots=True)
class _HeldSlot:
    """Slot of a replica that a revision holds. `since_s`: since when; `requests`: those that run in it; `closing`:
    whether it takes no more."""

    since_s: float
    requests: int = 0
    closing: bool = False


@dataclass(slots=True)
class _Load:
    """Load of a replica. `requests`: those that have their turn there; `slots`: the held ones, by revision."""

    requests: int = 0
    slots: dict[str, _HeldSlot] = field(default_factory=dict)


class _Free(msgspec.Struct, frozen=True, kw_only=True):
    """Replicas with room for one more request (`room`), and those of them with a free slot as well (`slot`)."""

    room: Sequence[str]
    slot: Sequence[str]


class Scheduler:
    """State of all queues and turns, and the choice of the next request."""

    def __init__(self) -> None:
        # Service per tenant, in tokens by weight: of turns that ended, and expected of those under way.
        self._settled: dict[str, float] = {}
        self._expected: defaultdict[str, float] = defaultdict(float)
        # The counter of the last tenant that left, for newcomers while nobody waits: without it they would begin at 0,
        # ahead of everybody who was served before.
        self._last_left = 0.0
        # By tenant, then by revision.
        self._queues: dict[str, dict[str | None, deque[Waiting]]] = {}
        self._demand: Counter[str | None] = Counter()
        # The sum of it, which is asked for with each request.
        self._waiting = 0
        self._loads: dict[str, _Load] = {}
        # Held slots by revision and replica: the same objects as in `_loads`.
        self._holders: dict[str, dict[str, _HeldSlot]] = {}
        self._running: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """The number of requests that wait."""
        return self._waiting

    def waiting_of(self, tenant: str) -> int:
        """Returns the number of a tenant's requests that wait."""
        return sum(len(queue) for queue in self._queues.get(tenant, {}).values())

    def counter(self, tenant: str) -> float:
        """Returns the service that a tenant got, in tokens by weight, with what its turns under way are expected to
        take."""
        return self._settled.get(tenant, 0.0) + self._expected.get(tenant, 0.0)

    def in_flight(self, replica: str) -> int:
        """Returns the number of requests that have their turn at a replica."""
        load = self._loads.get(replica)
        return load.requests if load else 0

    def arrive(self, request: Waiting) -> None:
        """Puts a request into its tenant's queue."""
        if request.tenant not in self._queues:
            self._lift(request.tenant)
            self._queues[request.tenant] = {}
        self._queues[request.tenant].setdefault(request.revision, deque()).append(request)
        self._demand[request.revision] += 1
        self._waiting += 1

    def leave(self, request: Waiting) -> None:
        """Takes a request out of its queue."""
        queues = self._queues[request.tenant]
        queues[request.revision].remove(request)
        self._demand[request.revision] -= 1
        self._waiting -= 1
        if not self._demand[request.revision]:
            del self._demand[request.revision]
        if not queues[request.revision]:
            del queues[request.revision]
        if not queues:
            self._last_left = self._settled.get(request.tenant, 0.0)
            del self._queues[request.tenant]
            self._forget(request.tenant)

    def next(
        self, rooms: Mapping[str, Room], now_s: float, patience_s: float
    ) -> tuple[Waiting, tuple[str, ...]] | None:
        """Chooses the next request and the replicas that may take it. Changes nothing but which slots close.

        `rooms`: capacity of the replicas that may be used, by name; `patience_s`: how long a request waits for a slot
        before it goes first, and one is freed for it. Returns None where no request can go.
        """
        if not self._queues:
            return None
        self._close_for_overdue(rooms, now_s - patience_s)
        free = self._free(rooms)
        if not free.room:
            return None
        for tenant in sorted(self._queues, key=self.counter):
            for request in self._by_urgency(tenant, now_s - patience_s):
                if places := self._places(request, free):
                    return request, places
        return None

    def admit(self, request: Waiting, replica: str, now_s: float) -> None:
        """Gives a waiting request its turn at `replica`, and charges its tenant the expected cost."""
        self.leave(request)
        self.take(request, replica, now_s)

    def take(self, request: Waiting, replica: str, now_s: float) -> None:
        """Gives a turn to a request that never waited, and charges its tenant the expected cost."""
        self._lift_to_present(request.tenant)
        self._expected[request.tenant] += request.cost / request.weight
        self._running[request.tenant] += 1
        self._occupy(request.revision, replica, now_s)

    def move(self, request: Waiting, before: str, after: str, now_s: float) -> None:
        """Moves a request's turn from the replica `before` to the replica `after`."""
        self._release(request.revision, before)
        self._occupy(request.revision, after, now_s)

    def done(self, request: Waiting, replica: str, cost: float) -> None:
        """Ends a turn, and charges `cost`, the tokens that it took, in place of the expected cost."""
        self._release(request.revision, replica)
        self._expected[request.tenant] -= request.cost / request.weight
        self._settled[request.tenant] = self._settled.get(request.tenant, 0.0) + cost / request.weight
        self._running[request.tenant] -= 1
        if not self._running[request.tenant]:
            del self._running[request.tenant]
            self._forget(request.tenant)

    def fits(self, request: Waiting, rooms: Mapping[str, Room]) -> tuple[str, ...]:
        """Returns the replicas that could take a request now, if no other waited."""
        able = request.replicas
        with_room = [name for name, room in rooms.items() if name in able and self._has_room(name, room)]
        if request.revision is None:
            return tuple(with_room)
        return self._places(request, self._free_of(with_room, rooms))

    def _lift(self, tenant: str) -> None:
        """Lifts a tenant's counter to the smallest of those that wait.

        Only service of turns that ended counts here. What turns under way are expected to take may turn out to be
        less, and then a tenant that was lifted by it would have to wait for the others to catch up.
        """
        self._settled[tenant] = max(self._settled.get(tenant, 0.0), self._least())

    def _lift_to_present(self, tenant: str) -> None:
        if tenant not in self._queues and tenant not in self._running:
            self._lift(tenant)

    def _least(self) -> float:
        return min((self._settled.get(name, 0.0) for name in self._queues), default=self._last_left)

    def _forget(self, tenant: str) -> None:
        """Drops a tenant's counter where it is not needed any more.

        One that is not ahead of those that wait would be lifted anyway when the tenant comes back.
        """
        if tenant in self._queues or tenant in self._running:
            return
        self._expected.pop(tenant, None)
        if self._settled.get(tenant, 0.0) <= self._least():
            self._settled.pop(tenant, None)

    def _by_urgency(self, tenant: str, overdue_s: float) -> Iterator[Waiting]:
        """Yields the first request of each of a tenant's queues. Overdue ones come first, by age; then those whose
        revision most requests wait for. `overdue_s`: requests from before this time are overdue."""
        heads = [queue[0] for queue in self._queues[tenant].values()]

        def urgency(request: Waiting) -> tuple[bool, float, float]:
            overdue = request.since_s < overdue_s
            return (not overdue, 0.0 if overdue else -self._demand[request.revision], request.since_s)

        return iter(sorted(heads, key=urgency))

    def _free(self, rooms: Mapping[str, Room]) -> _Free:
        return self._free_of([name for name, room in rooms.items() if self._has_room(name, room)], rooms)

    def _free_of(self, with_room: Sequence[str], rooms: Mapping[str, Room]) -> _Free:
        return _Free(room=with_room, slot=[name for name in with_room if self._has_slot(name, rooms[name])])

    def _places(self, request: Waiting, free: _Free) -> tuple[str, ...]:
        """Returns the replicas where a request fits: those where its revision holds a slot, if there are any, else
        those with a free slot.

        Cheap on large fleets: most revisions that wait hold slots at few replicas, and few have free slots.
        """
        able = request.replicas
        if request.revision is None:
            return tuple(name for name in free.room if name in able)
        holders = self._holders.get(request.revision)
        if not holders:
            return tuple(name for name in free.slot if name in able)
        open_at = {name for name, slot in holders.items() if not slot.closing and name in able}
        if open_at and (places := tuple(name for name in free.room if name in open_at)):
            return places
        return tuple(name for name in free.slot if name in able and name not in holders)

    def _has_room(self, replica: str, room: Room) -> bool:
        if room.requests is None:
            return True
        # The count of other routers' requests is as old as the last poll. It must not keep a replica from all work
        # until the next one.
        return self.in_flight(replica) < max(room.requests - room.elsewhere, room.requests // 4, 1)

    def _has_slot(self, replica: str, room: Room) -> bool:
        load = self._loads.get(replica)
        return load is None or room.slots is None or len(load.slots) < room.slots

    def _occupy(self, revision: str | None, replica: str, now_s: float) -> None:
        load = self._loads.setdefault(replica, _Load())
        load.requests += 1
        if revision is not None:
            slot = load.slots.setdefault(revision, _HeldSlot(now_s))
            slot.requests += 1
            self._holders.setdefault(revision, {})[replica] = slot

    def _release(self, revision: str | None, replica: str) -> None:
        load = self._loads[replica]
        load.requests -= 1
        if revision is not None:
            slot = load.slots[revision]
            slot.requests -= 1
            if not slot.requests:
                del load.slots[revision]
                self._close(revision, replica)
        if not load.requests:
            del self._loads[replica]

    def _close(self, revision: str, replica: str) -> None:
        holders = self._holders[revision]
        del holders[replica]
        if not holders:
            del self._holders[revision]

    def _close_for_overdue(self, rooms: Mapping[str, Room], overdue_s: float) -> None:
        """Closes slots for revisions whose requests have waited too long for one.

        At each replica as many slots close as revisions want one, the ones held longest first, but half of all at most
        at a time. `overdue_s`: requests from before this time are overdue.
        """
        overdue = self._overdue(overdue_s)
        if not overdue:
            return
        for name, load in self._loads.items():
            slots = rooms[name].slots if name in rooms else None
            if slots is None or len(load.slots) < slots:
                continue
            closing = sum(slot.closing for slot in load.slots.values())
            closable = self._longest_held(load, overdue_s)[: max(0, max(1, len(load.slots) // 2) - closing)]
            if not closable:
                continue
            # Counts no further than slots can close: with many revisions overdue the rest makes no difference.
            wanting = (1 for revision, places in overdue.items() if name in places and revision not in load.slots)
            count = sum(itertools.islice(wanting, closing + len(closable))) - closing
            for slot in closable[: max(0, count)]:
                slot.closing = True

    def _longest_held(self, load: _Load, overdue_s: float) -> Sequence[_HeldSlot]:
        """Returns the slots that may be closed, the longest held first. None that was taken after `overdue_s`."""
        closable = [slot for slot in load.slots.values() if not slot.closing and slot.since_s < overdue_s]
        return sorted(closable, key=lambda slot: slot.since_s)

    def _overdue(self, overdue_s: float) -> Mapping[str, Collection[str]]:
        """Returns the revisions whose oldest request came before `overdue_s`, each with the replicas that have it."""
        overdue: dict[str, Collection[str]] = {}
        for queues in self._queues.values():
            for revision, queue in queues.items():
                if revision is not None and queue[0].since_s < overdue_s:
                    overdue[revision] = queue[0].replicas
        return overdue
