"""Who goes next, and where: virtual token counters between tenants, grouping by revision within replicas' slots. Pure:
a state machine that is told the time.

Fairness: each tenant has a counter of the service that it got, divided by its weight; of those who wait the one with
the smallest goes first, and who comes back after a pause is lifted to the smallest of those who waited meanwhile, so
that nobody saves up. Source: Y. Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024 (VTC, algorithm 2,
with predicted lengths corrected when they are known).

Slots: a batch holds at most `slots` revisions. An engine that is sent more lets those wait that it has no slot for,
while it holds requests for few; so no replica is sent more distinct revisions than it has slots. A revision keeps its
slot while it has work, but when another's oldest request has waited for longer than `patience_s`, the one that was open
longest takes no more, and gives up its slot as its answers end.
"""

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Room:
    """What a replica can take. `requests`: at a time, None without limit; `slots`: distinct revisions at a time, None
    without limit; `elsewhere`: requests of other routers."""

    requests: int | None = None
    slots: int | None = None
    elsewhere: int = 0


@dataclass(eq=False, slots=True)
class Waiting:
    """A request that waits. `revision`: what needs a slot, None for the base; `replicas`: who can serve it, best as a
    set; `cost`: the tokens that it is expected to take; `weight`: its tenant's."""

    tenant: str
    revision: str | None
    replicas: Collection[str]
    cost: float
    since_s: float
    weight: float = 1.0


@dataclass(slots=True)
class _Open:
    """A revision that holds a slot. `closing`: takes no more."""

    since_s: float
    requests: int = 0
    closing: bool = False


@dataclass(slots=True)
class _Load:
    requests: int = 0
    held: dict[str, _Open] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Free:
    """Replicas that have room for one more request, and of these those that have a slot for one more revision."""

    room: Sequence[str]
    slot: Sequence[str]


class Scheduler:
    """All state of admission."""

    def __init__(self) -> None:
        self._settled: dict[str, float] = {}
        self._expected: defaultdict[str, float] = defaultdict(float)
        self._last_left = 0.0
        self._queues: dict[str, dict[str | None, deque[Waiting]]] = {}
        self._demand: Counter[str | None] = Counter()
        self._loads: dict[str, _Load] = {}
        self._holders: dict[str, dict[str, _Open]] = {}
        self._running: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self._demand.total()

    def waiting_of(self, tenant: str) -> int:
        """A tenant's requests that wait."""
        return sum(len(queue) for queue in self._queues.get(tenant, {}).values())

    def counter(self, tenant: str) -> float:
        """The service that a tenant got, in tokens by weight, with what is expected of its turns under way."""
        return self._settled.get(tenant, 0.0) + self._expected.get(tenant, 0.0)

    def in_flight(self, replica: str) -> int:
        """Requests that have their turn at a replica."""
        load = self._loads.get(replica)
        return load.requests if load else 0

    def arrive(self, request: Waiting) -> None:
        """Puts a request into its tenant's queue."""
        if request.tenant not in self._queues:
            self._lift(request.tenant)
            self._queues[request.tenant] = {}
        self._queues[request.tenant].setdefault(request.revision, deque()).append(request)
        self._demand[request.revision] += 1

    def leave(self, request: Waiting) -> None:
        """Takes a request out that has had no turn."""
        queues = self._queues[request.tenant]
        queues[request.revision].remove(request)
        self._demand[request.revision] -= 1
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
        """Whose turn it is, and the replicas that may take it, none of it carried out yet; None where nobody can go.

        `patience_s`: how long a request waits for a slot before it goes first, and one is freed for it.
        """
        if not self._queues:
            return None
        self._close_for_the_impatient(rooms, now_s - patience_s)
        free = self._free(rooms)
        if not free.room:
            return None
        for tenant in sorted(self._queues, key=self.counter):
            for request in self._by_urgency(tenant, now_s - patience_s):
                if places := self._places(request, free):
                    return request, places
        return None

    def admit(self, request: Waiting, replica: str, now_s: float) -> None:
        """Gives a request that waits its turn at `replica`, and charges its tenant what it is expected to cost."""
        self.leave(request)
        self.take(request, replica, now_s)

    def take(self, request: Waiting, replica: str, now_s: float) -> None:
        """Gives a turn to a request that never waited."""
        self._lift_to_present(request.tenant)
        self._expected[request.tenant] += request.cost / request.weight
        self._running[request.tenant] += 1
        self._enter(request.revision, replica, now_s)

    def move(self, request: Waiting, before: str, after: str, now_s: float) -> None:
        """Notes that another replica has gone on with a request."""
        self._exit(request.revision, before)
        self._enter(request.revision, after, now_s)

    def done(self, request: Waiting, replica: str, cost: float) -> None:
        """Ends a turn, which took `cost` tokens in the end."""
        self._exit(request.revision, replica)
        self._expected[request.tenant] -= request.cost / request.weight
        self._settled[request.tenant] = self._settled.get(request.tenant, 0.0) + cost / request.weight
        self._running[request.tenant] -= 1
        if not self._running[request.tenant]:
            del self._running[request.tenant]
            self._forget(request.tenant)

    def fits(self, request: Waiting, rooms: Mapping[str, Room]) -> tuple[str, ...]:
        """The replicas that could take a request now, if nobody waited."""
        return self._places(request, self._free({name: rooms[name] for name in rooms if name in request.replicas}))

    def _lift(self, tenant: str) -> None:
        """Lifts a tenant to the least of those who wait, by what they really got: what is only expected of turns under
        way may turn out to be less, and then whoever was lifted by it would have to wait for the others to catch up."""
        self._settled[tenant] = max(self._settled.get(tenant, 0.0), self._least())

    def _lift_to_present(self, tenant: str) -> None:
        if tenant not in self._queues and tenant not in self._running:
            self._lift(tenant)

    def _least(self) -> float:
        return min((self._settled.get(name, 0.0) for name in self._queues), default=self._last_left)

    def _forget(self, tenant: str) -> None:
        """A tenant that is behind those who wait would be lifted when it comes back: nothing is to be kept of it."""
        if tenant in self._queues or tenant in self._running:
            return
        self._expected.pop(tenant, None)
        if self._settled.get(tenant, 0.0) <= self._least():
            self._settled.pop(tenant, None)

    def _by_urgency(self, tenant: str, late_s: float) -> Iterator[Waiting]:
        """The first of each of a tenant's queues: those out of patience by age, then those whose revision more wait
        for."""
        heads = [queue[0] for queue in self._queues[tenant].values()]

        def urgency(request: Waiting) -> tuple[bool, float, float]:
            late = request.since_s < late_s
            return (not late, 0.0 if late else -self._demand[request.revision], request.since_s)

        return iter(sorted(heads, key=urgency))

    def _free(self, rooms: Mapping[str, Room]) -> _Free:
        room = [name for name, one in rooms.items() if self._has_room(name, one)]
        return _Free(room, [name for name in room if self._has_slot(name, rooms[name])])

    def _places(self, request: Waiting, free: _Free) -> tuple[str, ...]:
        """Where a request fits; only where its revision has a slot already, if there is such a place. Most revisions
        that wait are held by few, and slots are free at few, so that this is no look at every replica."""
        able = request.replicas
        if request.revision is None:
            return tuple(name for name in free.room if name in able)
        holders = self._holders.get(request.revision)
        if not holders:
            return tuple(name for name in free.slot if name in able)
        held = {name for name, one in holders.items() if not one.closing and name in able}
        if held and (here := tuple(name for name in free.room if name in held)):
            return here
        return tuple(name for name in free.slot if name in able and name not in holders)

    def _has_room(self, replica: str, room: Room) -> bool:
        if room.requests is None:
            return True
        # What is elsewhere is as old as the last look: it must not keep a replica from all work until the next.
        return self.in_flight(replica) < max(room.requests - room.elsewhere, room.requests // 4, 1)

    def _has_slot(self, replica: str, room: Room) -> bool:
        load = self._loads.get(replica)
        return load is None or room.slots is None or len(load.held) < room.slots

    def _enter(self, revision: str | None, replica: str, now_s: float) -> None:
        load = self._loads.setdefault(replica, _Load())
        load.requests += 1
        if revision is not None:
            opened = load.held.setdefault(revision, _Open(now_s))
            opened.requests += 1
            self._holders.setdefault(revision, {})[replica] = opened

    def _exit(self, revision: str | None, replica: str) -> None:
        load = self._loads[replica]
        load.requests -= 1
        if revision is not None:
            held = load.held[revision]
            held.requests -= 1
            if not held.requests:
                del load.held[revision]
                self._close(revision, replica)
        if not load.requests:
            del self._loads[replica]

    def _close(self, revision: str, replica: str) -> None:
        holders = self._holders[revision]
        del holders[replica]
        if not holders:
            del self._holders[revision]

    def _close_for_the_impatient(self, rooms: Mapping[str, Room], late_s: float) -> None:
        """Where requests have waited too long for a slot, has as many slots given up, those that were opened first, but
        half of all at most at a time."""
        late = self._late(late_s)
        if not late:
            return
        for name, load in self._loads.items():
            slots = rooms[name].slots if name in rooms else None
            if slots is None or len(load.held) < slots:
                continue
            closing = sum(one.closing for one in load.held.values())
            able = self._first_opened(load, late_s)[: max(0, max(1, len(load.held) // 2) - closing)]
            if not able:
                continue
            wanting = (1 for revision, places in late.items() if name in places and revision not in load.held)
            count = sum(itertools.islice(wanting, closing + len(able))) - closing
            for held in able[: max(0, count)]:
                held.closing = True

    def _first_opened(self, load: _Load, late_s: float) -> Sequence[_Open]:
        """Those that may be closed, none that was opened just now."""
        able = [one for one in load.held.values() if not one.closing and one.since_s < late_s]
        return sorted(able, key=lambda one: one.since_s)

    def _late(self, late_s: float) -> Mapping[str, Collection[str]]:
        """Revisions for which somebody has waited longer than is to be, with the replicas that have them."""
        late: dict[str, Collection[str]] = {}
        for queues in self._queues.values():
            for revision, queue in queues.items():
                if revision is not None and queue[0].since_s < late_s:
                    late[revision] = queue[0].replicas
        return late
