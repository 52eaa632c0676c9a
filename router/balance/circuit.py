"""A replica's circuit: open after failures in a row, then half open for one request at a time. Pure.

Source: M. Nygard, "Release It!", 2nd edition, 2018, chapter 5 (circuit breaker).
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Policy:
    """`failures`: how many in a row open a circuit; `open_s`: for how long, doubled each time up to `max_open_s`."""

    failures: int
    open_s: float
    max_open_s: float


@dataclass(frozen=True, slots=True)
class Circuit:
    """`failures`: in a row; `failed_s`: when the last one was; `opened`: how many times in a row it opened; `until_s`:
    till when it lets nothing through; `probing`: whether the one request is under way that a half-open circuit lets
    through."""

    failures: int = 0
    failed_s: float = float("-inf")
    opened: int = 0
    until_s: float = 0.0
    probing: bool = False


CLOSED = Circuit()


def admits(circuit: Circuit, now_s: float) -> bool:
    """Whether a request may go through."""
    return not circuit.opened or (now_s >= circuit.until_s and not circuit.probing)


def asked(circuit: Circuit) -> Circuit:
    """After a request has gone through."""
    return replace(circuit, probing=True) if circuit.opened else circuit


def released(circuit: Circuit) -> Circuit:
    """After a request has ended that tells nothing of the replica: its client left."""
    return replace(circuit, probing=False) if circuit.probing else circuit


def failed(circuit: Circuit, began_s: float, now_s: float, policy: Policy, jitter: float) -> Circuit:
    """After the failure of a request that had begun at `began_s`. `jitter`: a random number from 0 to 1, which keeps
    routers from asking again all at once.

    What had begun before the last failure is no news: all that a replica was doing dies with it, and that is one
    failure and not a hundred.
    """
    if began_s <= circuit.failed_s or (circuit.opened and not circuit.probing):
        return circuit
    failures = circuit.failures + 1
    if not circuit.opened and failures < policy.failures:
        return replace(circuit, failures=failures, failed_s=now_s)
    pause_s = min(policy.open_s * 2**circuit.opened, policy.max_open_s)
    return Circuit(failures, now_s, min(circuit.opened + 1, 30), now_s + pause_s * (1 + jitter) / 2)
