"""The canaries of a router as the registry's records come and go: who gets requests, what is cut, what is forgotten."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from patchbay.core.errors import Unavailable
from patchbay.registry.canary_records import CanaryPhase, CanaryRecord
from patchbay.router.canary.assigned_request import AssignedRequest
from patchbay.router.canary.assignment import Arm, Asker, CanaryAssignment
from patchbay.router.canary.live import LiveCanaries
from patchbay.router.telemetry.canary_metrics import CanaryMetrics
from tests.unit.router.canary.build import planned, record

PLAN = planned(unit="caller", metrics={"errors": {"tolerated": 1.5, "margin": 2.5}, "votes": {}}).model_dump(
    mode="json"
)


class Held:
    """Canaries of this router, with a clock that a test moves, and the errors by which answers were cut."""

    def __init__(self, *records: CanaryRecord, reserved: tuple[str, ...] = ()) -> None:
        self.now_s = 0.0
        self.live = LiveCanaries(CanaryMetrics(CollectorRegistry()), lambda: self.now_s, reserved)
        self.cut: list[str] = []
        self.dropped: list[str] = []
        self.live.dropped.append(self.dropped.append)
        self.live.put(records)

    @property
    def assignment(self) -> CanaryAssignment:
        return self.live.running["sql"]

    def ask(self, arm: Arm, unit: bytes) -> AssignedRequest:
        asker = Asker(route="sql", tenant="acme", unit=unit)
        return self.live.begin(self.assignment, arm, asker, unit, self._interrupt)

    def asked(self, arm: Arm, unit: bytes, *bad: str) -> None:
        self.live.end(self.ask(arm, unit), set(bad), unit)

    def _interrupt(self, error: Unavailable) -> None:
        self.cut.append(str(error))


def canary(phase: CanaryPhase = "running", **changes: Any) -> CanaryRecord:
    return record(**{"phase": phase, "plan": PLAN, "weight": 25.0, **changes})


@pytest.mark.parametrize("phase", ["running", "paused", "promoting"])
def test_a_canary_under_way_gets_its_share_by_its_adapters_name(phase: CanaryPhase) -> None:
    held = Held(canary(phase))
    found = held.assignment
    assert (found.id, found.adapter, found.revision, found.share) == (7, "sql", "sql@4", 0.25)
    assert (found.pool, found.live) == (None, True)
    assert held.live.live == (found,)
    assert held.live.pool is None


@pytest.mark.parametrize("phase", ["pending", "warming", "rolling_back", "rolled_back", "promoted", "failed"])
def test_a_canary_that_does_not_serve_gets_nothing(phase: CanaryPhase) -> None:
    held = Held(canary(phase))
    assert (held.live.running, held.live.live) == ({}, ())


@pytest.mark.parametrize(
    ("phase", "reserved", "share", "live"),
    [
        ("running", (), 0.25, True),
        ("pending", (), 0.25, True),
        ("promoted", (), 1.0, False),
        ("promoted", ("next",), 0.0, False),
        ("rolled_back", (), 0.25, False),
    ],
)
def test_a_pools_canary_stands_apart(phase: CanaryPhase, reserved: tuple[str, ...], share: float, live: bool) -> None:
    held = Held(canary(phase, pool="next", adapter="", number=0), reserved=reserved)
    pool = held.live.pool
    assert pool is not None
    assert (pool.pool, pool.share, pool.live) == ("next", share, live)
    assert held.live.running == {}
    assert len(held.live.live) == live


def test_of_a_pools_canaries_the_last_counts_and_one_that_failed_does_not() -> None:
    first, last = canary(pool="next", id=1), canary(pool="other", id=2)
    assert Held(first, last).live.pool is not None
    found = Held(first, last, canary("failed", pool="bad", id=3)).live.pool
    assert found is not None
    assert found.id == 2


def test_a_plan_that_cannot_be_read_gets_no_requests() -> None:
    held = Held(canary(plan={"steps": []}), canary(id=8, adapter="code"))
    assert list(held.live.running) == ["code"]


def test_a_canary_that_fails_is_dropped_once() -> None:
    held = Held(canary())
    held.live.put([canary("rolling_back")])
    held.live.put([canary("rolled_back")])
    assert held.dropped == ["sql@4"]
    assert Held(canary("failed")).dropped == ["sql@4"], "it may have answered before this router began"


def test_answers_are_cut_where_the_record_says_so() -> None:
    held = Held(canary())
    held.ask("canary", b"a")
    held.ask("stable", b"b")
    held.asked("canary", b"c")
    held.live.put([canary("rolling_back", cut=True)])
    assert held.cut == []
    held.live.put([canary("rolled_back", cut=True)])
    assert held.cut == ["sql@4 was rolled back while it answered; ask again."]
    held.live.put([canary("rolled_back", cut=True)])
    assert len(held.cut) == 1


def test_answers_go_on_where_the_record_does_not_say_to_cut_them() -> None:
    held = Held(canary())
    held.ask("canary", b"a")
    held.live.put([canary("rolled_back")])
    assert held.cut == []


def test_counts_are_taken_by_canary_and_given_back() -> None:
    held = Held(canary())
    assert held.live.take() == {}
    held.asked("canary", b"a", "errors")
    taken = held.live.take()
    [counts] = taken[7]
    assert (counts.share, counts.canary, counts.bad) == (0.25, 1, {"errors": (1, 0)})
    assert held.live.take() == {}
    held.live.give_back(taken)
    assert held.live.take() == taken
    held.live.put([])
    held.live.give_back(taken)
    assert held.live.take() == {}


def test_a_vote_counts_against_the_answer_that_it_is_about() -> None:
    held = Held(canary())
    held.asked("canary", b"a")
    held.live.voted_down(b"a")
    held.live.voted_down(b"somebody else's")
    assert held.live.take()[7][0].bad == {"votes": (1, 0)}
    held.live.put([canary("rolled_back")])
    held.live.voted_down(b"a")
    assert held.live.take() == {}


def test_what_counts_for_nobody_can_get_no_vote() -> None:
    held = Held(canary())
    held.live.end(held.ask("canary", b"a"), None, b"a")
    held.live.voted_down(b"a")
    assert held.live.take() == {}


def test_pairs_count_for_canaries_of_this_router() -> None:
    held = Held(canary(), canary(id=8, pool="next"))
    assert held.live.compared(7, 1.0)
    assert held.live.compared(8, 0.5)
    assert not held.live.compared(9, 1.0)
    taken = held.live.take()
    assert (taken[7][0].wins, taken[8][0].wins) == ({1.0: 1}, {0.5: 1})
    assert not Held(canary()).live.compared(8, 1.0)


def test_a_canary_that_trips_gets_nothing_from_then_on() -> None:
    held = Held(canary(), canary(id=8, adapter="code"))
    for number in range(40):
        held.asked("stable", b"s%d" % number)
        held.asked("canary", b"c%d" % number, "errors")
    assert (held.assignment.share, held.live.running["code"].share) == (0.0, 0.25)
    held.live.put([canary()])
    assert held.assignment.share == 0.0, "until the registry has ended it"


def test_copies_are_made_for_a_canary_that_answers_nothing_else_yet() -> None:
    copying = {**PLAN, "shadow": {"share": 0.2, "samples": 10}}
    held = Held(canary(plan=copying, weight=0.0))
    found = held.live.shadowing("sql")
    assert found is held.assignment
    held.live.shadowed(found, {"errors"})
    [counts] = held.live.take()[7]
    assert (counts.share, counts.canary, counts.shadowed, counts.bad) == (0.0, 1, 1, {"errors": (1, 0)})
    assert held.live.shadowing("code") is None
    assert Held(canary(plan=copying, weight=5.0)).live.shadowing("sql") is None
    assert Held(canary(weight=0.0)).live.shadowing("sql") is None


def test_a_caller_is_what_is_assigned_and_where_nobody_judges_any_more_as_well() -> None:
    held = Held(canary(plan={**PLAN, "unit": "request"}))
    assert held.live.unit_of(held.assignment, b"key", b"request:1") == b"request:1"
    over = Held(canary("promoted", pool="next", plan={**PLAN, "unit": "request"}))
    assert over.live.pool is not None
    assert over.live.unit_of(over.live.pool, b"key", b"request:1") == b"key"


def test_baselines_are_kept_while_a_canary_is_under_way() -> None:
    held = Held(canary())
    baseline = held.live.baseline_of("sql")
    assert held.live.baseline_of("sql") is baseline
    held.live.put([canary("paused")])
    assert held.live.baseline_of("sql") is baseline
    held.live.put([canary("rolled_back")])
    assert held.live.baseline_of("sql") is not baseline


def test_what_replicas_could_answer_is_forgotten_with_its_canary() -> None:
    held = Held(canary(), canary(id=8, adapter="code"))
    held.live.known = {(7, "sql"), (8, "code")}
    held.live.put([canary()])
    assert held.live.known == {(7, "sql")}


def test_a_pool_that_answers_alone_is_warned_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    held = Held(canary(pool="next"))
    for at_s in (0.0, 59.9, 60.0, 61.0):
        held.now_s = at_s
        held.live.answers_alone("next")
    assert [one.message[:50] for one in caplog.records] == ["no replica of another pool is there, so the pool n"] * 2
