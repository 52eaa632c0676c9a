"""The scheduler, which keeps count of everything, decides as one does that counts anew each time."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.router.admission.scheduler import Room, Scheduler, Waiting
from tests.property.router.plain_scheduler import PlainScheduler

PATIENCE_S = 3.0
TENANTS = {"x": 1.0, "y": 2.0, "z": 0.5}
# Revisions, and the replicas that can serve them.
PLACES: dict[str | None, tuple[str, ...]] = {
    None: ("r1", "r2", "r3"),
    "a": ("r1", "r2", "r3"),
    "b": ("r1", "r2"),
    "c": ("r2", "r3"),
    "d": ("r1",),
    "e": ("r1", "r3"),
}
STEPS = ["arrive", "arrive", "arrive", "serve", "serve", "serve", "done", "done", "leave", "take", "move", "wait"]


class Both:
    """The scheduler and its plain double, which get the same and are asked the same."""

    def __init__(self, rooms: dict[str, Room]) -> None:
        self.real, self.plain = Scheduler(), PlainScheduler()
        self.rooms = rooms
        self.now_s = 0.0

    def arrive(self, request: Waiting) -> None:
        self.real.arrive(request)
        self.plain.arrive(request)

    def serve(self, rooms: dict[str, Room], pick: int) -> None:
        found = self.real.next(rooms, self.now_s, PATIENCE_S)
        assert found == self.plain.next(rooms, self.now_s, PATIENCE_S)
        if found is not None:
            request, places = found
            place = places[pick % len(places)]
            self.real.admit(request, place, self.now_s)
            self.plain.leave(request)
            self.plain.take(request, place, self.now_s)

    def take(self, request: Waiting, pick: int) -> None:
        places = self.real.fits(request, self.rooms)
        assert places == self.plain.fits(request, self.rooms)
        if places:
            place = places[pick % len(places)]
            self.real.take(request, place, self.now_s)
            self.plain.take(request, place, self.now_s)

    def end(self, pick: int, cost: int) -> None:
        if self.plain.running:
            request, place = self.plain.running[pick % len(self.plain.running)]
            self.real.done(request, place, cost)
            self.plain.done(request, place, cost)

    def leave(self, pick: int) -> None:
        if self.plain.waiting:
            request = self.plain.waiting[pick % len(self.plain.waiting)]
            self.real.leave(request)
            self.plain.leave(request)

    def move(self, pick: int, after: str) -> None:
        if self.plain.running:
            request, before = self.plain.running[pick % len(self.plain.running)]
            self.real.move(request, before, after, self.now_s)
            self.plain.move(request, before, after, self.now_s)

    def check(self) -> None:
        assert self.real.waiting == len(self.plain.waiting)
        for tenant in TENANTS:
            assert self.real.counter(tenant) == self.plain.counter(tenant)
            assert self.real.waiting_of(tenant) == sum(one.tenant == tenant for one in self.plain.waiting)
        for name in self.rooms:
            assert self.real.in_flight(name) == self.plain.in_flight(name)


def rooms_of(slots: int | None) -> st.SearchStrategy[dict[str, Room]]:
    """Three replicas: one without any limit of slots, two with `slots`."""
    limits = {"r1": slots, "r2": slots, "r3": None}
    room = {
        name: st.builds(Room, requests=st.none() | st.integers(1, 9), slots=st.just(most), elsewhere=st.integers(0, 4))
        for name, most in limits.items()
    }
    return st.fixed_dictionaries(room)


STEP = st.tuples(
    st.sampled_from(STEPS),
    st.sampled_from(list(TENANTS)),
    st.sampled_from(list(PLACES)),
    st.integers(0, 40),
)


def stepped(both: Both, step: str, tenant: str, revision: str | None, number: int) -> None:
    """Does one step with both. `number` stands for whatever the step has to choose."""
    both.now_s += 0.125
    request = Waiting(
        tenant=tenant,
        revision=revision,
        replicas=PLACES[revision],
        cost=float(number),
        since_s=both.now_s,
        weight=TENANTS[tenant],
    )
    rooms = {name: room for at, (name, room) in enumerate(both.rooms.items()) if number != at}
    actions = {
        "arrive": lambda: both.arrive(request),
        "serve": lambda: both.serve(rooms, number),
        "done": lambda: both.end(number, number // 2),
        "leave": lambda: both.leave(number),
        "take": lambda: both.take(msgspec.structs.replace(request), number),
        "move": lambda: both.move(number, ("r1", "r2", "r3")[number % 3]),
        "wait": lambda: setattr(both, "now_s", both.now_s + number / 8),
    }
    actions[step]()


@pytest.mark.parametrize("slots", [1, 2, 3, 4, None])
@settings(max_examples=20, deadline=None)
@given(st.data(), st.lists(STEP, min_size=20, max_size=60))
def test_after_any_steps_both_choose_alike_and_count_alike(
    slots: int | None, data: st.DataObject, steps: list[tuple[str, str, str | None, int]]
) -> None:
    both = Both(data.draw(rooms_of(slots)))
    for step in steps:
        stepped(both, *step)
        both.check()
    for _ in range(70):
        both.end(0, 1)
        both.now_s += 1.0
        both.serve(both.rooms, 0)
        both.check()
    assert not both.plain.waiting
