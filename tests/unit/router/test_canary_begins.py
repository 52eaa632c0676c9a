"""When a router gives a canary its share: once it knows that every replica of its can answer. Pure."""

from dataclasses import replace
from typing import Any, cast

import pytest

from patchbay.core.errors import ModelNotFound, RequestError, Unavailable
from patchbay.router.canary.assignment import CanaryAssignment
from patchbay.router.canary.plan import ready_plans
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Catalog, HeldRevision, Naming, Replica, ReplicaState
from patchbay.router.forward.arrival import Arrival
from patchbay.router.forward.exchange import Exchange
from patchbay.router.request.canary_step import CanaryStep, can_answer, kept_from
from patchbay.router.routes.table import Choice
from tests.unit.router.canary.test_live_canaries import Held, canary

PLAN = ready_plans()["fast"]
TRIAL = CanaryAssignment(id=1, adapter="sql", revision="sql@2", plan=PLAN, share=0.1)
CHOICE = Choice(route="sql", model="sql")


def replica(name: str, *numbers: int, state: ReplicaState = "ready", failed: bool = False, pool: str = "a") -> Replica:
    revisions = tuple(
        HeldRevision(
            adapter="sql",
            number=one,
            engine_name=f"sql@{one}-aa",
            state="failed" if failed and one == 2 else "resident",
        )
        for one in numbers
    )
    return Replica(
        name=name,
        url=f"http://{name}",
        state=state,
        reason=None,
        catalog=Catalog(base="base", revisions=revisions),
        pool=pool,
    )


def fleet(*replicas: Replica) -> Fleet:
    made = Fleet(replicas, created=0)
    made.put_naming(Naming({"sql": "sql@1-aa"}))
    return made


@pytest.mark.parametrize(
    ("replicas", "begins"),
    [
        ([replica("one", 1, 2), replica("two", 1, 2)], True),
        ([replica("one", 1, 2), replica("two", 1)], False),
        ([replica("one", 1, 2), replica("two", 1, state="unready")], True),
        ([replica("one", 1, 2), replica("two", 1, 2, failed=True)], True),
        ([replica("one", 1, 2), replica("base")], True),
        ([replica("one", 1)], False),
        ([], False),
    ],
)
def test_a_canary_begins_before_all_can_answer_or_never(replicas: list[Replica], begins: bool) -> None:
    assert can_answer(TRIAL, CHOICE, fleet(*replicas).view) is begins


@pytest.mark.parametrize(
    ("state", "numbers", "begins"), [("ready", (1,), True), ("ready", (), False), ("unready", (1,), False)]
)
def test_a_pool_is_asked_for_what_it_does_not_have(state: ReplicaState, numbers: tuple[int, ...], begins: bool) -> None:
    trial = CanaryAssignment(id=1, adapter="", revision="", plan=PLAN, share=0.1, pool="next")
    seen = fleet(replica("old", 1), replica("new", *numbers, state=state, pool="next"))
    assert can_answer(trial, CHOICE, seen.view) is begins
    assert not can_answer(trial, CHOICE, fleet(replica("old", 1)).view)


NEW = replica("new", 1, pool="next")
UNSEEN = Replica(name="old", url="http://old", pool="a")


@pytest.mark.parametrize(
    ("replicas", "pool"),
    [
        ([NEW, replica("old", 1)], "!next"),
        # It may be back at any time, and the pool that is tried may be bad.
        ([NEW, replica("old", 1, state="unready")], "!next"),
        ([NEW, UNSEEN], "!next"),
        ([NEW], None),
        ([NEW, replica("old")], None),
        ([NEW, replace(replica("held", 1, pool="b"), reserved=True)], None),
        ([replace(NEW, reserved=True)], "!next"),
    ],
)
def test_a_pool_that_is_tried_is_kept_from_requests_that_only_it_can_answer(
    replicas: list[Replica], pool: str | None
) -> None:
    assert kept_from("next", CHOICE, fleet(*replicas).view).pool == pool


@pytest.mark.parametrize(("error", "charged"), [(ModelNotFound("sql@2"), 0), (Unavailable("It is busy."), 1)])
def test_what_a_router_does_not_know_any_more_is_an_error_of_the_canary(error: RequestError, charged: int) -> None:
    held, nothing = Held(canary()), cast("Any", None)
    arrival = Arrival(request=nothing, id=b"1", span=nothing, started_s=0.0)
    exchange = Exchange(arrival=arrival, relay=nothing, entry=held.ask("canary", b"one"))
    CanaryStep(held.live, fleet(), lambda: 0.0).failed(exchange, error)
    assert sum(one.own["errors"] for counts in held.live.take().values() for one in counts if one.own) == charged
    assert exchange.entry is None
