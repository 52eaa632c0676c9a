"""The model of a router: its view of replicas, the one it asks, and the next when that is gone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import simpy

from loadtests.scale.engine import Down, Engine
from loadtests.scale.policies import Policy
from loadtests.scale.traffic import Job
from patchbay.router.fleet.snapshot import Replica
from patchbay.router.settings.config import RouterConfig

POLL_S: float = RouterConfig.model_fields["poll_interval_s"].default


class Router(Protocol):
    """The interface of a modelled router, which is given the requests."""

    def submit(self, job: Job) -> None: ...

    def ended(self, job: Job) -> None: ...

    def lost(self, job: Job) -> None: ...


class Front:
    """A router that sends each request on at once, to whom `policy` says; the queues are the engines' own.

    What it knows of replicas is as old as its last look, each `poll_interval_s` of the real one's configuration; a
    connection that is refused takes a replica out until the next, as there. `number`: which of the routers it is."""

    def __init__(
        self, env: simpy.Environment, engines: Mapping[str, Engine], policy: Policy | None, number: int
    ) -> None:
        self._env = env
        self._engines = engines
        self._policy = policy
        self.in_flight: Counter[str] = Counter()
        self.replicas: tuple[Replica, ...] = ()
        self._ready: tuple[str, ...] = ()
        self._stranded: list[Job] = []
        self.refusals = 0
        self._look()
        env.process(self._poll(number))

    def submit(self, job: Job) -> None:
        """A request has come."""
        self._send(job)

    def ended(self, job: Job) -> None:
        """An answer has ended."""
        self._left(job)

    def lost(self, job: Job) -> None:
        """The replica died that answered: another goes on."""
        self._left(job)
        if job.replica is not None:
            self._gone(job.replica)
            job.tried.add(job.replica)
        self._send(job)

    def _send(self, job: Job) -> None:
        while ready := self._able(job):
            name = self._choose(job, ready)
            if self._ask(job, name):
                return
        self._stranded.append(job)

    def _able(self, job: Job) -> Sequence[str]:
        return tuple(name for name in self._ready if name not in job.tried) if job.tried else self._ready

    def _choose(self, job: Job, ready: Sequence[str]) -> str:
        if self._policy is None:
            raise NotImplementedError
        return self._policy.choose(job, ready, self.in_flight)

    def _ask(self, job: Job, name: str) -> bool:
        """Asks a replica. Where it is down, it is not asked again before the next look."""
        try:
            self._engines[name].take(job)
        except Down:
            self.refusals += 1
            job.tried.add(name)
            self._gone(name)
            return False
        job.replica = name
        self.in_flight[name] += 1
        return True

    def _left(self, job: Job) -> None:
        if job.replica is not None:
            self.in_flight[job.replica] -= 1
            if not self.in_flight[job.replica]:
                del self.in_flight[job.replica]

    def _gone(self, name: str) -> None:
        if name in self._ready:
            self.replicas = tuple(replica for replica in self.replicas if replica.name != name)
            self._ready = tuple(replica for replica in self._ready if replica != name)

    def _poll(self, number: int) -> simpy.events.ProcessGenerator:
        yield self._env.timeout(POLL_S * (number * 0.618 % 1))
        while True:
            self._look()
            yield self._env.timeout(POLL_S)

    def _look(self) -> None:
        self.replicas = tuple(self._seen(replica) for replica in self._engines.values() if replica.up)
        ready = tuple(replica.name for replica in self.replicas)
        # The same value as long as they are the same: whoever derives something from it need not do so again.
        self._ready = self._ready if ready == self._ready else ready
        stranded, self._stranded = self._stranded, []
        for job in stranded:
            job.tried.clear()
            self._send(job)

    def _seen(self, engine: Engine) -> Replica:
        elsewhere = max(0, engine.load - self.in_flight[engine.name])
        kv_use = engine.running / engine.most
        tiers = engine.places.tiers
        return Replica(
            name=engine.name,
            url="",
            state="ready",
            reason=None,
            load=engine.load,
            elsewhere=elsewhere,
            kv_use=kv_use,
            tiers=tiers,
        )
