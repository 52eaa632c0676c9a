"""Evidence against requests that kill replicas, death by death."""

from dataclasses import replace
from math import inf

import pytest

from patchbay.router.balance.suspicion import (
    NOTHING,
    Death,
    Record,
    Standing,
    SuspicionPolicy,
    began,
    died,
    is_over,
    is_suspect,
    standing,
)

POLICY = SuspicionPolicy(deaths=3, window_s=100.0, hold_s=10.0, max_hold_s=50.0)


def loss(replica: str, at_s: float, *, silent: bool = True, midway: bool = False, concurrent: int = 1) -> Death:
    return Death(replica=replica, at_s=at_s, silent=silent, midway=midway, concurrent=concurrent, sound=True)


@pytest.mark.parametrize(
    ("silent", "concurrent", "weight"),
    [
        (True, 1, 1.0),
        (True, 50, 1.0),
        (False, 0, 1.0),
        (False, 1, 1.0),
        (False, 2, 0.5),
        (False, 4, 0.25),
        (False, 50, 0.25),
    ],
)
def test_a_silent_death_counts_whole_and_another_by_its_company(silent: bool, concurrent: int, weight: float) -> None:
    assert loss("a", 0.0, silent=silent, concurrent=concurrent).weight == weight


@pytest.mark.parametrize(
    ("record", "empty"),
    [
        (NOTHING, True),
        (Record((loss("a", 0.0),)), False),
        (Record((), 1, 5.0), False),
        (Record((loss("a", 0.0),), 1), False),
    ],
)
def test_a_record_with_a_death_or_a_hold_is_not_empty(record: Record, empty: bool) -> None:
    assert record.empty is empty


def test_nothing_is_known_against_a_kind_at_first() -> None:
    assert Record(deaths=(), holds=0, until_s=-inf) == NOTHING


ONE, TWO, THREE = loss("a", 1.0), loss("b", 2.0), loss("c", 3.0)


@pytest.mark.parametrize(
    ("record", "death", "after"),
    [
        (NOTHING, ONE, Record((ONE,))),
        (Record((ONE,)), ONE, Record((ONE,))),
        (Record((ONE,)), replace(ONE, concurrent=9), Record((ONE,))),
        (Record((ONE,)), replace(ONE, at_s=2.0), Record((ONE, replace(ONE, at_s=2.0)))),
        (Record((ONE,)), replace(TWO, at_s=1.0), Record((ONE, replace(TWO, at_s=1.0)))),
        (Record((ONE,)), replace(TWO, sound=False), Record((ONE,))),
        (Record((ONE, TWO)), THREE, Record((), 1, 13.0)),
        (Record((ONE, TWO)), loss("c", 101.0), Record((TWO, loss("c", 101.0)))),
        (Record((ONE, TWO)), loss("c", 100.9), Record((), 1, 110.9)),
        (Record((ONE, TWO)), loss("c", 200.0), Record((loss("c", 200.0),))),
        (Record((), 1, 13.0), loss("a", 12.9), Record((), 1, 13.0)),
        (Record((), 1, 13.0), loss("a", 13.0), Record((), 2, 33.0)),
        (Record((), 2, 33.0), loss("a", 40.0), Record((), 3, 80.0)),
        (Record((), 3, 80.0), loss("a", 90.0), Record((), 4, 140.0)),
        (Record((), 29, 80.0), loss("a", 90.0), Record((), 30, 140.0)),
        (Record((), 30, 80.0), loss("a", 90.0), Record((), 30, 140.0)),
    ],
)
def test_the_record_after_a_death(record: Record, death: Death, after: Record) -> None:
    assert died(record, death, POLICY) == after


def test_a_kind_that_was_held_is_held_again_at_once_only_by_a_death_that_counts_whole() -> None:
    in_company = loss("a", 20.0, silent=False, concurrent=2)
    assert died(Record((), 1, 13.0), in_company, POLICY) == Record((in_company,), 1, 13.0)
    assert died(Record((), 1, 13.0), replace(in_company, concurrent=1), POLICY) == Record((), 2, 40.0)


@pytest.mark.parametrize(
    ("deaths", "suspect"),
    [
        ((), False),
        ((ONE, TWO), False),
        ((ONE, TWO, THREE), True),
        ((*[loss("a", 0.0, silent=False, concurrent=9)] * 2, THREE), True),
        ([loss("a", 0.0, silent=False, concurrent=1)] * 3, True),
        ((ONE, TWO, loss("c", 3.0, silent=False, concurrent=2)), False),
        ((ONE, TWO, *[loss("c", 3.0, silent=False, concurrent=2)] * 2), True),
        ([loss("a", 0.0, silent=False, concurrent=9)] * 11, False),
        ([loss("a", 0.0, silent=False, concurrent=9)] * 12, True),
    ],
)
def test_deaths_suspect_where_the_last_was_silent_or_their_weights_reach_the_number(
    deaths: tuple[Death, ...], suspect: bool
) -> None:
    assert is_suspect(tuple(deaths), POLICY) is suspect


def test_an_answer_that_begins_clears_of_what_came_before_it_and_a_hold_stays_known() -> None:
    midway = loss("b", 2.0, midway=True)
    record = Record((ONE, midway), 2, 9.0)
    assert began(record, midway=False) == Record((midway,), 2, 9.0)
    assert began(record, midway=True) == Record((), 2, 9.0)


@pytest.mark.parametrize(
    ("record", "now_s", "told"),
    [
        (NOTHING, 0.0, "free"),
        (Record((), 1, 13.0), 12.9, "held"),
        (Record((), 1, 13.0), 13.0, "trial"),
        (Record((ONE,)), 13.0, "trial"),
        (Record((replace(ONE, midway=True),)), 13.0, "free"),
        (Record((replace(ONE, silent=False),)), 13.0, "free"),
        (Record((replace(ONE, silent=False, midway=True),)), 13.0, "free"),
        (Record((replace(ONE, silent=False), ONE)), 13.0, "trial"),
    ],
)
def test_a_kind_is_free_on_trial_or_held(record: Record, now_s: float, told: Standing) -> None:
    assert standing(record, now_s) == told


@pytest.mark.parametrize(
    ("record", "now_s", "over"),
    [
        (NOTHING, 0.0, True),
        (Record((ONE,)), 100.9, False),
        (Record((ONE,)), 101.0, True),
        (Record((ONE, TWO)), 101.5, False),
        (Record((ONE, TWO)), 102.0, True),
        (Record((), 1, 13.0), 62.9, False),
        (Record((), 1, 13.0), 63.0, True),
        (Record((ONE,), 1, 200.0), 249.0, False),
        (Record((loss("a", 199.0),), 1, 13.0), 200.0, False),
        (Record((loss("a", 199.0),), 1, 13.0), 299.0, True),
    ],
)
def test_a_record_is_forgotten_when_no_death_in_it_counts_and_its_hold_was_long_ago(
    record: Record, now_s: float, over: bool
) -> None:
    assert is_over(record, now_s, POLICY) is over
