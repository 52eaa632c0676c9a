"""One router's counting, request by request: in which order outcomes count, for whom, and what is told of callers."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from patchbay.router.canary.assigned_request import AssignedRequest
from patchbay.router.canary.assignment import Arm
from patchbay.router.canary.callers import named
from patchbay.router.canary.event_order import EventOrder, Kind
from patchbay.router.canary.ledger import CallersSeen, Counts
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.canary.population import Population
from patchbay.router.canary.recorder import Recorder
from tests.unit.router.canary.build import planned

METRICS: dict[str, Any] = {"errors": {}, "votes": {}, "refusals": {}}


@dataclass
class Watched:
    """A recorder, its clock, and what it has told."""

    plan: PlanConfig = field(default_factory=lambda: planned(metrics=METRICS, unit="caller"))
    now_s: float = 0.0
    told: list[tuple[Arm, float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recorder = Recorder(7, self.plan, lambda: self.now_s, lambda *event: self.told.append(event))

    def ask(self, arm: Arm, unit: bytes, share: float = 0.5, **given: Any) -> AssignedRequest:
        return self.recorder.begin(arm, share, unit, **given)

    def asked(self, arm: Arm, unit: bytes, *bad: str, share: float = 0.5, **given: Any) -> AssignedRequest:
        entry = self.ask(arm, unit, share, **given)
        self.recorder.end(entry, set(bad))
        return entry

    def counts(self) -> list[Counts]:
        """What was counted, without what was seen of callers."""
        return [one for one in self.recorder.take() if one.seen is None]


def test_a_request_and_what_was_bad_of_it_count_in_its_arm() -> None:
    watched = Watched()
    watched.asked("canary", b"a", "errors", "empty")
    watched.asked("stable", b"b")
    watched.asked("stable", b"c", "refusals")
    bad = {"errors": (1, 0), "refusals": (0, 1)}
    assert watched.counts() == [Counts(share=0.5, canary=1, other=2, bad=bad, own={"errors": 1})]
    assert sorted(watched.told) == sorted(
        [
            ("canary", 0.5, "request"),
            ("canary", 0.5, "errors"),
            ("canary", 0.5, "own_errors"),
            ("stable", 0.5, "request"),
            ("stable", 0.5, "request"),
            ("stable", 0.5, "refusals"),
        ]
    )
    assert watched.counts() == []


def test_what_counts_for_nobody_is_not_counted() -> None:
    watched = Watched()
    entry = watched.ask("canary", b"a")
    watched.recorder.end(entry, None)
    assert (watched.counts(), entry.done, entry.counted) == ([], True, False)
    watched.recorder.happened(entry, "votes")
    assert watched.counts() == []


def test_a_caller_counts_once_in_the_canary_and_each_share_is_counted_apart() -> None:
    watched = Watched()
    for share in (0.1, 0.1, 0.5):
        watched.asked("canary", b"a", share=share)
        watched.asked("stable", b"b", share=share)
    assert watched.counts() == [
        Counts(share=0.1, canary=1, other=1, own={}),
        Counts(share=0.5, canary=0, other=1, own={}),
    ]


def test_a_vote_counts_with_its_request_or_after_it_and_once() -> None:
    watched = Watched()
    early, late = watched.ask("canary", b"a"), watched.asked("canary", b"b")
    watched.recorder.end(early, set())
    watched.recorder.happened(early, "votes")
    watched.recorder.happened(late, "votes")
    watched.recorder.happened(late, "votes")
    watched.recorder.happened(late, "cost")
    [counts] = watched.counts()
    assert (counts.canary, counts.bad, counts.own) == (2, {"votes": (2, 0)}, {"votes": 2})


def test_an_outcome_waits_for_earlier_requests_and_a_vote_waits_with_it() -> None:
    watched = Watched()
    first = watched.ask("stable", b"a")
    second = watched.asked("canary", b"b")
    watched.recorder.happened(second, "votes")
    assert (watched.counts(), second.counted) == ([], False)
    watched.recorder.end(first, set())
    [counts] = watched.counts()
    assert (counts.canary, counts.other, counts.bad) == (1, 1, {"votes": (1, 0)})


def test_an_outcome_waits_no_longer_than_the_plan_says() -> None:
    watched = Watched()
    watched.ask("stable", b"a")
    watched.asked("canary", b"b")
    watched.now_s = 10.0
    assert watched.counts() == []
    watched.now_s = 10.1
    assert [one.canary for one in watched.counts()] == [1]


def test_slices_count_beside_the_whole() -> None:
    watched = Watched(planned(metrics=METRICS, unit="caller", slices=["tenant"]))
    watched.asked("canary", b"a", "errors", slices=("tenant=x",))
    watched.asked("stable", b"b", "errors", slices=("tenant=y", "tier=z"))
    [counts] = watched.counts()
    assert counts.bad == {
        "errors": (1, 1),
        "errors@tenant=x": (1, 0),
        "errors@tenant=y": (0, 1),
        "errors@tier=z": (0, 1),
    }


def test_pairs_and_copies_are_counted_and_told() -> None:
    watched = Watched()
    watched.recorder.won(0.25, 1.0)
    watched.recorder.won(0.25, 0.5)
    watched.recorder.shadowed({"errors", "empty"})
    watched.recorder.shadowed(())
    assert watched.counts() == [
        Counts(share=0.25, wins={1.0: 1, 0.5: 1}, own={}),
        Counts(share=0.0, canary=2, bad={"errors": (1, 0)}, own={"errors": 1}, shadowed=2),
    ]
    assert watched.told == [
        ("canary", 0.25, "win_1"),
        ("canary", 0.25, "win_0.5"),
        ("canary", 0.0, "copied"),
        ("canary", 0.0, "copied_errors"),
        ("canary", 0.0, "copied"),
    ]


@pytest.mark.parametrize(("metric", "trips"), [("errors", True), ("empty", True), ("refusals", False)])
def test_what_no_client_can_bring_about_trips_the_breaker_and_that_is_told_once(metric: str, trips: bool) -> None:
    watched = Watched()
    for number in range(30):
        watched.asked("stable", b"s%d" % number)
        watched.asked("canary", b"c%d" % number, metric)
    assert (watched.recorder.tripped is not None) is trips
    taken = watched.recorder.take()
    assert [one.tripped for one in taken if one.tripped] == ([watched.recorder.tripped] if trips else [])
    assert [one.tripped for one in watched.recorder.take() if one.tripped] == []
    watched.recorder.give_back(taken)
    assert [one.tripped for one in watched.recorder.take() if one.tripped] == (
        [watched.recorder.tripped] if trips else []
    )


def test_counts_that_are_given_back_are_counted_with_the_next() -> None:
    watched = Watched(planned(metrics=METRICS))
    watched.asked("canary", watched.recorder.population.unit_of(b"a", b"request:1", 0.5), "errors")
    taken = watched.recorder.take()
    assert [(one.seen.unit, one.seen.callers) for one in taken if one.seen] == [("caller", 1)]
    watched.recorder.give_back(taken)
    watched.asked("stable", b"b", "errors")
    counts, seen = watched.recorder.take()
    assert (counts.canary, counts.other, counts.bad, counts.own) == (1, 1, {"errors": (1, 1)}, {"errors": 1})
    assert seen.seen is not None


def test_where_requests_are_assigned_each_counts_up_to_a_bound_for_its_caller() -> None:
    watched = Watched(planned(metrics=METRICS, unit="request"))
    for number in range(60):
        watched.asked("canary" if number % 2 else "stable", b"request:%d" % number, caller=b"key")
    [counts] = watched.counts()
    assert counts.canary + counts.other == 60, "one caller alone is all there is"
    for number in range(60, 1000):
        watched.asked("stable", b"request:%d" % number, caller=b"key %d" % number)
    watched.counts()
    for number in range(1000, 1030):
        watched.asked("canary", b"request:%d" % number, "errors", caller=b"key")
    assert all(one.canary == 0 for one in watched.counts()), "it has had its share"


def order(longest_s: float = 10.0) -> tuple[EventOrder, list[float]]:
    now = [0.0]
    return EventOrder(lambda: now[0], longest_s), now


def entry(arm: Arm, began_s: float = 0.0) -> AssignedRequest:
    return AssignedRequest(canary=1, arm=arm, share=0.5, unit=b"u", caller=b"u", began_s=began_s)


def test_outcomes_of_a_kind_come_in_the_order_of_requests() -> None:
    made, _ = order()
    asked = [entry(arm) for arm in ("canary", "stable", "canary")]
    for one in asked:
        made.begin(one)
    assert [one.place for one in asked] == [0, 1, 2]
    for one in (asked[2], asked[1]):
        one.done = True
        made.end(one, "answered")
        assert list(made.settled()) == []
    asked[0].done = True
    made.end(asked[0], "answered")
    assert list(made.settled()) == asked
    assert list(made.settled()) == []


@pytest.mark.parametrize(
    ("kind", "took_s", "horizon_s"),
    [("failed", 1.0, 1.0), ("answered", 4.0, 4.0), ("answered", 40.0, 10.0)],
)
def test_an_outcome_waits_as_long_as_such_ones_usually_take_in_that_arm(
    kind: Kind, took_s: float, horizon_s: float
) -> None:
    made, now = order()
    for _ in range(20):
        one = entry("stable", now[0])
        made.begin(one)
        now[0] += took_s
        one.done = True
        made.end(one, kind)
    list(made.settled())
    waiting, ended = entry("stable", now[0]), entry("canary", now[0])
    made.begin(waiting)
    made.begin(ended)
    ended.done = True
    made.end(ended, kind)
    now[0] += horizon_s
    assert list(made.settled()) == []
    now[0] += 0.01
    assert list(made.settled()) == [ended]


def test_before_twenty_outcomes_of_a_kind_are_known_those_of_all_kinds_count() -> None:
    made, now = order()
    for number in range(20):
        one = entry("stable", now[0])
        made.begin(one)
        now[0] += 2.0
        one.done = True
        made.end(one, "failed" if number < 19 else "answered")
    list(made.settled())
    waiting, ended = entry("stable", now[0]), entry("canary", now[0])
    made.begin(waiting)
    made.begin(ended)
    ended.done = True
    made.end(ended, "failed")
    now[0] += 2.0
    assert list(made.settled()) == []
    now[0] += 0.01
    assert list(made.settled()) == [ended]


def test_the_last_two_hundred_outcomes_say_what_is_usual() -> None:
    made, now = order(longest_s=1000.0)
    for number in range(400):
        one = entry("stable", now[0])
        made.begin(one)
        now[0] += 500.0 if number < 200 else 1.0
        one.done = True
        made.end(one, "answered")
    list(made.settled())
    waiting, ended = entry("stable", now[0]), entry("canary", now[0])
    made.begin(waiting)
    made.begin(ended)
    ended.done = True
    made.end(ended, "answered")
    now[0] += 1.01
    assert list(made.settled()) == [ended]


def populated(callers: list[bytes], plan: PlanConfig | None = None, share: float = 0.5) -> Population:
    made = Population(plan or planned(metrics=METRICS))
    for number, caller in enumerate(callers):
        made.unit_of(caller, b"request:%d" % number, share)
    return made


@pytest.mark.parametrize(
    ("callers", "unit"),
    [
        # Of 64 requests a quarter of new callers is enough; with fewer all of them are needed.
        ([b"c%d" % (number % 16) for number in range(64)], "caller"),
        ([b"c%d" % (number % 15) for number in range(64)], "request"),
        ([b"c%d" % (number % 2) for number in range(63)], "caller"),
        ([b"c0"] * 64, "request"),
        ([b"c%d" % number for number in range(64)] + [b"c0"] * 64, "request"),
        ([b"c%d" % number for number in range(64)] + [b"d%d" % (number // 4) for number in range(64)], "caller"),
    ],
)
def test_callers_are_assigned_as_long_as_new_ones_keep_coming(callers: list[bytes], unit: str) -> None:
    made = populated(callers)
    assert made.unit == unit
    assert made.callers == len(set(callers))
    assert made.seen == CallersSeen(made.unit, len(set(callers)), made.seen.error)


def test_a_plan_says_what_is_assigned_whatever_the_callers() -> None:
    for unit in ("caller", "request"):
        made = populated([b"c0"] * 200, planned(metrics=METRICS, unit=unit))
        assert made.unit == unit
        assert made.unit_of(b"session:x", b"request:9", 0.5) == (b"session:x" if unit == "caller" else b"request:9")


def test_conversations_stay_whole_while_they_come_and_go() -> None:
    # Every tenth request is of a new conversation: too few for callers, and enough to keep conversations whole.
    made = populated([b"session:%d" % (number // 10) for number in range(128)])
    assert made.unit == "request"
    assert made.unit_of(b"session:a", b"request:x", 0.5) == b"session:a"
    assert made.unit_of(b"user", b"request:x", 0.5) == b"request:x"
    always = populated([b"session:1"] * 128)
    assert always.unit_of(b"session:1", b"request:x", 0.5) == b"request:x"


def test_one_key_with_ever_new_names_does_not_decide_for_the_others() -> None:
    forged = [named(b"session:%d" % number, b"key") for number in range(64)]
    honest = [b"other %d" % (number % 2) for number in range(64)]
    both = [one for pair in zip(forged, honest, strict=True) for one in pair]
    made = populated(both)
    assert made.unit == "request"
    assert (made.names_of(b"key"), made.names_of(b"other 0"), made.names_of(b"nobody")) == (64, 1, 1)
    assert populated(forged).unit == "caller", "alone it may"
