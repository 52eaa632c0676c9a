"""The search for the number of replicas that a load needs."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from loadtests.scale.measures import figures
from loadtests.scale.scenarios import capacity
from loadtests.scale.world import Scenario, run

GOOD = 0.99
_MOST_TIMES = 32


@dataclass(frozen=True, slots=True)
class Needed:
    """The result of a search.

    `replicas`: the least number with which 99% of requests are good, None where 32 times `ideal` are too few; `ideal`:
    with batches that are always full.
    """

    scenario: str
    policy: str
    per_s: float
    ideal: int
    replicas: int | None


def needed(scenario: Scenario, policy: str, seed: int) -> Needed:
    """Looks for it by bisection: more replicas are taken not to be worse."""
    traffic = scenario.traffic
    late = int((1 - GOOD) * traffic.per_s * (traffic.seconds - scenario.warm_s)) + 1
    ideal = math.ceil(traffic.per_s / capacity(scenario.fit, scenario.size))

    def is_enough(count: int) -> bool:
        tried = replace(scenario, replicas=count, most_late=2 * late)
        return figures(run(tried, policy, seed)).good >= GOOD

    return Needed(scenario.name, policy, traffic.per_s, ideal, least(is_enough, ideal, _MOST_TIMES * ideal))


def least(is_enough: Callable[[int], bool], first: int, most: int) -> int | None:
    """The least number from 1 to `most` that is enough, None where there is none; looked for from `first` on, by
    doubling and halving."""
    high = first
    while not is_enough(high):
        if high >= most:
            return None
        high = min(2 * high, most)
    low = 0 if high == first else high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
