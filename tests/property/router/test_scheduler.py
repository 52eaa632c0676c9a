"""Admission's decisions, as properties of a state machine that is driven at random."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.router.admission.scheduler import Room, Scheduler, Waiting

PATIENCE_S = 5.0
revisions = st.sampled_from([None, "a", "b", "c", "d", "e"])


class Machine:
    """A desk, and the engine behind it: each turn takes `length` ticks of `tick_s`."""

    def __init__(self, rooms: dict[str, Room]) -> None:
        self.scheduler = Scheduler()
        self.rooms = rooms
        self.now_s = 0.0
        self.running: list[tuple[Waiting, str, int]] = []
        self.service: Counter[str] = Counter()
        self.waited: list[float] = []

    def arrive(self, tenant: str, revision: str | None, cost: float = 10, weight: float = 1) -> None:
        self.scheduler.arrive(
            Waiting(
                tenant=tenant,
                revision=revision,
                replicas=tuple(self.rooms),
                cost=cost,
                since_s=self.now_s,
                weight=weight,
            )
        )

    def serve(self, length: int) -> None:
        while (found := self.scheduler.next(self.rooms, self.now_s, PATIENCE_S)) is not None:
            request, places = found
            self.scheduler.admit(request, places[0], self.now_s)
            self.waited.append(self.now_s - request.since_s)
            self.running.append((request, places[0], length))
            self.check()

    def tick(self, tick_s: float = 0.5) -> None:
        self.now_s += tick_s
        left = []
        for request, place, length in self.running:
            if length > 1:
                left.append((request, place, length - 1))
                continue
            self.scheduler.done(request, place, request.cost)
            self.service[request.tenant] += int(request.cost)
        self.running = left

    def check(self) -> None:
        for name, room in self.rooms.items():
            here = [request for request, place, _ in self.running if place == name]
            assert self.scheduler.in_flight(name) == len(here)
            if room.requests is not None:
                assert len(here) <= room.requests
            if room.slots is not None:
                assert len({one.revision for one in here} - {None}) <= room.slots


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), revisions, st.integers(0, 3)), min_size=1, max_size=60),
    st.integers(1, 4),
    st.integers(1, 8),
)
def test_no_replica_gets_more_revisions_than_it_has_slots_nor_more_requests_than_it_runs_and_all_are_served(
    arrivals: list[tuple[str, str | None, int]], slots: int, requests: int
) -> None:
    machine = Machine({"r1": Room(requests=requests, slots=slots), "r2": Room(requests=requests, slots=1)})
    for tenant, revision, pause in arrivals:
        machine.arrive(tenant, revision)
        machine.serve(length=2)
        for _ in range(pause):
            machine.tick()
    for _ in range(400):
        machine.tick()
        machine.serve(length=2)
    assert machine.scheduler.waiting == 0
    assert not machine.running
    assert len(machine.waited) == len(arrivals)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(revisions, st.sets(st.sampled_from(["r1", "r2", "r3"])), st.integers(0, 2)), max_size=40),
    st.integers(1, 3),
)
def test_a_request_fits_where_its_revision_has_a_slot_and_room_and_else_where_there_is_a_slot_for_it(
    arrivals: list[tuple[str | None, set[str], int]], slots: int
) -> None:
    machine = Machine(
        {"r1": Room(requests=2, slots=slots), "r2": Room(requests=3, slots=1), "r3": Room(requests=None, slots=slots)}
    )
    for revision, where, pause in arrivals:
        request = Waiting(tenant="t", revision=revision, replicas=frozenset(where), cost=1, since_s=machine.now_s)
        here = {name: [one for one, place, _ in machine.running if place == name] for name in machine.rooms}
        held = {name: {one.revision for one in ones} - {None} for name, ones in here.items()}
        room = {name for name in where if len(here[name]) < (machine.rooms[name].requests or 99)}
        slot = {name for name in room if len(held[name]) < (machine.rooms[name].slots or 99)}
        holding = {name for name in room if revision in held[name]}
        expected = room if revision is None else holding or {name for name in slot if revision not in held[name]}
        assert set(machine.scheduler.fits(request, machine.rooms)) == expected
        if expected:
            machine.scheduler.take(request, min(expected), machine.now_s)
            machine.running.append((request, min(expected), 2))
        for _ in range(pause):
            machine.tick()


def test_under_a_flood_for_few_revisions_somebody_who_wants_another_is_served_within_patience_and_two_turns() -> None:
    machine = Machine({"r": Room(requests=8, slots=2)})
    length = 4
    for _ in range(40):
        machine.arrive("flood", "a")
        machine.arrive("flood", "b")
    machine.serve(length)
    machine.arrive("rare", "c")
    for _ in range(200):
        machine.arrive("flood", "a")
        machine.arrive("flood", "b")
        machine.tick()
        machine.serve(length)
        if not machine.scheduler.waiting_of("rare"):
            break
    assert machine.now_s <= PATIENCE_S + 2 * length * 0.5 + 0.5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=4),
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.integers(1, 6),
)
def test_the_service_of_tenants_that_always_wait_differs_by_no_more_than_a_bound_by_weight(
    costs: list[int], weights: list[int], running: int
) -> None:
    # VTC's bound: what is running, and one request more, whatever else happens (OSDI'24, theorem 4.4).
    tenants = [f"t{place}" for place in range(min(len(costs), len(weights)))]
    machine = Machine({"r": Room(requests=running, slots=None)})
    for _ in range(150):
        for place, tenant in enumerate(tenants):
            while machine.scheduler.waiting_of(tenant) <= running:
                machine.arrive(tenant, None, cost=costs[place], weight=weights[place])
        machine.serve(length=1)
        machine.tick()
        got = [machine.service[tenant] / weights[place] for place, tenant in enumerate(tenants)]
        largest = max(costs[place] / weights[place] for place in range(len(tenants)))
        assert max(got) - min(got) <= 2 * (running + 1) * largest


def test_who_comes_back_after_a_pause_has_saved_nothing_up() -> None:
    machine = Machine({"r": Room(requests=1, slots=None)})
    for _ in range(50):
        machine.arrive("busy", None)
    for _ in range(20):
        machine.serve(length=1)
        machine.tick()
    for _ in range(20):
        machine.arrive("late", None)
    machine.service.clear()
    for _ in range(20):
        machine.serve(length=1)
        machine.tick()
    assert abs(machine.service["late"] - machine.service["busy"]) <= 20


def test_a_newcomer_goes_before_a_flood_whose_turns_take_less_than_was_expected_of_them() -> None:
    machine = Machine({"r": Room(requests=4, slots=None)})
    for _ in range(20):
        machine.arrive("flood", None, cost=100)
    machine.serve(length=1)
    machine.arrive("late", None, cost=100)
    for request, place, _ in machine.running:
        machine.scheduler.done(request, place, 7)
    machine.running.clear()
    found = machine.scheduler.next(machine.rooms, machine.now_s, PATIENCE_S)
    assert found is not None
    assert found[0].tenant == "late"


def test_a_turn_that_took_less_than_expected_is_charged_what_it_took() -> None:
    scheduler = Scheduler()
    request = Waiting(tenant="t", revision=None, replicas=("r",), cost=100, since_s=0.0)
    scheduler.take(request, "r", 0.0)
    other = Waiting(tenant="t", revision=None, replicas=("r",), cost=100, since_s=0.0)
    scheduler.take(other, "r", 0.0)
    scheduler.done(request, "r", 7)
    assert scheduler.counter("t") == 107


def test_a_request_that_leaves_its_queue_leaves_nothing_behind() -> None:
    scheduler = Scheduler()
    request = Waiting(tenant="t", revision="a", replicas=("r",), cost=1, since_s=0.0)
    scheduler.arrive(request)
    scheduler.leave(request)
    assert (scheduler.waiting, scheduler.waiting_of("t")) == (0, 0)
    assert scheduler.next({"r": Room()}, 0.0, PATIENCE_S) is None


def test_a_revision_keeps_its_slot_while_it_has_work_and_nobody_is_out_of_patience() -> None:
    scheduler = Scheduler()
    rooms = {"r": Room(requests=10, slots=1)}
    first = Waiting(tenant="t", revision="a", replicas=("r",), cost=1, since_s=0.0)
    scheduler.take(first, "r", 0.0)
    blocked, joining = (
        Waiting(tenant="t", revision="b", replicas=("r",), cost=1, since_s=0.0),
        Waiting(tenant="t", revision="a", replicas=("r",), cost=1, since_s=1.0),
    )
    scheduler.arrive(blocked)
    scheduler.arrive(joining)
    found = scheduler.next(rooms, 1.0, PATIENCE_S)
    assert found is not None
    assert found[0] is joining
    scheduler.admit(joining, "r", 1.0)
    assert scheduler.next(rooms, 1.0, PATIENCE_S) is None
    scheduler.arrive(late := Waiting(tenant="t", revision="a", replicas=("r",), cost=1, since_s=2.0))
    assert scheduler.next(rooms, PATIENCE_S + 1.0, PATIENCE_S) is None, "the slot is to be given up now"
    scheduler.done(first, "r", 1)
    scheduler.done(joining, "r", 1)
    found = scheduler.next(rooms, PATIENCE_S + 1.0, PATIENCE_S)
    assert found is not None
    assert found[0] is blocked
    assert late.revision == "a"
