"""The scheduler's rules once more, plainly: every figure is counted anew from lists whenever it is asked for."""

from dataclasses import dataclass, field

from patchbay.router.admission.scheduler import Room, Waiting


@dataclass
class PlainSlot:
    """A slot that a revision holds at a replica."""

    since_s: float
    closing: bool = False


@dataclass
class PlainScheduler:
    """A scheduler kept as plain lists: what waits in order of arrival, what runs and where, who holds slots, and the
    service that tenants got."""

    waiting: list[Waiting] = field(default_factory=list)
    tenants: list[str] = field(default_factory=list)
    running: list[tuple[Waiting, str]] = field(default_factory=list)
    slots: dict[tuple[str, str], PlainSlot] = field(default_factory=dict)
    settled: dict[str, float] = field(default_factory=dict)
    last_left: float = 0.0

    def counter(self, tenant: str) -> float:
        expected = sum(one.cost / one.weight for one, _ in self.running if one.tenant == tenant)
        return self.settled.get(tenant, 0.0) + expected

    def in_flight(self, replica: str) -> int:
        return sum(place == replica for _, place in self.running)

    def arrive(self, request: Waiting) -> None:
        if request.tenant not in self.tenants:
            self.lift(request.tenant)
            self.tenants.append(request.tenant)
        self.waiting.append(request)

    def leave(self, request: Waiting) -> None:
        self.waiting.remove(request)
        if all(one.tenant != request.tenant for one in self.waiting):
            self.last_left = self.settled.get(request.tenant, 0.0)
            self.tenants.remove(request.tenant)
            self.forget(request.tenant)

    def take(self, request: Waiting, replica: str, now_s: float) -> None:
        if request.tenant not in self.tenants and not self.runs(request.tenant):
            self.lift(request.tenant)
        self.running.append((request, replica))
        if request.revision is not None:
            self.slots.setdefault((replica, request.revision), PlainSlot(now_s))

    def end(self, request: Waiting, replica: str) -> None:
        self.running.remove((request, replica))
        if all((one.revision, place) != (request.revision, replica) for one, place in self.running):
            self.slots.pop((replica, request.revision or ""), None)

    def move(self, request: Waiting, before: str, after: str, now_s: float) -> None:
        self.end(request, before)
        self.running.append((request, after))
        if request.revision is not None:
            self.slots.setdefault((after, request.revision), PlainSlot(now_s))

    def done(self, request: Waiting, replica: str, cost: float) -> None:
        self.end(request, replica)
        self.settled[request.tenant] = self.settled.get(request.tenant, 0.0) + cost / request.weight
        if not self.runs(request.tenant):
            self.forget(request.tenant)

    def next(self, rooms: dict[str, Room], now_s: float, patience_s: float) -> tuple[Waiting, tuple[str, ...]] | None:
        overdue_s = now_s - patience_s
        for name, room in rooms.items():
            self.close(name, room, overdue_s)
        for tenant in sorted(self.tenants, key=self.counter):
            for request in self.heads(tenant, overdue_s):
                if places := self.fits(request, rooms):
                    return request, places
        return None

    def heads(self, tenant: str, overdue_s: float) -> list[Waiting]:
        first: dict[str | None, Waiting] = {}
        for one in self.waiting:
            if one.tenant == tenant:
                first.setdefault(one.revision, one)
        late = sorted((one for one in first.values() if one.since_s < overdue_s), key=lambda one: one.since_s)
        rest = [one for one in first.values() if one.since_s >= overdue_s]
        demand = [one.revision for one in self.waiting]
        return [*late, *sorted(rest, key=lambda one: (-demand.count(one.revision), one.since_s))]

    def fits(self, request: Waiting, rooms: dict[str, Room]) -> tuple[str, ...]:
        able = [name for name in rooms if name in request.replicas and self.has_room(name, rooms[name])]
        if request.revision is None:
            return tuple(able)
        held = {name: slot for (name, revision), slot in self.slots.items() if revision == request.revision}
        if open_there := [name for name in able if name in held and not held[name].closing]:
            return tuple(open_there)
        return tuple(name for name in able if name not in held and self.has_slot(name, rooms[name]))

    def has_room(self, replica: str, room: Room) -> bool:
        most = room.requests
        return most is None or self.in_flight(replica) < max(most - room.elsewhere, most // 4, 1)

    def has_slot(self, replica: str, room: Room) -> bool:
        return room.slots is None or len(self.held(replica)) < room.slots

    def held(self, replica: str) -> dict[str, PlainSlot]:
        return {revision: slot for (name, revision), slot in self.slots.items() if name == replica}

    def close(self, replica: str, room: Room, overdue_s: float) -> None:
        """Closes as many slots of a full replica as revisions want one, but half of all at most at a time."""
        held = self.held(replica)
        if not held or room.slots is None or len(held) < room.slots:
            return
        closing = sum(slot.closing for slot in held.values())
        wanting = {
            one.revision
            for tenant in self.tenants
            for one in self.heads(tenant, overdue_s)
            if one.revision is not None
            and one.since_s < overdue_s
            and one.revision not in held
            and replica in one.replicas
        }
        most = min(max(1, len(held) // 2), len(wanting)) - closing
        oldest = sorted(
            (slot for slot in held.values() if not slot.closing and slot.since_s < overdue_s),
            key=lambda slot: slot.since_s,
        )
        for slot in oldest[: max(0, most)]:
            slot.closing = True

    def lift(self, tenant: str) -> None:
        self.settled[tenant] = max(self.settled.get(tenant, 0.0), self.least())

    def least(self) -> float:
        return min((self.settled.get(name, 0.0) for name in self.tenants), default=self.last_left)

    def runs(self, tenant: str) -> bool:
        return any(one.tenant == tenant for one, _ in self.running)

    def forget(self, tenant: str) -> None:
        if tenant not in self.tenants and not self.runs(tenant) and self.settled.get(tenant, 0.0) <= self.least():
            self.settled.pop(tenant, None)
