"""The model of a replica: continuous batching, step by step, where steps that change nothing are taken at once.

In each step every stream of the batch gets a token; who waits joins at the next step's beginning, with its prompt, in
the order of arrival, but for those whose adapter has no slot free in the batch. That is vLLM's scheduler without
preemption: G. Yu et al., "Orca", OSDI 2022 (iteration-level scheduling).
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

import simpy

from loadtests.scale.fit import Fit
from loadtests.scale.places import Places, Size
from loadtests.scale.traffic import Job


class Down(Exception):
    """The error of a replica that does not take connections."""


@dataclass(slots=True)
class _Phase:
    """The steps under way. `steps`: 0 where the engine only loads an adapter."""

    began_s: float
    step_s: float
    steps: int
    newcomers: list[Job]

    @property
    def end_s(self) -> float:
        return self.began_s + (self.step_s if not self.steps else self.steps * self.step_s)


class Engine:
    """One modelled replica.

    `ended`: is called with each answer that has ended; `peak`: the most requests that it ever had; `busy_s`: seconds in
    which it worked; `tokens`: that it made.
    """

    def __init__(self, env: simpy.Environment, name: str, fit: Fit, size: Size, ended: Callable[[Job], None]) -> None:
        self._env = env
        self._fit = fit
        self._size = size
        self._ended = ended
        self.name = name
        self.most = size.most
        self.up = True
        self.deaths = 0
        self.peak = 0
        self.busy_s = 0.0
        self.tokens = 0
        self.loads_before = 0
        self.places = Places(size, lambda: env.now)
        self._clear()

    @property
    def load(self) -> int:
        """Requests that it has."""
        return len(self._batch) + len(self._queue)

    @property
    def running(self) -> int:
        """Streams in the batch."""
        return len(self._batch)

    @property
    def loads(self) -> int:
        """Adapters that it has loaded, ever."""
        return self.loads_before + self.places.loads

    def take(self, job: Job) -> None:
        """Takes a request. Raises Down."""
        if not self.up:
            raise Down
        job.tries += 1
        if self.places.hold(job.revision):
            self._loads.append(job.revision)
        self._queue.append(job)
        self.peak = max(self.peak, self.load)
        self._poke()

    def put(self, revision: str) -> None:
        """Loads an adapter ahead of its first request, as a rollout asks for."""
        if self.up and not self.places.has(revision) and revision not in self._loads:
            self._loads.append(revision)
            self._poke()

    def fail(self) -> list[Job]:
        """Dies, and gives back the requests that it had. They keep the tokens that they got."""
        lost = [*self._queue]
        made = self._made_by_now()
        for finish, _, job in self._batch:
            if job not in self._newcomers():
                job.done = max(job.done, job.answer_tokens - (finish - self._counter) + made)
            lost.append(job)
        self.loads_before += self.places.loads
        self.places = Places(self._size, lambda: self._env.now)
        self.up = False
        self.deaths += 1
        self._clear()
        return sorted(lost, key=lambda job: job.number)

    def recover(self) -> None:
        """Is there again, with nothing in it."""
        self.up = True

    def _clear(self) -> None:
        self._queue: deque[Job] = deque()
        self._loads: deque[str] = deque()
        self._batch: list[tuple[int, int, Job]] = []
        self._counter = 0
        self._phase: _Phase | None = None
        self._prefixes: OrderedDict[tuple[int, int], None] = OrderedDict()

    def _newcomers(self) -> list[Job]:
        return self._phase.newcomers if self._phase else []

    def _made_by_now(self) -> int:
        """Whole steps of the phase under way."""
        phase = self._phase
        if phase is None or not phase.steps:
            return 0
        return min(phase.steps - 1, int((self._env.now - phase.began_s) / phase.step_s))

    def _poke(self) -> None:
        """Something is new: it is looked at when the step ends that is under way."""
        if self._phase is None:
            self._begin()
        elif (steps := self._made_by_now() + 1) < self._phase.steps:
            self._phase.steps = steps
            self._schedule(self._phase)

    def _schedule(self, phase: _Phase) -> None:
        end_s = phase.end_s
        event = self._env.timeout(max(0.0, end_s - self._env.now))
        event.callbacks.append(lambda _: self._over(phase, end_s))

    def _over(self, phase: _Phase, end_s: float) -> None:
        """The end of a phase, unless it was cut short meanwhile."""
        if phase is not self._phase or phase.end_s != end_s:
            return
        self.busy_s += phase.end_s - phase.began_s
        self._counter += phase.steps
        self._phase = None
        for job in phase.newcomers:
            job.first_s = self._env.now if job.first_s is None else job.first_s
        self.tokens += phase.steps * len(self._batch)
        finished = []
        while self._batch and self._batch[0][0] <= self._counter:
            finished.append(heapq.heappop(self._batch)[2])
        for job in finished:
            job.done = job.answer_tokens
            self.places.left(job.revision)
            self.places.release(job.revision)
        # The engine goes on before anybody hears of it: what they send because of it joins the next step but one.
        self._begin()
        for job in finished:
            self._ended(job)

    def _begin(self) -> None:
        pause_s = self._load_one()
        newcomers, prompts_s = self._admit()
        if self._batch:
            step_s = self._fit.decode_s(len(self._batch), self.places.batch) + pause_s + prompts_s
            alone = bool(newcomers) or pause_s > 0
            self._phase = _Phase(self._env.now, step_s, 1 if alone else self._batch[0][0] - self._counter, newcomers)
        elif pause_s:
            self._phase = _Phase(self._env.now, pause_s, 0, [])
        else:
            return
        self._schedule(self._phase)

    def _load_one(self) -> float:
        """Loads the first adapter that is waited for, and says how long that takes: one at a time."""
        while self._loads and self.places.has(self._loads[0]):
            self._loads.popleft()
        if not self._loads or not self.places.load(self._loads[0]):
            return 0.0
        self._loads.popleft()
        return self._fit.load_s

    def _admit(self) -> tuple[list[Job], float]:
        """Admits requests to the batch. Returns them, and what their prompts and adapters cost, in seconds."""
        newcomers: list[Job] = []
        left: deque[Job] = deque()
        prompts, took_s = 0, 0.0
        while self._queue and len(self._batch) < self._size.most and prompts < self._size.step:
            job = self._queue.popleft()
            if not self.places.may_join(job.revision):
                left.append(job)
                continue
            took_s += self._fit.slot_s * self.places.join(job.revision)
            prompts += self._prompt(job)
            heapq.heappush(self._batch, (self._counter + job.answer_tokens - job.done, job.number, job))
            newcomers.append(job)
        self._queue.extendleft(reversed(left))
        return newcomers, took_s + prompts * self._fit.prompt_s

    def _prompt(self, job: Job) -> int:
        """The tokens of a prompt that have to be worked on: less where its beginning is in the KV cache."""
        key = (job.adapter, job.conversation)
        known = key in self._prefixes
        self._prefixes[key] = None
        self._prefixes.move_to_end(key)
        if len(self._prefixes) > self._size.prefixes:
            self._prefixes.popitem(last=False)
        own = int(job.prompt_tokens * (1 - self._size.shared)) if known else job.prompt_tokens
        return own + job.done
