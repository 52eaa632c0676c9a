"""Our router in the simulation: `router.admission.scheduler` gives turns and `router.balance.pick` picks a replica.

Neither knows that time is simulated. Around them is what `router.admission.admission` does on asyncio.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
import simpy

from loadtests.scale.engine import Engine
from loadtests.scale.front import Front
from loadtests.scale.places import Size
from loadtests.scale.traffic import Job
from patchbay.router.admission.admission import LEAST_PATIENCE_S, LOOK_S
from patchbay.router.admission.config import AdmissionConfig
from patchbay.router.admission.scheduler import Room, Scheduler, Waiting
from patchbay.router.balance.pick import Query, Weights, pick
from patchbay.router.fleet.snapshot import Replica, Target
from patchbay.router.http.body import Prompt

_CONFIG = AdmissionConfig()
_WEIGHTS = Weights()


class Ours(Front):
    """The router with our admission and balancer. `size`: the sizes that a replica reports of itself."""

    def __init__(self, env: simpy.Environment, engines: Mapping[str, Engine], number: int, size: Size) -> None:
        self._scheduler = Scheduler()
        self._size = size
        self._waiting: dict[Waiting, Job] = {}
        self._admitted: dict[Job, Waiting] = {}
        self._names = frozenset(engines)
        self._turn, self._turn_s, self._answer_tokens = 0, 1.0, 64.0
        self._began_s: dict[Job, float] = {}
        self._seen_by: tuple[Replica, ...] = ()
        self._rooms: dict[str, Room] = {}
        self._looking = False
        super().__init__(env, engines, None, number)

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._scheduler.waiting

    def ended(self, job: Job) -> None:
        """An answer has ended, and with it its turn."""
        super().ended(job)
        self._turn_s += (self._env.now - self._began_s.pop(job) - self._turn_s) / 50
        self._answer_tokens += (job.answer_tokens - self._answer_tokens) / 50
        if job.replica is not None:
            self._scheduler.done(self._admitted.pop(job), job.replica, job.prompt_tokens + job.answer_tokens)
        self._serve()

    def submit(self, job: Job) -> None:
        """A request has come: its turn is now, or it waits for it."""
        cost = job.prompt_tokens + self._answer_tokens
        waiting = Waiting(
            tenant=job.tenant, revision=job.revision, replicas=self._names, cost=cost, since_s=self._env.now
        )
        if not self._scheduler.waiting and self._seated(waiting, job):
            return
        if self._scheduler.waiting >= _CONFIG.max_waiting:
            job.refused = True
            return
        self._scheduler.arrive(waiting)
        self._waiting[waiting] = job
        self._serve()

    def _seated(self, waiting: Waiting, job: Job) -> bool:
        """Whether the request got its turn without waiting."""
        places = self._scheduler.fits(waiting, self._current_rooms())
        if not places or (picked := self._pick(job, places)) is None or not self._ask(job, picked):
            return False
        self._scheduler.take(waiting, picked, self._env.now)
        self._begin(waiting, job)
        return True

    def _serve(self) -> None:
        """Gives out all the turns that there are."""
        rooms, now_s = dict(self._current_rooms()), self._env.now
        patience_s = max(LEAST_PATIENCE_S, _CONFIG.patience_turns * self._turn_s)
        while (found := self._scheduler.next(rooms, now_s, patience_s)) is not None:
            waiting, places = found
            job = self._waiting[waiting]
            picked = self._pick(job, places)
            if picked is None or not self._ask(job, picked):
                for name in places if picked is None else (picked,):
                    rooms.pop(name)
                continue
            self._scheduler.admit(waiting, picked, now_s)
            del self._waiting[waiting]
            self._begin(waiting, job)
        if self._waiting and not self._looking:
            self._looking = True
            self._env.timeout(LOOK_S).callbacks.append(self._again)

    def _again(self, _: simpy.Event) -> None:
        self._looking = False
        if self._waiting:
            self._serve()

    def _ask(self, job: Job, name: str) -> bool:
        """As any router does; one that goes on elsewhere keeps its turn."""
        before = job.replica
        if not super()._ask(job, name):
            return False
        if before is not None and before != name and job in self._admitted:
            self._scheduler.move(self._admitted[job], before, name, self._env.now)
        return True

    def _begin(self, waiting: Waiting, job: Job) -> None:
        self._admitted[job] = waiting
        self._began_s[job] = self._env.now

    def _choose(self, job: Job, ready: Sequence[str]) -> str:
        """Chooses a replica for a request whose replica died."""
        return self._pick(job, ready) or ready[0]

    def _pick(self, job: Job, places: Sequence[str]) -> str | None:
        self._turn += 1
        adapter = f"a{job.adapter}"
        target = Target(label=adapter, engine_name=job.revision, revision=job.revision, replicas=tuple(places))
        query = Query(
            target=target, prompt=_prompt(job.adapter, job.conversation), tried=job.tried, pool=None, turn=self._turn
        )
        found = pick(self.replicas, query, self.in_flight, _WEIGHTS)
        return found.name if found is not None else None

    def _current_rooms(self) -> Mapping[str, Room]:
        if self.replicas is not self._seen_by:
            self._seen_by = self.replicas
            size = self._size
            self._rooms = {
                replica.name: Room(requests=size.most, slots=size.slots, elsewhere=replica.elsewhere)
                for replica in self.replicas
            }
        return self._rooms


@lru_cache(maxsize=100_000)
def _prompt(adapter: int, conversation: int) -> Prompt:
    return Prompt(text=msgspec.Raw(b'"conversation %d with %d"' % (conversation, adapter)))
