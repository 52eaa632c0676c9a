"""Outlier ejection of replicas that fail several times in a row, or more often than their peers do. Pure.

An ejected replica (its circuit is open) gets no requests. It comes back by a trial: after a while one request at a time
goes there, until one is answered. The share of the fleet that may be ejected is bounded.

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
# A replica is no outlier unless its rate is this much below that of its peers, however small the deviation.
_LEAST_GAP = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierPolicy:
    """Thresholds of outlier ejection.

    `failures`, `errors`: how many in a row eject a replica (a failure is an error too); `open_s`: seconds of the first
    ejection, doubled each time up to `max_open_s`; `share`: the part of the fleet that may be ejected, but one may
    always be. By rate: every `interval_s` the replicas that gave `answers` or more in it are compared, and ejected
    where their share of good ones is more than `deviations` standard deviations below that of their peers.
    """

    failures: int
    open_s: float
    max_open_s: float
    errors: int = 5
    share: float = 0.5
    interval_s: float = 10.0
    answers: int = 20
    deviations: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Health of one replica. `failures`, `errors`: in a row; `failed_s`: when the last one was; `ejections`: how many
    times in a row it was ejected; `until_s`: till when it gets no requests; `ejected`: whether it is ejected, so that
    after `until_s` it gets one request at a time; `probing`: whether that one is under way."""

    failures: int = 0
    errors: int = 0
    failed_s: float = float("-inf")
    ejections: int = 0
    until_s: float = float("-inf")
    ejected: bool = False
    probing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTally:
    """Count of a replica's answers in one interval: `good` ones, and `bad` ones that failed."""

    good: int
    bad: int

    @property
    def total(self) -> int:
        """The count of all answers."""
        return self.good + self.bad

    @property
    def rate(self) -> float:
        """The share of good answers, 0 to 1."""
        return self.good / self.total if self.total else 1.0


SOUND = Health()


def admits(health: Health, now_s: float) -> bool:
    """Whether a request may go to the replica."""
    return not health.ejected or (now_s >= health.until_s and not health.probing)


def asked(health: Health) -> Health:
    """Returns the health after a request went to the replica."""
    return replace(health, probing=True) if health.ejected else health


def released(health: Health) -> Health:
    """Returns the health after a request ended without telling anything of the replica, as where its client left."""
    return replace(health, probing=False) if health.probing else health


def began(health: Health) -> Health:
    """Returns the health after an answer began.

    A replica on trial gets other requests too from now on. Its failures in a row are forgotten only once an answer is
    whole, so one that begins answers and ends none is soon ejected again.
    """
    return replace(health, ejected=False, probing=False) if health.ejected else health


def answered(health: Health, now_s: float, policy: OutlierPolicy) -> Health:
    """Returns the health after a whole answer.

    The count of ejections is remembered for `max_open_s`: a replica that fails half of the time must not begin anew
    with every answer of the other half.
    """
    if not health.ejections or now_s >= health.until_s + policy.max_open_s:
        return SOUND
    return replace(health, failures=0, errors=0, ejected=False, probing=False)


def failed(health: Health, sort: Sort, began_s: float, now_s: float) -> Health:
    """Returns the health after the failure of a request that had begun at `began_s`.

    A request that had begun before the last failure does not count: all that a replica was doing dies with it, and that
    is one failure and not a hundred.
    """
    if began_s <= health.failed_s or (health.ejected and not health.probing):
        return health
    failures = health.failures + (sort == "failure")
    return replace(health, failures=failures, errors=health.errors + 1, failed_s=now_s)


def is_due(health: Health, policy: OutlierPolicy) -> bool:
    """Whether the replica is to be ejected for the failure that was just noted. On trial the first one is enough."""
    if health.ejected:
        return health.probing
    return health.failures >= policy.failures or health.errors >= policy.errors


def may_eject(ejected_count: int, fleet: int, policy: OutlierPolicy, *, answers: bool) -> bool:
    """Whether one more replica may be ejected, where `ejected_count` of `fleet` are.

    `answers`: whether it answers at all. The last one that does is kept: its bad answers are better than none. One that
    is not reached, or hangs up, gives none.
    """
    if answers and ejected_count + 1 >= fleet:
        return False
    return ejected_count + 1 <= max(1, int(fleet * policy.share))


def ejected(health: Health, now_s: float, policy: OutlierPolicy, jitter: float) -> Health:
    """Returns the health after the replica was ejected.

    `jitter`: a random number from 0 to 1, which keeps routers from trying again all at once.
    """
    ejections = 0 if now_s > health.until_s + policy.max_open_s else health.ejections
    pause_s = min(policy.open_s * 2**ejections, policy.max_open_s)
    until_s = now_s + pause_s * (1 + jitter) / 2
    # The limit keeps the power of two in the range of a float.
    return replace(health, ejections=min(ejections + 1, 30), until_s=until_s, ejected=True, probing=False)


def by_rate(tallies: Mapping[str, AnswerTally], policy: OutlierPolicy) -> tuple[str, ...]:
    """Returns the replicas that fail more often than their peers do, the worst first."""
    rates = {name: tally for name, tally in tallies.items() if tally.total >= policy.answers}
    outliers = [name for name in rates if _is_outlier(name, rates, policy)]
    return tuple(sorted(outliers, key=lambda name: rates[name].rate))


def _is_outlier(name: str, tallies: Mapping[str, AnswerTally], policy: OutlierPolicy) -> bool:
    own = tallies[name]
    peers = [tally for peer, tally in tallies.items() if peer != name]
    if not peers:
        return False
    mean = sum(peer.rate for peer in peers) / len(peers)
    variance = sum((peer.rate - mean) ** 2 for peer in peers) / len(peers)
    pooled = sum(tally.good for tally in tallies.values()) / sum(tally.total for tally in tallies.values())
    # The second term is the variance of the replica's own rate, by chance alone (binomial).
    deviation = sqrt(variance + pooled * (1 - pooled) / own.total)
    return own.rate < mean - max(policy.deviations * deviation, _LEAST_GAP)
