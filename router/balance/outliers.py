"""Which replicas are left alone since they fail: after failures in a row, or more often than their peers do. Pure.

A replica that is left alone (its circuit is open) comes back by a trial: after a while one request at a time goes
there, until one is answered. How much of the fleet may be left alone is bounded.

Source: M. Nygard, "Release It!", 2nd edition, 2018, chapter 5 (circuit breaker); Envoy, "Outlier detection"
(consecutive gateway failures, consecutive 5xx, success rate, maximum ejection percentage). Envoy compares a host with
the mean of all, itself included, so that among fewer than five none can be 1.9 standard deviations below it. Here a
replica is compared with the others alone, and what chance does to its own few answers counts as deviation too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

# A failure is the replica's own: not reached, hung up, silent, or a gateway's status. An error is its 500, which
# another replica did not give to the same request.
Sort = Literal["failure", "error"]
# However few answers deviate, a tenth more that fail is no outlier.
_LEAST_GAP = 0.1


@dataclass(frozen=True, slots=True)
class OutlierPolicy:
    """`failures`, `errors`: how many in a row eject a replica (a failure is an error too); `open_s`: for how long,
    doubled each time up to `max_open_s`; `share`: of the fleet that may be ejected, but one may always be. By rate:
    every `interval_s` those that gave `answers` or more in it are compared, and ejected where their share of good ones
    is more than `deviations` standard deviations below that of their peers."""

    failures: int
    open_s: float
    max_open_s: float
    errors: int = 5
    share: float = 0.5
    interval_s: float = 10.0
    answers: int = 20
    deviations: float = 3.0


@dataclass(frozen=True, slots=True)
class Health:
    """`failures`, `errors`: in a row; `failed_s`: when the last one was; `opened`: how many times in a row it was
    ejected; `until_s`: till when it gets nothing; `shut`: whether it is ejected, so that after that it gets one request
    at a time; `probing`: whether that one is under way."""

    failures: int = 0
    errors: int = 0
    failed_s: float = float("-inf")
    opened: int = 0
    until_s: float = float("-inf")
    shut: bool = False
    probing: bool = False


@dataclass(frozen=True, slots=True)
class AnswerTally:
    """A replica's answers in one interval: `good`, and those that failed."""

    good: int
    bad: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.good + self.bad

    @property
    def rate(self) -> float:
        """The share of good ones, 0 to 1."""
        return self.good / self.total if self.total else 1.0


SOUND = Health()


def admits(health: Health, now_s: float) -> bool:
    """Whether a request may go to the replica."""
    return not health.shut or (now_s >= health.until_s and not health.probing)


def asked(health: Health) -> Health:
    """After a request has gone there."""
    return replace(health, probing=True) if health.shut else health


def released(health: Health) -> Health:
    """After a request has ended that tells nothing of the replica: its client left."""
    return replace(health, probing=False) if health.probing else health


def began(health: Health) -> Health:
    """After an answer has begun. A replica on trial gets others too from now on; its failures in a row are forgotten
    only once an answer is whole, so one that begins answers and ends none is soon left alone again."""
    return replace(health, shut=False, probing=False) if health.shut else health


def answered(health: Health, now_s: float, policy: OutlierPolicy) -> Health:
    """After a whole answer. How often a replica was ejected is remembered for `max_open_s`: one that fails half of the
    time must not begin anew with every answer of the other half."""
    if not health.opened or now_s >= health.until_s + policy.max_open_s:
        return SOUND
    return replace(health, failures=0, errors=0, shut=False, probing=False)


def failed(health: Health, sort: Sort, began_s: float, now_s: float) -> Health:
    """After the failure of a request that had begun at `began_s`.

    What had begun before the last failure is no news: all that a replica was doing dies with it, and that is one
    failure and not a hundred.
    """
    if began_s <= health.failed_s or (health.shut and not health.probing):
        return health
    failures = health.failures + (sort == "failure")
    return replace(health, failures=failures, errors=health.errors + 1, failed_s=now_s)


def is_due(health: Health, policy: OutlierPolicy) -> bool:
    """Whether the failure that was just noted is one too many. On trial the first one is."""
    if health.shut:
        return health.probing
    return health.failures >= policy.failures or health.errors >= policy.errors


def may_eject(shut: int, fleet: int, policy: OutlierPolicy, *, answers: bool) -> bool:
    """Whether one more replica may be ejected, where `shut` of `fleet` are.

    `answers`: whether it does answer. The last of those is kept: its answers are better than none, while one that is
    not reached, or hangs up, gives none.
    """
    if answers and shut + 1 >= fleet:
        return False
    return shut + 1 <= max(1, int(fleet * policy.share))


def ejected(health: Health, now_s: float, policy: OutlierPolicy, jitter: float) -> Health:
    """After it was decided to leave the replica alone. `jitter`: a random number from 0 to 1, which keeps routers from
    asking again all at once."""
    opened = 0 if now_s > health.until_s + policy.max_open_s else health.opened
    pause_s = min(policy.open_s * 2**opened, policy.max_open_s)
    until_s = now_s + pause_s * (1 + jitter) / 2
    return replace(health, opened=min(opened + 1, 30), until_s=until_s, shut=True, probing=False)


def by_rate(tallies: Mapping[str, AnswerTally], policy: OutlierPolicy) -> tuple[str, ...]:
    """The replicas that fail more often than their peers do, the worst first."""
    rates = {name: tally for name, tally in tallies.items() if tally.total >= policy.answers}
    low = [name for name in rates if _is_low(name, rates, policy)]
    return tuple(sorted(low, key=lambda name: rates[name].rate))


def _is_low(name: str, tallies: Mapping[str, AnswerTally], policy: OutlierPolicy) -> bool:
    own = tallies[name]
    peers = [tally for peer, tally in tallies.items() if peer != name]
    if not peers:
        return False
    mean = sum(peer.rate for peer in peers) / len(peers)
    spread = sum((peer.rate - mean) ** 2 for peer in peers) / len(peers)
    pooled = sum(one.good for one in tallies.values()) / sum(one.total for one in tallies.values())
    deviation = sqrt(spread + pooled * (1 - pooled) / own.total)
    return own.rate < mean - max(policy.deviations * deviation, _LEAST_GAP)
