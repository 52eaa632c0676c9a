"""Retry budget: one for all that is tried again, be it retries, hedges or continued streams. Pure.

Without it, replicas that begin to fail would get more work instead of less. Source: M. Eriksen, "Your server as a
function", PLOS 2013, and Finagle's RetryBudget: a share of the requests, and a few a second however few there are.
"""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Size of the retry budget. `share`: the part of all requests that may be tried again; `per_second`: tries beyond
    that; `burst`: tries that may be saved up, as for the streams of a replica that dies."""

    share: float
    per_second: float
    burst: float


class RetryBudget(msgspec.Struct, frozen=True, kw_only=True):
    """State of the retry budget, a token bucket. `tokens`: tries that were allowed at `at_s`."""

    tokens: float
    at_s: float


def earned(budget: RetryBudget, policy: RetryPolicy) -> RetryBudget:
    """Returns the budget after a request, which adds its share."""
    if budget.tokens == policy.burst:
        # It is full, as it is most of the time.
        return budget
    return RetryBudget(tokens=min(budget.tokens + policy.share, policy.burst), at_s=budget.at_s)


def drawn(budget: RetryBudget, now_s: float, policy: RetryPolicy) -> tuple[RetryBudget, bool]:
    """Returns the budget after one more try was asked for, and whether it is allowed."""
    tokens = min(budget.tokens + (now_s - budget.at_s) * policy.per_second, policy.burst)
    return (
        (RetryBudget(tokens=tokens - 1, at_s=now_s), True)
        if tokens >= 1
        else (RetryBudget(tokens=tokens, at_s=now_s), False)
    )
