"""Gives each request its turn: the waiting around `Scheduler`, which decides."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from patchbay.core.errors import RateLimited, Unavailable
from patchbay.core.replica import ReplicaStatus
from patchbay.router.admission.config import AdmissionConfig
from patchbay.router.admission.scheduler import Room, Scheduler, Waiting
from patchbay.router.fleet.snapshot import Replica

# While somebody waits: replicas' news, and patience that ends.
LOOK_S = 0.05
_RATE_S = 10.0
LEAST_PATIENCE_S = 0.25


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """Who wants a turn. `pick`: the replica to take of those that could, None where none of them is to be asked now;
    `where`: the replicas that could serve it, as of now."""

    waiting: Waiting
    max_waiting: int
    pick: Callable[[Sequence[str]], str | None]
    where: Callable[[], Collection[str]]


@dataclass(slots=True)
class _Waiter:
    """A request that waits for its `turn`. `alone_s`: since when no replica that could serve it can be asked."""

    request: AdmissionRequest
    turn: "asyncio.Future[Turn]"
    alone_s: float | None = None


class Turn:
    """A request's turn. `first`: the replica that it was given for, None where none was ready; `queued`: whether the
    request has waited for it."""

    def __init__(self, admission: "Admission", waiting: Waiting, first: str | None, *, queued: bool = False) -> None:
        self._admission = admission
        self._waiting = waiting
        self._at = first
        self.first = first
        self.queued = queued
        self.ended = False
        self._began_s = admission.now_s()

    def at(self, replica: str) -> None:
        """Notes that the request is asked of `replica` now."""
        if replica != self._at and not self.ended:
            self._admission.moved(self._waiting, self._at, replica)
            self._at = replica

    def done(self, cost: float) -> None:
        """Ends the turn: `cost` tokens were used."""
        if not self.ended:
            self.ended = True
            self._admission.ended(self._waiting, self._at, cost, self._admission.now_s() - self._began_s)


class Admission:
    """One router's. `replicas`: as they are now; `statuses`: what they tell of themselves; `clock`: seconds, monotonic.
    `hold_s`: how long a request that waits does so while no replica is there that could serve it; `answer_tokens`: how
    long answers were of late."""

    def __init__(
        self,
        config: AdmissionConfig,
        replicas: Callable[[], Sequence[Replica]],
        statuses: Mapping[str, ReplicaStatus],
        clock: Callable[[], float],
        hold_s: float,
    ) -> None:
        self._config = config
        self._hold_s = hold_s
        self._replicas = replicas
        self._statuses = statuses
        self._clock = clock
        self._scheduler = Scheduler()
        self._turn_s = 1.0
        self._waiters: dict[Waiting, _Waiter] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._seen: Sequence[Replica] = ()
        self._rooms: dict[str, Room] = {}
        self._ended: list[float] = []
        self.answer_tokens = 64.0

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._scheduler.waiting

    def now_s(self) -> float:
        """The clock."""
        return self._clock()

    def expected_wait_s(self) -> float:
        """How long one more would wait, by how many turns ended in the last seconds."""
        if not self._scheduler.waiting:
            return 0.0
        now = self._clock()
        self._ended = [at for at in self._ended if now - at < _RATE_S]
        return (self._scheduler.waiting + 1) * _RATE_S / max(1, len(self._ended))

    async def enter(self, request: AdmissionRequest) -> Turn:
        """A turn, once it is its turn. Raises RateLimited where the tenant has too many waiting, Unavailable where all
        have, or where it has waited for too long."""
        waiting = request.waiting
        rooms = self._current_rooms()
        if not self._scheduler.waiting and (turn := self._seated(request, self._scheduler.fits(waiting, rooms))):
            return turn
        if self._is_hopeless(request, rooms):
            return Turn(self, waiting, None)
        self._check_queues(request)
        self._scheduler.arrive(waiting)
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiters[waiting] = _Waiter(request, future)
        self._serve()
        try:
            async with asyncio.timeout(self._config.wait_timeout_s):
                return await future
        except BaseException as error:
            self._gone(waiting, future)
            if isinstance(error, TimeoutError):
                said = "This request has waited for its turn for too long."
                raise Unavailable(said, retry_after_s=self._retry_s) from error
            raise

    def spare(self, request: AdmissionRequest) -> Turn | None:
        """A turn, where one can be had at once and nobody waits."""
        return (
            None
            if self._scheduler.waiting
            else self._seated(request, self._scheduler.fits(request.waiting, self._current_rooms()))
        )

    def moved(self, waiting: Waiting, before: str | None, after: str) -> None:
        """Notes that a request went on to another replica."""
        if before is None:
            self._scheduler.take(waiting, after, self._clock())
        else:
            self._scheduler.move(waiting, before, after, self._clock())
            self._serve()

    def ended(self, waiting: Waiting, at: str | None, cost: float, took_s: float) -> None:
        """Ends a turn, which took so many seconds."""
        self._ended.append(self._clock())
        if cost:
            self._turn_s += (took_s - self._turn_s) / 50
        if len(self._ended) > 4096:
            del self._ended[:2048]
        if at is not None:
            self._scheduler.done(waiting, at, cost)
        if self._waiters:
            self._serve()

    def answered(self, tokens: int) -> None:
        """Learns how long answers are."""
        self.answer_tokens += (tokens - self.answer_tokens) / 50

    @property
    def _patience_s(self) -> float:
        return self._config.patience_s or max(LEAST_PATIENCE_S, self._config.patience_turns * self._turn_s)

    @property
    def _retry_s(self) -> int:
        return max(1, round(self.expected_wait_s()))

    def _check_queues(self, request: AdmissionRequest) -> None:
        retry_s = self._retry_s
        if self._scheduler.waiting_of(request.waiting.tenant) >= request.max_waiting:
            said = f"As many of your requests wait as may; the next turn is expected in {retry_s} s."
            raise RateLimited(said, retry_after_s=retry_s)
        if self._scheduler.waiting >= self._config.max_waiting:
            said = f"Too many requests wait; the next turn is expected in {retry_s} s."
            raise Unavailable(said, retry_after_s=retry_s)

    def _seated(self, request: AdmissionRequest, places: Sequence[str]) -> Turn | None:
        if not places or (picked := request.pick(places)) is None:
            return None
        self._scheduler.take(request.waiting, picked, self._clock())
        return Turn(self, request.waiting, picked)

    def _serve(self) -> None:
        """Gives out all the turns that there are."""
        rooms, now = dict(self._current_rooms()), self._clock()
        while (found := self._scheduler.next(rooms, now, self._patience_s)) is not None:
            waiting, places = found
            future, request = self._waiters[waiting].turn, self._waiters[waiting].request
            if future.done():
                # Its client has just gone.
                self._scheduler.leave(waiting)
                del self._waiters[waiting]
                continue
            picked = request.pick(places)
            if picked is None:
                # Its circuit is open: until the next look nobody goes there.
                for name in places:
                    rooms.pop(name)
                continue
            self._scheduler.admit(waiting, picked, now)
            del self._waiters[waiting]
            future.set_result(Turn(self, waiting, picked, queued=True))
        if self._waiters and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _release_hopeless(self, rooms: Mapping[str, Room]) -> None:
        """Those whose replicas have all been away for long wait for nothing: forwarding says what is to be said."""
        now_s = self._clock()
        for waiting, waiter in list(self._waiters.items()):
            if not self._is_hopeless(waiter.request, rooms):
                waiter.alone_s = None
                continue
            waiter.alone_s = now_s if waiter.alone_s is None else waiter.alone_s
            if now_s - waiter.alone_s >= self._hold_s:
                self._scheduler.leave(waiting)
                del self._waiters[waiting]
                if not waiter.turn.done():
                    waiter.turn.set_result(Turn(self, waiting, None))

    def _is_hopeless(self, request: AdmissionRequest, rooms: Mapping[str, Room]) -> bool:
        """Whether none of its replicas is ready and to be asked."""
        ready = [name for name in request.waiting.replicas if name in rooms]
        return not ready or request.pick(ready) is None

    def _look(self) -> None:
        self._timer = None
        if self._waiters:
            self._release_hopeless(self._current_rooms())
            self._serve()

    def _gone(self, waiting: Waiting, future: asyncio.Future[Turn]) -> None:
        """A request that leaves its queue: with its turn, or without, because its client has gone or time is up."""
        if self._waiters.pop(waiting, None) is not None:
            self._scheduler.leave(waiting)
        elif future.done() and not future.cancelled():
            future.result().done(0)

    def _current_rooms(self) -> Mapping[str, Room]:
        replicas = self._replicas()
        if replicas is not self._seen:
            self._seen = replicas
            self._rooms = {one.name: self._room(one) for one in replicas if one.state == "ready"}
            for waiting, waiter in self._waiters.items():
                waiting.replicas = waiter.request.where()
        return self._rooms

    def _room(self, replica: Replica) -> Room:
        status = self._statuses.get(replica.name)
        if status is None or replica.catalog is None or replica.catalog.plain:
            return Room(self._config.per_replica, None, replica.elsewhere)
        most = self._config.per_replica or status.requests.most
        return Room(most, status.slots.slots, replica.elsewhere)
