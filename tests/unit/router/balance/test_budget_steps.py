"""The retry budget, step by step: a table of draws and what is left after each."""

import pytest

from patchbay.router.balance.budget import RetryBudget, RetryPolicy, drawn, earned

POLICY = RetryPolicy(share=0.25, per_second=2.0, burst=4.0)


@pytest.mark.parametrize(
    ("tokens", "at_s", "now_s", "left", "allowed"),
    [
        (1.0, 0.0, 0.0, 0.0, True),
        (0.5, 0.0, 0.0, 0.5, False),
        (0.0, 100.0, 100.25, 0.5, False),
        (0.0, 100.0, 100.5, 0.0, True),
        (0.5, 100.0, 101.0, 1.5, True),
        (3.0, 100.0, 200.0, 3.0, True),
        (4.0, 100.0, 100.0, 3.0, True),
        (0.75, 50.0, 50.0, 0.75, False),
    ],
)
def test_a_try_costs_one_and_each_second_adds_its_share_up_to_what_may_be_saved(
    tokens: float, at_s: float, now_s: float, left: float, allowed: bool
) -> None:
    after = RetryBudget(tokens=left, at_s=now_s)
    assert drawn(RetryBudget(tokens=tokens, at_s=at_s), now_s, POLICY) == (after, allowed)


@pytest.mark.parametrize(("tokens", "after"), [(0.0, 0.25), (1.5, 1.75), (3.75, 4.0), (3.9, 4.0), (4.0, 4.0)])
def test_a_request_adds_its_share_up_to_what_may_be_saved_and_takes_no_time(tokens: float, after: float) -> None:
    assert earned(RetryBudget(tokens=tokens, at_s=7.0), POLICY) == RetryBudget(tokens=after, at_s=7.0)
