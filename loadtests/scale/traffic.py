"""The requests of a simulation: their times, adapters and lengths. Deterministic by seed."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Shape = Literal["steady", "diurnal", "bursty"]
_BURST, _BURST_S, _CALM_S = 3.0, 5.0, 15.0
_LONGEST = 6


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic of a scenario.

    `per_s`: requests a second, on average; `seconds`: for how long; adapters are drawn by Zipf's law with the exponent
    `zipf`, tenants evenly; lengths in tokens, exponential with these means; `conversations`: of each adapter, whose
    prompts begin alike.

    `shape`: `steady` is a Poisson process, `diurnal` one whose rate swings by 60% around its mean, once in all;
    `bursty` one whose rate is three times as high for some 5 s out of 20, as in a Markov-modulated process.
    """

    per_s: float
    seconds: float
    adapters: int
    zipf: float = 1.0
    prompt_tokens: float = 200
    answer_tokens: float = 64
    shape: Shape = "steady"
    tenants: int = 10
    conversations: int = 20


@dataclass(eq=False, slots=True)
class Job:
    """One request and its outcome, in seconds of simulated time.

    `done`: tokens that it has; `tries`: replicas that it was sent to; `served`: how many times its answer ended;
    `refused`: whether it got none.
    """

    number: int
    at_s: float
    tenant: str
    adapter: int
    conversation: int
    prompt_tokens: int
    answer_tokens: int
    revision: str = ""
    replica: str | None = None
    first_s: float | None = None
    end_s: float | None = None
    done: int = 0
    tries: int = 0
    served: int = 0
    refused: bool = False
    tried: set[str] = field(default_factory=set)

    @property
    def ttft_s(self) -> float:
        """Seconds to the first token, infinite where none came."""
        return math.inf if self.first_s is None else self.first_s - self.at_s

    @property
    def per_token_s(self) -> float:
        """Seconds a token after the first, infinite where the answer never ended."""
        if self.end_s is None or self.first_s is None:
            return math.inf
        return (self.end_s - self.first_s) / max(1, self.answer_tokens - 1)


def jobs_of(traffic: Traffic, seed: int) -> Iterator[Job]:
    """The requests, in the order in which they come."""
    rng = random.Random(f"jobs {seed}")  # noqa: S311 - dice, no secret
    weights = zipf_weights(traffic)
    popular = range(traffic.adapters)
    for number, at_s in enumerate(_moments(traffic, rng)):
        yield Job(
            number,
            at_s,
            f"tenant-{rng.randrange(traffic.tenants)}",
            rng.choices(popular, cum_weights=weights)[0],
            rng.randrange(traffic.conversations),
            _length(traffic.prompt_tokens, rng),
            _length(traffic.answer_tokens, rng),
        )


def zipf_weights(traffic: Traffic) -> list[float]:
    """Cumulative weights of the adapters, the most popular one first."""
    total, weights = 0.0, []
    for place in range(1, traffic.adapters + 1):
        total += place**-traffic.zipf
        weights.append(total)
    return weights


def _length(mean: float, rng: random.Random) -> int:
    return 1 + int(min(rng.expovariate(1 / max(mean - 0.5, 0.5)), _LONGEST * mean))


def _moments(traffic: Traffic, rng: random.Random) -> Iterator[float]:
    """Arrivals of a Poisson process whose rate changes, by thinning: P. Lewis and G. Shedler, "Simulation of
    nonhomogeneous Poisson processes by thinning", Naval Research Logistics Quarterly 26(3), 1979."""
    rate, most = _rate(traffic, rng)
    now_s = 0.0
    while (now_s := now_s + rng.expovariate(most)) < traffic.seconds:
        if rng.random() * most <= rate(now_s):
            yield now_s


def _rate(traffic: Traffic, rng: random.Random) -> tuple[Callable[[float], float], float]:
    """The rate at a moment, which only grows, and the highest that it has."""
    if traffic.shape == "diurnal":
        return lambda now_s: traffic.per_s * (1 - 0.6 * math.cos(2 * math.pi * now_s / traffic.seconds)), (
            1.6 * traffic.per_s
        )
    if traffic.shape == "steady":
        return lambda now_s: traffic.per_s, traffic.per_s
    calm = traffic.per_s * (_BURST_S + _CALM_S) / (_BURST * _BURST_S + _CALM_S)
    return _Bursts(calm, rng).rate, calm * _BURST


class _Bursts:
    """A rate that changes between calm and three times that."""

    def __init__(self, calm: float, rng: random.Random) -> None:
        self._calm = calm
        self._rng = rng
        self._until_s = 0.0
        self._burst = True

    def rate(self, now_s: float) -> float:
        """The rate at `now_s`, which is no earlier than at the last call."""
        while now_s >= self._until_s:
            self._burst = not self._burst
            self._until_s += self._rng.expovariate(1 / (_BURST_S if self._burst else _CALM_S))
        return self._calm * (_BURST if self._burst else 1)
