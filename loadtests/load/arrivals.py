"""The arrivals of requests: a Poisson process that waits for nobody.

An open loop on purpose. Clients that ask again when they are answered ask less often of a server that stalls, so the
stall is in few of their figures ("coordinated omission", G. Tene, "How NOT to measure latency", 2015), and queues do
not build up as they do with independent callers (Schroeder, Wierman, Harchol-Balter, "Open Versus Closed: A Cautionary
Tale", NSDI 2006). So each request has a time at which it is due, whatever became of those before it, and its answer's
time is counted from then.
"""

import random
import time
from collections.abc import Callable, Sequence

from loadtests.load.records import Planned
from loadtests.load.scenario import Arrivals


def due_times(arrivals: Arrivals, seconds: float, rng: random.Random) -> list[float]:
    """The times of a Poisson process, in seconds from 0 to `seconds`.

    With bursts by thinning: arrivals at the highest rate, of which each stays with the share that the rate at its time
    is of that (Lewis and Shedler, "Simulation of nonhomogeneous Poisson processes by thinning", 1979).
    """
    highest = arrivals.per_second * max(1.0, arrivals.burst.times if arrivals.burst else 1.0)
    found: list[float] = []
    at_s = rng.expovariate(highest)
    while at_s < seconds:
        if rng.random() * highest < rate_at(arrivals, at_s):
            found.append(at_s)
        at_s += rng.expovariate(highest)
    return found


def rate_at(arrivals: Arrivals, at_s: float) -> float:
    """Requests a second at `at_s` seconds."""
    burst = arrivals.burst
    if burst is None or at_s < burst.every_s or at_s % burst.every_s >= burst.for_s:
        return arrivals.per_second
    return arrivals.per_second * burst.times


def keep_to(requests: Sequence[Planned], began: float, start: Callable[[Planned], None]) -> None:
    """Starts each request when it is due. `began`: the monotonic clock's time at the beginning; `start`: returns at
    once, and never waits for an answer."""
    for planned in requests:
        left_s = began + planned.due_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        start(planned)
