"""Simulation of a plan under assumed rates: how often it errs, and how soon it finds out. Pure but for its dice.

Each request goes the same way as in life: it is assigned by the same hash, counted by the same recorder, and judged by
the same judge. Only its outcome and its time are drawn at random.
"""

import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from patchbay.router.canary.assignment import Arm, Asker, CanaryAssignment, arm_of
from patchbay.router.canary.judge import PlanPosition, Promote, RollBack, StepOn, Verdict, judge
from patchbay.router.canary.ledger import Ledger, folded
from patchbay.router.canary.plan import PlanConfig
from patchbay.router.canary.recorder import Recorder

_VOTES = "votes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A disturbance that hits both arms alike.

    `from_s`, `to_s`: its time, in seconds since the start; `errors`: the share of requests that fail, 0 to 1.
    """

    from_s: float
    to_s: float
    errors: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedWorld:
    """The assumptions of a simulation.

    `bad`: by metric, the rate of bad requests among the others and in the canary; `per_s`: requests a second in all;
    `tick_s`: the time between looks of the judge; `callers`: how many callers there are, who ask equally often, None
    where each request is of a new one; `incident`: a disturbance of both arms; `requests`: the most requests of a run.
    """

    bad: Mapping[str, tuple[float, float]]
    per_s: float
    tick_s: float = 1.0
    callers: int | None = None
    incident: Incident | None = None
    requests: int = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRun:
    """The result of one simulated canary.

    `end`: how it ended; `took_s`: how long it took; `requests`, `bad`: the canary's own, until then; `by`: the metric
    that rolled it back.
    """

    end: str
    took_s: float
    requests: int
    bad: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The results of many simulated canaries.

    `rolled_back`, `promoted`, `undecided`: shares of all runs; `took_s`, `requests`, `bad`: median and 90th percentile
    of those that were rolled back, 0 where none was: seconds, the canary's requests, and the bad ones of these.
    """

    runs: int
    rolled_back: float
    promoted: float
    undecided: float
    took_s: tuple[float, float]
    requests: tuple[float, float]
    bad: tuple[float, float]


def simulate(
    plan: PlanConfig, world: SimulatedWorld, *, runs: int, seed: int, told: Callable[[int], None] = lambda done: None
) -> Outcome:
    """Runs `runs` canaries by `plan` in `world`.

    `seed`: of the dice; `told`: called after each, with the number that is done.
    """
    ended: list[SimulatedRun] = []
    for number in range(runs):
        ended.append(one_run(plan, world, random.Random(f"{seed} {number}")))  # noqa: S311 - dice, no secret
        told(number + 1)
    back = [run for run in ended if run.end == "rolled back"]
    return Outcome(
        runs=runs,
        rolled_back=len(back) / runs,
        promoted=sum(run.end == "promoted" for run in ended) / runs,
        undecided=sum(run.end == "undecided" for run in ended) / runs,
        took_s=_two([run.took_s for run in back]),
        requests=_two([run.requests for run in back]),
        bad=_two([run.bad for run in back]),
    )


def one_run(plan: PlanConfig, world: SimulatedWorld, rng: random.Random) -> SimulatedRun:
    """Runs one canary until it ends, its plan's time is over, or no requests are left."""
    life = _Life(plan, world, rng)
    while life.now_s < plan.max_s and life.asked < world.requests:
        life.go_on()
        verdict = life.look()
        if isinstance(verdict, RollBack):
            return life.ended("rolled back", verdict.metric)
        if isinstance(verdict, Promote):
            return life.ended("promoted")
    return life.ended("undecided")


class _Life:
    """The life of one canary, on one router. `now_s`: time since it began; `asked`: requests so far."""

    def __init__(self, plan: PlanConfig, world: SimulatedWorld, rng: random.Random) -> None:
        self.now_s = 0.0
        self.asked = 0
        self._plan = plan
        self._world = world
        self._rng = rng
        self._recorder = Recorder(1, plan, lambda: self.now_s)
        # The id seeds the assignment, so each run draws its callers anew.
        self._trial = CanaryAssignment(
            id=rng.getrandbits(60), adapter="", revision="", plan=plan, share=plan.steps[0].weight / 100
        )
        self._ledger = Ledger.opened(plan)
        for _ in range(plan.shadow.samples if plan.shadow is not None else 0):
            self._recorder.shadowed(self._drawn("canary"))
        self._take()
        self._place = PlanPosition(step=0, began_s=0.0, step_s=0.0, samples=self._ledger.canary)

    def go_on(self) -> None:
        """Sends the requests of a tick, spread over it. Their number is that of a Poisson process."""
        count, began_s, tick_s = _arrivals(self._world.per_s * self._world.tick_s, self._rng), self.now_s, 0.0
        for number in range(count):
            tick_s = self._world.tick_s * (number + 1) / (count + 1)
            self.now_s = began_s + tick_s
            self._ask()
        self.now_s = began_s + self._world.tick_s

    def look(self) -> Verdict:
        """Returns the judge's verdict now, and applies it to the canary's share."""
        self._take()
        verdict = judge(self._plan, self._ledger, self._place, self.now_s)
        if isinstance(verdict, StepOn):
            self._place = PlanPosition(step=verdict.step, began_s=0.0, step_s=self.now_s, samples=self._ledger.canary)
            self._trial = replace(self._trial, share=self._plan.steps[verdict.step].weight / 100)
        return verdict

    def ended(self, end: str, by: str = "") -> SimulatedRun:
        """Returns the result of the run."""
        bad = max(metric.canary for metric in self._ledger.metrics.values())
        return SimulatedRun(end=end, took_s=self.now_s, requests=self._ledger.canary, bad=bad, by=by)

    def _ask(self) -> None:
        self.asked += 1
        alone = b"request:%d" % self.asked
        many = self._world.callers
        caller = alone if many is None else b"user:%d" % int(self._rng.random() * many)
        unit = self._recorder.population.unit_of(caller, alone, self._trial.share)
        arm = arm_of(self._trial, Asker(route="", tenant="", unit=unit))
        if arm is None or self._recorder.tripped is not None:
            return
        entry = self._recorder.begin(arm, self._trial.share, unit, (), caller)
        bad = self._drawn(arm)
        self._recorder.end(entry, bad - {_VOTES})
        if _VOTES in bad:
            self._recorder.happened(entry, _VOTES)

    def _drawn(self, arm: Arm) -> frozenset[str]:
        chance, now_s = self._rng.random, self.now_s
        rates = {name: pair[arm == "canary"] for name, pair in self._world.bad.items()}
        bad = [name for name, rate in rates.items() if chance() < rate]
        incident = self._world.incident
        if incident is not None and incident.from_s <= now_s < incident.to_s and chance() < incident.errors:
            bad.append("errors")
        return frozenset(bad)

    def _take(self) -> None:
        self._ledger = self._ledger.after(self._plan, *folded(self._recorder.take()))


def _arrivals(mean: float, rng: random.Random) -> int:
    """Draws a number of arrivals, by a Poisson process."""
    count, left = 0, rng.expovariate(1)
    while left < mean:
        count, left = count + 1, left + rng.expovariate(1)
    return count


def _two(values: list[float] | list[int]) -> tuple[float, float]:
    if len(values) < 2:
        return (float(values[0]), float(values[0])) if values else (0.0, 0.0)
    return statistics.median(values), statistics.quantiles(values, n=10)[8]
