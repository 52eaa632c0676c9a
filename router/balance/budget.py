"""One budget for all that is tried again: retries, hedges, streams that are carried on. Pure.

Without one, replicas that begin to fail get more work instead of less. Source: M. Eriksen, "Your server as a function",
PLOS 2013, and Finagle's RetryBudget: a share of the requests, and a few a second however few there are.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`share`: of the requests, how many may be tried again; `per_second`: how many more than that; `burst`: how many
    may be saved up, as for the streams of a replica that dies."""

    share: float
    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """`tokens`: what could be tried again at `at_s`."""

    tokens: float
    at_s: float


def earned(budget: RetryBudget, policy: RetryPolicy) -> RetryBudget:
    """After a request."""
    return RetryBudget(min(budget.tokens + policy.share, policy.burst), budget.at_s)


def drawn(budget: RetryBudget, now_s: float, policy: RetryPolicy) -> tuple[RetryBudget, bool]:
    """After something was to be tried again, and whether it may be."""
    tokens = min(budget.tokens + (now_s - budget.at_s) * policy.per_second, policy.burst)
    return (RetryBudget(tokens - 1, now_s), True) if tokens >= 1 else (RetryBudget(tokens, now_s), False)
