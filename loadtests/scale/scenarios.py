"""The plans of a simulation, in three sizes: `quick` for tests, `default` in some minutes, `large` in longer simulated
time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from loadtests.scale.fit import Fit
from loadtests.scale.places import Size
from loadtests.scale.traffic import Traffic
from loadtests.scale.world import Scenario

Extent = Literal["quick", "default", "large"]
_LOAD = 0.6
_PROMPT, _ANSWER = 200.0, 64.0
# Replicas, adapters, simulated seconds and how many of these are not counted.
_GROWTH = ((10, 100, 60, 10), (30, 300, 40, 10), (100, 1000, 20, 6), (300, 3000, 10, 4), (1000, 10_000, 3, 1))
_DRAIN_S = 10.0
_SIZE = Size()


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a simulation.

    `groups`: scenarios by what they vary; `needed`: traffics for which the least number of replicas is looked for;
    `counts`: of replicas, for which a decision's cost is measured.
    """

    groups: Mapping[str, tuple[Scenario, ...]]
    needed: tuple[Scenario, ...]
    counts: tuple[int, ...]
    rounds: int


def plan_of(extent: Extent, fit: Fit) -> Plan:
    """The plan of that size."""
    if extent == "quick":
        small = _scenario("4 replicas, 40 adapters", fit, 4, 40, (10, 3))
        return Plan({"growth": (small,), "trouble": tuple(_trouble(small))}, (_needed(fit, 30, 10, 3),), (10, 30), 5)
    times = 4 if extent == "large" else 1
    growth = tuple(
        _scenario(f"{count} replicas, {adapters:,} adapters", fit, count, adapters, (seconds * times, warm))
        for count, adapters, seconds, warm in _GROWTH
    )
    base = _scenario("20 replicas, 200 adapters", fit, 20, 200, (60 * times, 12))
    many = (replace(base, name=f"{count:,} adapters", traffic=_of(base, count)) for count in (20, 100, 500, 2000))
    routers = _scenario("", fit, 40, 400, (40 * times, 12))
    groups = {
        "growth": growth,
        "adapters": tuple(many),
        "trouble": tuple(_trouble(base)),
        "routers": tuple(
            replace(routers, name=f"{count} router{'s' if count > 1 else ''}", routers=count) for count in (1, 4, 16)
        ),
    }
    needed = tuple(_needed(fit, per_s, 40 * times, 12) for per_s in (25, 100, 400))
    return Plan(groups, needed, (10, 30, 100, 300, 1000), 100)


def capacity(fit: Fit, size: Size = _SIZE) -> float:
    """Requests a second that a replica answers whose batch is always full, with a prompt's beginning in its cache."""
    return fit.tokens_per_s(size.most, size.slots, _PROMPT * (1 - size.shared), _ANSWER) / _ANSWER


def _scenario(name: str, fit: Fit, replicas: int, adapters: int, seconds: tuple[int, int]) -> Scenario:
    per_s = _LOAD * capacity(fit) * replicas
    traffic = Traffic(per_s, seconds[0], adapters, prompt_tokens=_PROMPT, answer_tokens=_ANSWER)
    return Scenario(name, replicas, traffic, fit, warm_s=seconds[1], drain_s=_DRAIN_S)


def _of(scenario: Scenario, adapters: int) -> Traffic:
    return replace(scenario.traffic, adapters=adapters)


def _trouble(base: Scenario) -> Iterator[Scenario]:
    """Lists `base` under each shape of traffic, with failures and with rollouts."""
    yield replace(base, name="steady")
    yield replace(base, name="a day", traffic=replace(base.traffic, shape="diurnal"))
    yield replace(base, name="bursts", traffic=replace(base.traffic, shape="bursty"))
    yield replace(base, name="a replica dies every 20 s", fail_every_s=20)
    yield replace(base, name="a rollout every 5 s", rollout_every_s=5)


def _needed(fit: Fit, per_s: float, seconds: float, warm_s: float) -> Scenario:
    traffic = Traffic(per_s, seconds, 500, prompt_tokens=_PROMPT, answer_tokens=_ANSWER)
    return Scenario(f"{per_s:g} requests/s, 500 adapters", 1, traffic, fit, warm_s=warm_s, drain_s=_DRAIN_S)
