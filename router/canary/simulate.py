"""What a plan does under rates that are assumed: how often it errs, how soon it finds out. Pure but for its dice."""

import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from router.canary.judge import Place, Promote, RollBack, StepOn, judge
from router.canary.ledger import Counts, Ledger
from router.canary.plan import PlanConfig


@dataclass(frozen=True, slots=True)
class World:
    """What is assumed. `bad`: by metric, how often a request is bad with the others and with the canary; `per_s`:
    requests a second in all; `tick_s`: how often the judge looks."""

    bad: Mapping[str, tuple[float, float]]
    per_s: float
    tick_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """How one canary went. `end`: what became of it; `requests`, `bad`: of the canary's, until then; `took_s`."""

    end: str
    took_s: float
    requests: int
    bad: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many went. Shares of all runs; medians and 90th percentiles of those that were rolled back, 0 where none
    was: seconds, the canary's requests, and of these the bad ones."""

    runs: int
    rolled_back: float
    promoted: float
    undecided: float
    took_s: tuple[float, float]
    requests: tuple[float, float]
    bad: tuple[float, float]


def simulate(
    plan: PlanConfig, world: World, *, runs: int, seed: int, told: Callable[[int], None] = lambda done: None
) -> Outcome:
    """`runs` canaries by `plan` in `world`. `told`: how many are done."""
    ended: list[Run] = []
    for number in range(runs):
        ended.append(one_run(plan, world, random.Random(f"{seed} {number}")))  # noqa: S311 - dice, no secret
        told(number + 1)
    back = [run for run in ended if run.end == "rolled back"]
    return Outcome(
        runs,
        len(back) / runs,
        sum(run.end == "promoted" for run in ended) / runs,
        sum(run.end == "undecided" for run in ended) / runs,
        _two([run.took_s for run in back]),
        _two([run.requests for run in back]),
        _two([run.bad for run in back]),
    )


def one_run(plan: PlanConfig, world: World, rng: random.Random) -> Run:
    """One canary, to its end or its plan's."""
    ledger, place, now_s, bad = Ledger.opened(plan), Place(0, 0.0, 0.0, 0), 0.0, 0
    while now_s < plan.max_s:
        now_s += world.tick_s
        counts, worst = _tick(world, plan.steps[place.step].weight / 100, rng)
        ledger, bad = ledger.after(plan, counts), bad + worst
        verdict = judge(plan, ledger, place, now_s)
        if isinstance(verdict, RollBack):
            return Run("rolled back", now_s, ledger.canary, bad)
        if isinstance(verdict, Promote):
            return Run("promoted", now_s, ledger.canary, bad)
        if isinstance(verdict, StepOn):
            place = Place(verdict.step, 0.0, now_s, ledger.canary)
    return Run("undecided", now_s, ledger.canary, bad)


def _tick(world: World, share: float, rng: random.Random) -> tuple[Counts, int]:
    """What comes in one tick, and how many of the canary's are bad by the metric by which most are."""
    count = _drawn(world.per_s * world.tick_s, rng)
    canary = sum(rng.random() < share for _ in range(count))
    bad = {name: (_of(canary, own, rng), _of(count - canary, others, rng)) for name, (others, own) in world.bad.items()}
    return Counts(share, canary, count - canary, bad), max((own for own, _ in bad.values()), default=0)


def _of(count: int, rate: float, rng: random.Random) -> int:
    return sum(rng.random() < rate for _ in range(count)) if rate else 0


def _drawn(mean: float, rng: random.Random) -> int:
    """A number of arrivals: by a Poisson process."""
    count, left = 0, rng.expovariate(1)
    while left < mean:
        count, left = count + 1, left + rng.expovariate(1)
    return count


def _two(values: list[float] | list[int]) -> tuple[float, float]:
    if len(values) < 2:
        return (float(values[0]), float(values[0])) if values else (0.0, 0.0)
    return statistics.median(values), statistics.quantiles(values, n=10)[8]
