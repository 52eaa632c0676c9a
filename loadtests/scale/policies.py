"""The balancing policies: three that others use, beside ours, which is in `ours`."""

import bisect
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

from loadtests.scale.traffic import Job

_POINTS = 50
_BOUND = 1.25


class Policy(Protocol):
    """Picks one of `ready`, at least one, for a request. `in_flight`: what this router has at each."""

    def choose(self, job: Job, ready: Sequence[str], in_flight: Counter[str]) -> str: ...


class RoundRobin:
    """The policy that picks the next replica in turn."""

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, job: Job, ready: Sequence[str], in_flight: Counter[str]) -> str:
        """See Policy."""
        self._turn += 1
        return ready[self._turn % len(ready)]


class LeastLoad:
    """The policy that picks the replica with the fewest requests in flight, equals in turn."""

    def __init__(self) -> None:
        self._turn = 0

    def choose(self, job: Job, ready: Sequence[str], in_flight: Counter[str]) -> str:
        """See Policy."""
        self._turn += 1
        least = min(in_flight[name] for name in ready)
        tied = [name for name in ready if in_flight[name] == least]
        return tied[self._turn % len(tied)]


class BoundedHashing:
    """The policy that picks the first after the adapter's place on a ring that has less than 1.25 times the mean load.

    Source: V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018.
    """

    def __init__(self) -> None:
        self._ready: Sequence[str] = ()
        self._ring: list[tuple[int, str]] = []

    def choose(self, job: Job, ready: Sequence[str], in_flight: Counter[str]) -> str:
        """See Policy."""
        if ready != self._ready:
            self._ready, self._ring = (
                ready,
                sorted((_place(f"{replica} {n}"), replica) for replica in ready for n in range(_POINTS)),
            )
        bound = math.ceil(_BOUND * (in_flight.total() + 1) / len(ready))
        start = bisect.bisect(self._ring, (_place(f"adapter {job.adapter}"), ""))
        around = (self._ring[(start + n) % len(self._ring)][1] for n in range(len(self._ring)))
        return next((name for name in around if in_flight[name] < bound), ready[0])


def _place(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")


POLICIES: Mapping[str, type[RoundRobin] | type[LeastLoad] | type[BoundedHashing]] = {
    "round robin": RoundRobin,
    "least load": LeastLoad,
    "bounded hashing": BoundedHashing,
}
OURS = "ours"
ALL = (*POLICIES, OURS)
