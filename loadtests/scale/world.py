"""The world of a simulation, one scenario under one policy: routers, replicas, requests, failures and rollouts."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import simpy

from loadtests.scale.engine import Engine
from loadtests.scale.fit import Fit
from loadtests.scale.front import Front
from loadtests.scale.ours import Ours
from loadtests.scale.places import Size
from loadtests.scale.policies import OURS, POLICIES
from loadtests.scale.traffic import Job, Traffic, jobs_of, zipf_weights
from patchbay.core.names import engine_name
from patchbay.registry.records import Placement, Rollout
from patchbay.router.control.rollouts import Flip, Try, next_step

TTFT_S = 1.0
_ROUND_S = 1.0
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_SIZE = Size()


@dataclass(frozen=True, slots=True)
class Scenario:
    """The scenario of one simulation.

    `warm_s`: the first seconds, which are not counted; `fail_every_s`: how often a replica dies, which is there again
    after `down_s`; `rollout_every_s`: how often an adapter gets a new revision; `most_late`: a run that only shows
    whether requests are in time ends when so many were not; `drain_s`: how long after the last request answers are
    waited for.
    """

    name: str
    replicas: int
    traffic: Traffic
    fit: Fit
    size: Size = _SIZE
    routers: int = 1
    warm_s: float = 10.0
    fail_every_s: float | None = None
    down_s: float = 20.0
    rollout_every_s: float | None = None
    most_late: int | None = None
    drain_s: float = 60.0

    def with_replicas(self, count: int) -> "Scenario":
        """The same with another number of replicas."""
        return replace(self, replicas=count)


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a simulation.

    `jobs`: all requests; `took_s`: simulated seconds until the last one ended, or was given up.
    """

    scenario: Scenario
    policy: str
    jobs: Sequence[Job]
    engines: Sequence[Engine]
    fronts: Sequence[Front]
    took_s: float
    loads_at_warm: int


class World:
    """Everything that takes part in one simulation."""

    def __init__(self, scenario: Scenario, policy: str, seed: int) -> None:
        self._scenario = scenario
        self._rng = random.Random(f"world {seed}")  # noqa: S311 - dice, no secret
        self.env = simpy.Environment()
        self.jobs: list[Job] = []
        names = [f"replica-{number}" for number in range(scenario.replicas)]
        self.engines = {name: Engine(self.env, name, scenario.fit, scenario.size, self._ended) for name in names}
        self.fronts = [self._front(policy, number) for number in range(scenario.routers)]
        self._numbers: dict[int, int] = {}
        self._open = 0
        self._all_come = False
        self.over = self.env.event()
        self.loads_at_warm = 0
        self._begin(seed)

    def _begin(self, seed: int) -> None:
        self.env.process(self._arrivals(seed))
        self.env.process(self._warm())
        if self._scenario.fail_every_s is not None:
            self.env.process(self._failures(self._scenario.fail_every_s))
        if self._scenario.rollout_every_s is not None:
            self.env.process(self._rollouts(self._scenario.rollout_every_s))
        if self._scenario.most_late is not None:
            self.env.process(self._give_up(self._scenario.most_late))

    def _front(self, policy: str, number: int) -> Front:
        if policy == OURS:
            return Ours(self.env, self.engines, number, self._scenario.size)
        return Front(self.env, self.engines, POLICIES[policy](), number)

    def _arrivals(self, seed: int) -> simpy.events.ProcessGenerator:
        for job in jobs_of(self._scenario.traffic, seed):
            yield self.env.timeout(max(0.0, job.at_s - self.env.now))
            job.revision = _revision(job.adapter, self._numbers.get(job.adapter, 1))
            self.jobs.append(job)
            self._open += 1
            self._front_of(job).submit(job)
            if job.refused:
                self._open -= 1
        self._all_come = True
        self._check_over()

    def _warm(self) -> simpy.events.ProcessGenerator:
        yield self.env.timeout(self._scenario.warm_s)
        self.loads_at_warm = sum(engine.loads for engine in self.engines.values())

    def _give_up(self, most_late: int) -> simpy.events.ProcessGenerator:
        """Ends a run in which too many were late, or that is two seconds of its traffic behind once it is half warm."""
        warm_s, behind = self._scenario.warm_s, 2 * self._scenario.traffic.per_s
        while not self.over.triggered:
            yield self.env.timeout(1.0)
            late = [job for job in self.jobs if job.ttft_s > TTFT_S and job.at_s < self.env.now - TTFT_S]
            waiting = sum(job.first_s is None for job in late)
            counted = sum(job.at_s >= warm_s for job in late)
            if (counted > most_late or (waiting > behind and self.env.now > warm_s / 2)) and not self.over.triggered:
                self.over.succeed()

    def _front_of(self, job: Job) -> Front:
        return self.fronts[job.number % len(self.fronts)]

    def _ended(self, job: Job) -> None:
        job.end_s = self.env.now
        job.served += 1
        self._front_of(job).ended(job)
        self._open -= 1
        self._check_over()

    def _check_over(self) -> None:
        if self._all_come and not self._open and not self.over.triggered:
            self.over.succeed()

    def _failures(self, every_s: float) -> simpy.events.ProcessGenerator:
        while True:
            yield self.env.timeout(self._rng.expovariate(1 / every_s))
            up = [engine for engine in self.engines.values() if engine.up]
            if len(up) > 1:
                self.env.process(self._failure(self._rng.choice(up)))

    def _failure(self, engine: Engine) -> simpy.events.ProcessGenerator:
        for job in engine.fail():
            self._front_of(job).lost(job)
        yield self.env.timeout(self._scenario.down_s)
        engine.recover()

    def _rollouts(self, every_s: float) -> simpy.events.ProcessGenerator:
        weights = zipf_weights(self._scenario.traffic)
        for turn in range(1_000_000):
            yield self.env.timeout(every_s)
            adapter = self._rng.choices(range(len(weights)), cum_weights=weights)[0]
            self.env.process(self._rollout(adapter, turn))

    def _rollout(self, adapter: int, turn: int) -> simpy.events.ProcessGenerator:
        """One rollout, by the control plane's own rules (`router.control.rollouts`): the revision is loaded everywhere
        and tested, and then the name means it."""
        number, tested = self._numbers.get(adapter, 1) + 1, dict[str, str | None]()
        began = _EPOCH + timedelta(seconds=self.env.now)
        rollout = Rollout(
            id=turn,
            adapter=f"a{adapter}",
            channel="stable",
            number=number,
            expected=None,
            state="staging",
            reason=None,
            actor="scale",
            why=None,
            created_at=began,
            updated_at=began,
        )
        while True:
            yield self.env.timeout(_ROUND_S)
            placements = self._placements(adapter, number)
            now = _EPOCH + timedelta(seconds=self.env.now)
            step = next_step(rollout, placements, tested, now, timeout_s=600)
            if isinstance(step, Flip):
                self._numbers[adapter] = max(number, self._numbers.get(adapter, 1))
                return
            if isinstance(step, Try):
                tested |= dict.fromkeys(step.replicas)

    def _placements(self, adapter: int, number: int) -> list[Placement]:
        revision, found = _revision(adapter, number), []
        for engine in self.engines.values():
            if engine.up:
                engine.put(revision)
                state = "resident" if engine.places.has(revision) else "pending"
                found.append(Placement(replica=engine.name, adapter=f"a{adapter}", number=number, state=state))  # type: ignore[arg-type]
        return found


def run(scenario: Scenario, policy: str, seed: int) -> Run:
    """Simulates until every request has ended, or they are not waited for any more."""
    world = World(scenario, policy, seed)
    last_s = scenario.traffic.seconds + scenario.drain_s
    world.env.run(until=simpy.events.AnyOf(world.env, [world.over, world.env.timeout(last_s)]))
    engines = list(world.engines.values())
    return Run(scenario, policy, world.jobs, engines, world.fronts, world.env.now, world.loads_at_warm)


def _revision(adapter: int, number: int) -> str:
    return engine_name(f"a{adapter}", number, "0123456789ab")
