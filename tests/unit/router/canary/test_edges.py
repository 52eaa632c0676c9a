"""Edges of what decides about canaries: just enough evidence in a slice, too long a label, too late an end."""

import math
from dataclasses import replace

import pytest

from patchbay.router.canary.assignment import Asker
from patchbay.router.canary.callers import named
from patchbay.router.canary.evidence import Wealth
from patchbay.router.canary.judge import RollBack, judge
from patchbay.router.canary.plot import Curve, Scale
from tests.unit.router.canary.build import NOON_S, counted, ledger, place, planned
from tests.unit.router.canary.test_counting import METRICS, Watched
from tests.unit.router.canary.test_live_canaries import PLAN, Held, canary


@pytest.mark.parametrize(
    ("e_values", "metric"),
    [({"a": 199.0}, None), ({"a": 201.0}, "a"), ({"a": 399.0, "b": 1.0}, None), ({"a": 401.0, "b": 1.0}, "a")],
)
def test_slices_share_half_of_alpha(e_values: dict[str, float], metric: str | None) -> None:
    plan = planned(slices=["tenant"])
    slices = {f"errors@tenant={name}": Wealth((math.log(e),)) for name, e in e_values.items()}
    verdict = judge(plan, replace(ledger(counted(30, 30), plan=plan), slices=slices), place(), NOON_S)
    assert isinstance(verdict, RollBack) is (metric is not None)
    assert metric is None or f"tenant={metric}" in verdict.reason


def test_a_label_of_just_28_characters_stays_in_one_line() -> None:
    assert Curve(("a" * 12, "b" * 9), ((9, 1.0),)).label == ("a" * 12 + ", " + "b" * 9 + " 100%",)
    assert Curve(("a" * 12, "b" * 10), ((9, 1.0),)).label == ("a" * 12 + ",", "b" * 10 + " 100%")


def test_an_axis_names_all_its_shares_up_to_three() -> None:
    assert Scale(1, 3.0, 0).marks == [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_a_metric_is_guessed_from_a_slip_and_from_nothing_farther_off() -> None:
    with pytest.raises(ValueError, match="did you mean 'errors'"):
        planned(metrics={"erorrs": {}})
    with pytest.raises(ValueError, match="there are: "):
        planned(metrics={"errxxx": {}})


def test_errors_wait_as_long_as_errors_take_and_not_as_long_as_answers() -> None:
    watched = Watched()
    for number in range(40):
        entry = watched.ask("stable", b"s%d" % number)
        watched.now_s += 1.0 if number % 2 else 5.0
        watched.recorder.end(entry, {"errors"} if number % 2 else set())
    watched.counts()
    watched.ask("stable", b"open")
    watched.asked("canary", b"c", "errors")
    watched.now_s += 1.01
    assert [one.canary for one in watched.counts()] == [1]


def test_one_key_of_a_crowd_moves_the_evidence_no_further_than_one_may() -> None:
    watched = Watched(planned(metrics=METRICS, unit="caller"))
    for number in range(40):
        watched.asked("stable", b"other %d" % number, share=0.1)
    for number in range(40):
        unit = named(b"session:%d" % number, b"key")
        watched.asked("canary", unit, "errors", share=0.1)
    [counts] = watched.counts()
    assert 1 <= counts.bad["errors"][0] <= 4


def test_a_request_counts_in_the_slices_of_its_asker() -> None:
    held = Held(canary(plan={**PLAN, "slices": ["tenant"]}))
    asker = Asker(route="sql", tenant="acme", unit=b"u")
    entry = held.live.begin(held.assignment, "canary", asker, b"u", lambda error: None)
    held.live.end(entry, {"errors"}, b"u")
    assert held.live.take()[7][0].bad == {"errors": (1, 0), "errors@tenant=acme": (1, 0)}
    assert Held(canary()).ask("canary", b"u").slices == ()


def test_a_request_that_outlives_its_canary_ends_quietly() -> None:
    held = Held(canary())
    entry = held.ask("canary", b"u")
    held.live.put([])
    held.live.end(entry, {"errors"}, b"u")
    assert held.live.take() == {}
