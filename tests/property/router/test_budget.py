from hypothesis import given
from hypothesis import strategies as st

from patchbay.router.balance.budget import RetryBudget, RetryPolicy, drawn, earned


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=200))
def test_tries_again_never_exceed_the_share_the_rate_and_what_was_saved(steps: list[tuple[bool, float]]) -> None:
    policy = RetryPolicy(share=0.2, per_second=3, burst=5)
    budget, now, requests, tries = RetryBudget(tokens=5.0, at_s=0.0), 0.0, 0, 0
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
    policy = RetryPolicy(share=0, per_second=2, burst=1)
    budget, first = drawn(RetryBudget(tokens=1.0, at_s=0.0), 0.0, policy)
    budget, second = drawn(budget, 0.1, policy)
    _, third = drawn(budget, 0.6, policy)
    assert (first, second, third) == (True, False, True)
