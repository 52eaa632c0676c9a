from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from patchbay.router.balance.suspicion import (
    NOTHING,
    Death,
    Record,
    SuspicionPolicy,
    began,
    died,
    is_over,
    is_suspect,
    standing,
)

POLICY = SuspicionPolicy(deaths=2, window_s=600, hold_s=30, max_hold_s=3600)
DEATHS = st.builds(
    Death,
    replica=st.sampled_from("abc"),
    at_s=st.floats(0, 500),
    silent=st.booleans(),
    midway=st.booleans(),
    concurrent=st.integers(1, 500),
    sound=st.booleans(),
)
IN_ORDER = st.lists(DEATHS, max_size=12).map(lambda deaths: sorted(deaths, key=lambda one: one.at_s))


def death(replica: str = "a", at_s: float = 0.0, *, silent: bool = True, company: int = 1, **fields: bool) -> Death:
    return Death(
        replica=replica,
        at_s=at_s,
        silent=silent,
        midway=fields.get("midway", not silent),
        concurrent=company,
        sound=fields.get("sound", True),
    )


def after(*deaths: Death) -> Record:
    record = NOTHING
    for one in deaths:
        record = died(record, one, POLICY)
    return record


@given(DEATHS)
def test_one_death_suspects_nobody_however_many_requests_of_a_kind_die_of_it(one: Death) -> None:
    assert not after(*[one] * 100).holds


@given(st.integers(1, 500), st.integers(1, 500))
def test_a_second_death_before_anything_was_said_suspects_whatever_the_company(first: int, second: int) -> None:
    assert after(death("a", 1, company=first), death("b", 2, company=second)).holds == 1


def test_a_second_death_of_the_same_replica_after_it_came_back_counts_too() -> None:
    assert after(death("a", 1), death("a", 2)).holds == 1


@given(IN_ORDER)
def test_deaths_of_replicas_that_failed_at_others_before_suspect_nobody(deaths: list[Death]) -> None:
    assert after(*[replace(one, sound=False) for one in deaths]) == NOTHING


@given(IN_ORDER)
def test_what_is_cleared_after_each_death_is_never_suspected(deaths: list[Death]) -> None:
    record = NOTHING
    for one in deaths:
        record = began(died(record, one, POLICY), midway=True)
        assert record.empty


@given(st.lists(DEATHS, min_size=2, max_size=12), DEATHS)
def test_more_evidence_never_clears(deaths: list[Death], more: Death) -> None:
    assume(is_suspect(tuple(deaths), POLICY))
    assert is_suspect((more, *deaths), POLICY)


def test_streams_that_went_on_in_company_before_each_death_are_not_suspected_by_three_of_them() -> None:
    deaths = [death("abc"[number], number, silent=False, company=50) for number in range(3)]
    assert not after(*deaths).holds
    assert after(death("a", 1, silent=False), death("b", 2, silent=False)).holds == 1, "alone it is"
    assert after(death("a", 1, silent=False, company=50), death("b", 2, midway=True)).holds == 1, "silent the next time"


def test_an_answer_that_begins_clears_of_deaths_at_the_start_and_not_of_those_midway() -> None:
    record = after(death("a", 1), death("b", 2, silent=False, company=9))
    assert [one.replica for one in began(record, midway=False).deaths] == ["b"]


@given(st.integers(0, 20))
def test_each_hold_is_twice_the_last_one_up_to_the_limit_and_one_death_is_enough_for_the_next(times: int) -> None:
    record, at_s = after(death("a", 0), death("b", 1)), 1.0
    for number in range(times + 1):
        assert record.until_s - at_s == min(30 * 2**number, 3600)
        assert standing(record, record.until_s - 1) == "held"
        assert standing(record, record.until_s) == "trial"
        at_s = record.until_s
        record = died(record, death("c", at_s), POLICY)


def test_after_a_death_that_may_be_its_own_a_kind_is_tried_by_one_request_at_a_time() -> None:
    assert standing(after(death()), 1) == "trial"
    assert standing(after(death(silent=False, company=40)), 1) == "free"
    assert standing(NOTHING, 1) == "free"


def test_what_dies_while_its_kind_is_held_off_had_begun_before_and_makes_the_hold_no_longer() -> None:
    held = after(death("a", 0), death("b", 1))
    assert died(held, death("c", held.until_s - 0.1), POLICY) == held
    assert died(held, death("c", held.until_s), POLICY).holds == 2


@given(IN_ORDER)
def test_every_record_is_forgotten_in_the_end(deaths: list[Death]) -> None:
    record = after(*deaths)
    assert is_over(record, 500 + 600 + 3 * 3600, POLICY)
