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

POLICY = OutlierPolicy(failures=3, open_s=1, max_open_s=8, errors=4, answers=20, deviations=3)


def tried(health: Health, sort: Sort, began_s: float, now_s: float, jitter: float = 1.0) -> Health:
    """After a failure, with the replica ejected where that is due."""
    after = failed(health, sort, began_s, now_s)
    due = after is not health and is_due(after, POLICY)
    return ejected(after, now_s, POLICY, jitter) if due else after


def broken(times: int = 3, sort: Sort = "failure") -> Health:
    """After requests that began and failed one after the other, the last one at 0 s."""
    health = SOUND
    for number in range(-times, 0):
        health = tried(health, sort, number + 0.5, number + 1)
    return health


def test_all_that_dies_with_a_replica_at_once_is_one_failure() -> None:
    health = SOUND
    for number in range(200):
        health = tried(health, "failure", -1 - number / 1000, number / 1000)
    assert health.failures == 1


def test_failures_in_a_row_eject_a_replica_and_fewer_do_not() -> None:
    assert admits(broken(times=2), 0.0)
    assert not admits(broken(), 0.0)
    assert admits(broken(times=3, sort="error"), 0.0)
    assert not admits(broken(times=4, sort="error"), 0.0)


def test_an_ejected_replica_gets_one_request_after_its_time_and_no_second_one() -> None:
    health = broken()
    assert not admits(health, 0.99)
    assert admits(health, 1.0)
    assert not admits(asked(health), 1.0)
    assert admits(released(asked(health)), 1.0)
    assert admits(began(asked(health)), 1.0)


def test_each_time_that_the_one_fails_the_next_waits_twice_as_long_up_to_the_limit() -> None:
    health, now, waits = broken(), 0.0, []
    for _ in range(6):
        waits.append(health.until_s - now)
        now = health.until_s
        health = tried(asked(health), "failure", now, now)
    assert waits == [1, 2, 4, 8, 8, 8]


def test_a_replica_that_begins_answers_and_ends_none_is_ejected_again_at_its_first_failure() -> None:
    health = began(asked(broken()))
    again = tried(health, "failure", 1.0, 2.0)
    assert again.ejected
    assert again.until_s - 2.0 == 2.0


def test_one_that_answers_every_other_time_waits_longer_each_time_that_it_is_ejected() -> None:
    health, waits, now = SOUND, [], 0.0
    for _ in range(3):
        health = ejected(health, now, POLICY, 1.0)
        waits.append(health.until_s - now)
        now = health.until_s + 1
        health = answered(began(asked(health)), now, POLICY)
    assert waits == [1, 2, 4]
    assert answered(health, health.until_s + POLICY.max_open_s, POLICY) is SOUND


def test_what_fails_late_does_not_hold_a_replica_off_for_longer() -> None:
    health = broken()
    for began_s in (-5.0, -0.1, 0.4):
        health = tried(health, "failure", began_s, 0.5)
    assert health == broken()


@given(st.lists(st.tuples(st.sampled_from(["ask", "fail", "ok", "leave"]), st.floats(0, 5), st.floats(0, 1))))
def test_no_replica_is_ejected_for_good(steps: list[tuple[str, float, float]]) -> None:
    health, now, probing = SOUND, 0.0, False
    for step, pause, jitter in steps:
        now += pause
        if step == "ask" and admits(health, now):
            health, probing = asked(health), True
        elif step == "fail" and probing:
            health, probing = tried(health, "failure", now, now, jitter), False
        elif step == "ok" and probing:
            health, probing = answered(began(health), now, POLICY), False
        elif step == "leave" and probing:
            health, probing = released(health), False
    if probing:
        health = released(health)
    assert admits(health, now + POLICY.max_open_s)


@given(st.integers(1, 200), st.floats(0, 1), st.booleans())
def test_no_more_than_the_share_is_ejected_but_one_may_always_be_unless_it_is_the_last_that_answers(
    fleet: int, share: float, answers: bool
) -> None:
    policy, shut = OutlierPolicy(failures=3, open_s=1, max_open_s=8, share=share), 0
    while may_eject(shut, fleet, policy, answers=answers):
        shut += 1
        assert shut <= fleet
    assert shut <= max(1, share * fleet)
    assert shut < fleet or not answers
    assert shut >= 1 or (answers and fleet == 1)


TALLIES = st.dictionaries(
    st.sampled_from("abcdefgh"), st.builds(AnswerTally, good=st.integers(0, 500), bad=st.integers(0, 500))
)


@given(TALLIES)
def test_only_a_replica_that_does_worse_than_the_mean_of_its_peers_by_a_tenth_is_an_outlier(
    tallies: dict[str, AnswerTally],
) -> None:
    for name in by_rate(tallies, POLICY):
        peers = [one.rate for peer, one in tallies.items() if peer != name and one.total >= POLICY.answers]
        assert tallies[name].total >= POLICY.answers
        assert tallies[name].rate < sum(peers) / len(peers) - 0.1
    assert set(by_rate(tallies, POLICY)) < set(tallies) or not tallies


@given(st.integers(2, 8), st.integers(0, 500), st.integers(0, 500))
def test_replicas_that_all_do_alike_have_no_outlier(count: int, good: int, bad: int) -> None:
    assert by_rate({str(number): AnswerTally(good=good, bad=bad) for number in range(count)}, POLICY) == ()


@given(st.integers(1, 7), st.integers(100, 1000), st.integers(20, 500))
def test_a_replica_that_fails_half_the_time_beside_peers_that_do_not_is_an_outlier_in_a_fleet_of_any_size(
    peers: int, theirs: int, own: int
) -> None:
    tallies = {str(number): AnswerTally(good=theirs, bad=0) for number in range(peers)} | {
        "bad": AnswerTally(good=own // 2, bad=own - own // 2)
    }
    assert by_rate(tallies, POLICY) == ("bad",)


def test_a_failure_in_few_answers_is_no_outlier() -> None:
    assert by_rate({"a": AnswerTally(good=1000, bad=0), "b": AnswerTally(good=19, bad=1)}, POLICY) == ()
    assert by_rate({"a": AnswerTally(good=1000, bad=0), "b": AnswerTally(good=0, bad=19)}, POLICY) == ()
