from hypothesis import given
from hypothesis import strategies as st

from router.balance.budget import Budget, drawn, earned
from router.balance.budget import Policy as Allowance
from router.balance.circuit import CLOSED, Circuit, Policy, admits, asked, failed, released

POLICY = Policy(failures=3, open_s=1, max_open_s=8)


def broken(circuit: Circuit = CLOSED, times: int = 3) -> Circuit:
    """After requests that began and failed one after the other, the last one at 0 s."""
    for number in range(-times, 0):
        circuit = failed(circuit, number + 0.5, number + 1, POLICY, 1.0)
    return circuit


def test_all_that_dies_with_a_replica_at_once_is_one_failure() -> None:
    circuit = CLOSED
    for number in range(200):
        circuit = failed(circuit, -1 - number / 1000, number / 1000, POLICY, 1.0)
    assert circuit.failures == 1


def test_failures_in_a_row_open_a_circuit_and_fewer_do_not() -> None:
    assert admits(broken(times=2), 0.0)
    assert not admits(broken(), 0.0)


def test_an_open_circuit_lets_one_request_through_after_its_time_and_no_second_one() -> None:
    circuit = broken()
    assert not admits(circuit, 0.99)
    assert admits(circuit, 1.0)
    assert not admits(asked(circuit), 1.0)
    assert admits(released(asked(circuit)), 1.0)


def test_each_time_that_the_one_fails_the_next_waits_twice_as_long_up_to_the_limit() -> None:
    circuit, now, waits = broken(), 0.0, []
    for _ in range(6):
        waits.append(circuit.until_s - now)
        now = circuit.until_s
        circuit = failed(asked(circuit), now, now, POLICY, 1.0)
    assert waits == [1, 2, 4, 8, 8, 8]


def test_what_fails_late_does_not_hold_a_circuit_open_for_longer() -> None:
    circuit = broken()
    for began_s in (-5.0, -0.1, 0.4):
        circuit = failed(circuit, began_s, 0.5, POLICY, 1.0)
    assert circuit == broken()


@given(st.lists(st.tuples(st.sampled_from(["ask", "fail", "ok", "leave"]), st.floats(0, 5), st.floats(0, 1))))
def test_a_circuit_never_stays_shut_for_good(steps: list[tuple[str, float, float]]) -> None:
    circuit, now, probing = CLOSED, 0.0, False
    for step, pause, jitter in steps:
        now += pause
        if step == "ask" and admits(circuit, now):
            circuit, probing = asked(circuit), True
        elif step == "fail" and probing:
            circuit, probing = failed(circuit, now, now, POLICY, jitter), False
        elif step == "ok" and probing:
            circuit, probing = CLOSED, False
        elif step == "leave" and probing:
            circuit, probing = released(circuit), False
    if probing:
        circuit = released(circuit)
    assert admits(circuit, now + POLICY.max_open_s)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=200))
def test_tries_again_never_exceed_the_share_the_rate_and_what_was_saved(steps: list[tuple[bool, float]]) -> None:
    policy = Allowance(share=0.2, per_second=3, burst=5)
    budget, now, requests, tries = Budget(5.0, 0.0), 0.0, 0, 0
    for is_request, pause in steps:
        now += pause
        if is_request:
            requests += 1
            budget = earned(budget, policy)
        else:
            budget, allowed = drawn(budget, now, policy)
            tries += allowed
    assert tries <= 5 + 0.2 * requests + 3 * now + 1e-6


def test_a_budget_that_was_spent_comes_back_with_time() -> None:
    policy = Allowance(share=0, per_second=2, burst=1)
    budget, first = drawn(Budget(1.0, 0.0), 0.0, policy)
    budget, second = drawn(budget, 0.1, policy)
    _, third = drawn(budget, 0.6, policy)
    assert (first, second, third) == (True, False, True)
