"""Each step of a replica's health as a table, and the comparison with its peers against a formula of its own."""

from dataclasses import replace
from math import inf, sqrt
from statistics import fmean, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.balance.outliers import (
    SOUND,
    AnswerTally,
    Health,
    OutlierPolicy,
    Sort,
    admits,
    answered,
    asked,
    began,
    by_rate,
    ejected,
    failed,
    is_due,
    may_eject,
    released,
)

POLICY = OutlierPolicy(failures=3, open_s=2.0, max_open_s=10.0, errors=5)
OUT = Health(failures=3, errors=4, failed_s=10.0, ejections=1, until_s=12.0, ejected=True)
ON_TRIAL = replace(OUT, probing=True)


def tally(good: int, bad: int) -> AnswerTally:
    return AnswerTally(good=good, bad=bad)


def test_the_thresholds_that_nobody_sets_are_those_of_the_documentation() -> None:
    told = (POLICY.errors, POLICY.share, POLICY.interval_s, POLICY.answers, POLICY.deviations)
    assert told == (5, 0.5, 10.0, 20, 3.0)


def test_a_replica_of_which_nothing_is_known_is_sound() -> None:
    assert Health(errors=0, failures=0, failed_s=-inf, ejections=0, until_s=-inf, ejected=False, probing=False) == SOUND


@pytest.mark.parametrize(
    ("health", "now_s", "may"),
    [
        (SOUND, 0.0, True),
        (replace(SOUND, until_s=9.0, probing=True), 0.0, True),
        (OUT, 11.9, False),
        (OUT, 12.0, True),
        (OUT, 12.1, True),
        (ON_TRIAL, 12.1, False),
    ],
)
def test_an_ejected_replica_is_asked_after_its_time_and_once(health: Health, now_s: float, may: bool) -> None:
    assert admits(health, now_s) is may


@pytest.mark.parametrize(
    ("before", "after_asked", "after_released", "after_began"),
    [
        (SOUND, SOUND, SOUND, SOUND),
        (OUT, ON_TRIAL, OUT, replace(OUT, ejected=False)),
        (ON_TRIAL, ON_TRIAL, OUT, replace(OUT, ejected=False)),
    ],
)
def test_a_trial_begins_with_a_request_and_ends_with_its_end_or_its_first_word(
    before: Health, after_asked: Health, after_released: Health, after_began: Health
) -> None:
    assert (asked(before), released(before), began(before)) == (after_asked, after_released, after_began)


@pytest.mark.parametrize(
    ("health", "now_s", "after"),
    [
        (replace(SOUND, failures=2, errors=3, failed_s=1.0), 2.0, SOUND),
        (ON_TRIAL, 13.0, replace(OUT, failures=0, errors=0, ejected=False)),
        (ON_TRIAL, 21.9, replace(OUT, failures=0, errors=0, ejected=False)),
        (ON_TRIAL, 22.0, SOUND),
    ],
)
def test_a_whole_answer_ends_the_row_and_ejections_are_remembered_for_a_while(
    health: Health, now_s: float, after: Health
) -> None:
    assert answered(health, now_s, POLICY) == after


@pytest.mark.parametrize(
    ("health", "sort", "began_s", "after"),
    [
        (SOUND, "failure", 1.0, Health(failures=1, errors=1, failed_s=20.0)),
        (SOUND, "error", 1.0, Health(failures=0, errors=1, failed_s=20.0)),
        (Health(failures=1, errors=2, failed_s=5.0), "failure", 5.1, Health(failures=2, errors=3, failed_s=20.0)),
        (Health(failures=1, errors=2, failed_s=5.0), "error", 5.0, Health(failures=1, errors=2, failed_s=5.0)),
        (OUT, "failure", 11.0, OUT),
        (ON_TRIAL, "failure", 11.0, replace(ON_TRIAL, failures=4, errors=5, failed_s=20.0)),
        (ON_TRIAL, "failure", 10.0, ON_TRIAL),
    ],
)
def test_what_began_before_the_last_failure_or_while_ejected_does_not_count(
    health: Health, sort: Sort, began_s: float, after: Health
) -> None:
    assert failed(health, sort, began_s, 20.0) == after


@pytest.mark.parametrize(
    ("health", "due"),
    [
        (SOUND, False),
        (Health(failures=2, errors=4), False),
        (Health(failures=3, errors=3), True),
        (Health(failures=4, errors=4), True),
        (Health(failures=0, errors=5), True),
        (Health(failures=0, errors=6), True),
        (replace(OUT, failures=9), False),
        (replace(ON_TRIAL, failures=1, errors=1), True),
    ],
)
def test_a_replica_is_due_at_a_threshold_and_on_trial_at_once(health: Health, due: bool) -> None:
    assert is_due(health, POLICY) is due


@pytest.mark.parametrize(
    ("shut", "fleet", "answers", "may"),
    [
        (0, 1, True, False),
        (0, 1, False, True),
        (1, 1, False, False),
        (0, 2, True, True),
        (1, 2, True, False),
        (1, 2, False, False),
        (0, 3, True, True),
        (1, 3, True, False),
        (1, 4, True, True),
        (2, 4, True, False),
        (4, 10, True, True),
        (5, 10, True, False),
    ],
)
def test_half_the_fleet_may_be_ejected_one_always_but_never_the_last_that_answers(
    shut: int, fleet: int, answers: bool, may: bool
) -> None:
    assert may_eject(shut, fleet, POLICY, answers=answers) is may


def test_with_a_share_of_all_the_last_that_answers_is_kept() -> None:
    policy = replace(POLICY, share=1.0)
    assert [may_eject(shut, 4, policy, answers=True) for shut in range(4)] == [True, True, True, False]
    assert [may_eject(shut, 4, policy, answers=False) for shut in range(5)] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("health", "now_s", "jitter", "ejections", "until_s"),
    [
        (SOUND, 100.0, 1.0, 1, 102.0),
        (SOUND, 100.0, 0.0, 1, 101.0),
        (SOUND, 100.0, 0.5, 1, 101.5),
        (ON_TRIAL, 12.0, 1.0, 2, 16.0),
        (replace(ON_TRIAL, ejections=2), 12.0, 1.0, 3, 20.0),
        (replace(ON_TRIAL, ejections=3), 12.0, 1.0, 4, 22.0),
        (replace(ON_TRIAL, ejections=3), 22.0, 1.0, 4, 32.0),
        (replace(ON_TRIAL, ejections=3), 22.1, 1.0, 1, 24.1),
        (replace(ON_TRIAL, ejections=29), 12.0, 1.0, 30, 22.0),
        (replace(ON_TRIAL, ejections=30), 12.0, 1.0, 30, 22.0),
    ],
)
def test_each_ejection_is_twice_as_long_and_they_are_forgotten_after_the_longest(
    health: Health, now_s: float, jitter: float, ejections: int, until_s: float
) -> None:
    after = ejected(health, now_s, POLICY, jitter)
    assert after.until_s == pytest.approx(until_s)
    assert after == replace(health, ejections=ejections, until_s=after.until_s, ejected=True, probing=False)


def outliers_by_hand(tallies: dict[str, AnswerTally]) -> list[str]:
    """The comparison as the documentation says it: 3 deviations and a tenth below the mean of the peers."""
    rates = {name: one.good / (one.good + one.bad) for name, one in tallies.items() if one.good + one.bad >= 20}
    good = sum(tallies[name].good for name in rates)
    total = sum(tallies[name].good + tallies[name].bad for name in rates)
    found = []
    for name, rate in rates.items():
        peers = [other for peer, other in rates.items() if peer != name]
        if peers:
            chance = good / total * (1 - good / total) / (tallies[name].good + tallies[name].bad)
            gap = max(0.1, 3 * sqrt(pvariance(peers) + chance))
            # What is as good as equal may fall on either side.
            if rate < fmean(peers) - gap - 1e-9:
                found.append(name)
    return found


COUNTS = st.builds(AnswerTally, good=st.integers(0, 120), bad=st.integers(0, 30))


@given(st.dictionaries(st.sampled_from("abcdefgh"), COUNTS), st.integers(0, 60), st.integers(0, 60))
def test_outliers_are_those_of_the_formula_the_worst_first(
    tallies: dict[str, AnswerTally], good: int, bad: int
) -> None:
    known = tallies | {"x": tally(good, bad)}
    found = by_rate(known, POLICY)
    assert sorted(found) == sorted(outliers_by_hand(known))
    assert [known[name].rate for name in found] == sorted(known[name].rate for name in found)


def test_the_worst_of_two_outliers_is_told_first_whatever_their_names() -> None:
    peers = {f"p{number}": tally(1000, 0) for number in range(30)}
    policy = replace(POLICY, deviations=1.0)
    assert by_rate(peers | {"a": tally(50, 50), "z": tally(10, 90)}, policy) == ("z", "a")
    assert by_rate({"z": tally(10, 90)} | peers | {"a": tally(50, 50)}, policy) == ("z", "a")


@pytest.mark.parametrize(
    ("own", "found"), [(tally(20, 0), ()), (tally(0, 20), ("x",)), (tally(0, 19), ()), (tally(0, 21), ("x",))]
)
def test_who_gave_fewer_than_twenty_answers_is_not_compared(own: AnswerTally, found: tuple[str, ...]) -> None:
    assert by_rate({"a": tally(100, 0), "b": tally(100, 0), "x": own}, POLICY) == found


def test_the_rate_of_no_answers_is_that_of_a_sound_replica() -> None:
    assert (tally(0, 0).rate, tally(0, 0).total) == (1.0, 0)
    assert (tally(3, 1).rate, tally(3, 1).total) == (0.75, 4)
