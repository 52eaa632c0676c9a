"""Admission of requests: the waiting for a turn. `Scheduler` decides whose turn it is."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from patchbay.core.errors import RateLimited, Unavailable
from patchbay.core.replica import ReplicaStatus
from patchbay.router.admission.config import AdmissionConfig
from patchbay.router.admission.scheduler import Room, Scheduler, Waiting
from patchbay.router.fleet.snapshot import Replica

# Interval of checks while requests wait, for news of replicas and for patience that ends.
LOOK_S = 0.05
# Window over which the rate of turns is measured.
_RATE_WINDOW_S = 10.0
LEAST_PATIENCE_S = 0.25


class AdmissionRequest(msgspec.Struct, frozen=True):
    """Request for a turn. `waiting`: its entry for the scheduler; `max_waiting`: requests of its tenant that may wait;
    `pick`: chooses a replica from those with room, None where none of them may be asked now; `where`: gives the
    replicas that can serve it, as of now."""

    waiting: Waiting
    max_waiting: int
    pick: Callable[[Sequence[str]], str | None]
    where: Callable[[], Collection[str]]


@dataclass(slots=True)
class _Waiter:
    """Request that waits for its `turn`. `hopeless_since_s`: since when no replica that could serve it can be asked,
    None while one can."""

    request: AdmissionRequest
    turn: "asyncio.Future[Turn]"
    hopeless_since_s: float | None = None


class Turn:
    """Turn of a request at a replica. `first`: the replica that it was given for, None where none was ready; `queued`:
    whether the request waited for it; `ended`: whether it is over."""

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
        """Ends the turn. `cost`: the tokens that were used. Later calls do nothing."""
        if not self.ended:
            self.ended = True
            self._admission.ended(self._waiting, self._at, cost, self._admission.now_s() - self._began_s)


class Admission:
    """Admission of this router: gives turns and keeps the queue of those that wait.

    `replicas`: gives them as they are now; `statuses`: the last status of each replica of ours; `clock`: seconds,
    monotonic; `hold_s`: seconds for which a request waits on while no replica can serve it; `answer_tokens`: the moving
    average of answers' lengths.
    """

    def __init__(
        self,
        *,
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
        self._mean_turn_s = 1.0
        self._waiters: dict[Waiting, _Waiter] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._last_replicas: Sequence[Replica] = ()
        self._rooms: dict[str, Room] = {}
        self._ended_at_s: list[float] = []
        self.answer_tokens = 64.0

    @property
    def waiting(self) -> int:
        """The number of requests that wait for their turn."""
        return self._scheduler.waiting

    def now_s(self) -> float:
        """Returns the clock's time, in seconds."""
        return self._clock()

    def expected_wait_s(self) -> float:
        """Estimates the wait of one more request, in seconds, by the turns that ended in the last ten seconds."""
        if not self._scheduler.waiting:
            return 0.0
        now = self._clock()
        self._ended_at_s = [at for at in self._ended_at_s if now - at < _RATE_WINDOW_S]
        return (self._scheduler.waiting + 1) * _RATE_WINDOW_S / max(1, len(self._ended_at_s))

    async def enter(self, request: AdmissionRequest) -> Turn:
        """Waits for a turn and returns it.

        A request whose replicas cannot be asked now gets a turn without a replica. Raises RateLimited where too many of
        the tenant's requests wait, and Unavailable where too many wait in all, or where the wait takes too long.
        """
        waiting = request.waiting
        rooms = self._current_rooms()
        # Only where nobody waits: otherwise a newcomer would overtake requests that the scheduler has to place first.
        if not self._scheduler.waiting and (turn := self._take_turn(request, self._scheduler.fits(waiting, rooms))):
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
            self._leave(waiting, future)
            if isinstance(error, TimeoutError):
                message = "This request has waited too long for its turn."
                raise Unavailable(message, retry_after_s=self._retry_s) from error
            raise

    def spare(self, request: AdmissionRequest) -> Turn | None:
        """Returns a turn where one is free at once and no request waits, None otherwise."""
        return (
            None
            if self._scheduler.waiting
            else self._take_turn(request, self._scheduler.fits(request.waiting, self._current_rooms()))
        )

    def moved(self, waiting: Waiting, before: str | None, after: str) -> None:
        """Notes that a request went on to another replica. `before`: None where its turn was without a replica."""
        if before is None:
            self._scheduler.take(waiting, after, self._clock())
        else:
            self._scheduler.move(waiting, before, after, self._clock())
            self._serve()

    def ended(self, waiting: Waiting, at: str | None, cost: float, took_s: float) -> None:
        """Ends a turn. `at`: the replica, None for none; `cost`: the tokens that were used; `took_s`: its length."""
        self._ended_at_s.append(self._clock())
        # A turn without cost was given back unused, and its length says nothing about the next ones.
        if cost:
            self._mean_turn_s += (took_s - self._mean_turn_s) / 50
        if len(self._ended_at_s) > 4096:
            del self._ended_at_s[:2048]
        if at is not None:
            self._scheduler.done(waiting, at, cost)
        if self._waiters:
            self._serve()

    def answered(self, tokens: int) -> None:
        """Takes an answer's length into the average."""
        self.answer_tokens += (tokens - self.answer_tokens) / 50

    @property
    def _patience_s(self) -> float:
        return self._config.patience_s or max(LEAST_PATIENCE_S, self._config.patience_turns * self._mean_turn_s)

    @property
    def _retry_s(self) -> int:
        return max(1, round(self.expected_wait_s()))

    def _check_queues(self, request: AdmissionRequest) -> None:
        retry_s = self._retry_s
        if self._scheduler.waiting_of(request.waiting.tenant) >= request.max_waiting:
            message = f"Too many of your requests wait already; the next turn is expected in {retry_s} s."
            raise RateLimited(message, retry_after_s=retry_s)
        if self._scheduler.waiting >= self._config.max_waiting:
            message = f"Too many requests wait already; the next turn is expected in {retry_s} s."
            raise Unavailable(message, retry_after_s=retry_s)

    def _take_turn(self, request: AdmissionRequest, places: Sequence[str]) -> Turn | None:
        """Gives a turn at one of `places`, the replicas with room, to a request that does not wait."""
        if not places or (picked := request.pick(places)) is None:
            return None
        self._scheduler.take(request.waiting, picked, self._clock())
        return Turn(self, request.waiting, picked)

    def _serve(self) -> None:
        """Gives all turns that are free to requests that wait."""
        rooms, now = dict(self._current_rooms()), self._clock()
        while (found := self._scheduler.next(rooms, now, self._patience_s)) is not None:
            waiting, places = found
            future, request = self._waiters[waiting].turn, self._waiters[waiting].request
            if future.done():
                # Its client has just left, and `enter` has not run since.
                self._scheduler.leave(waiting)
                del self._waiters[waiting]
                continue
            picked = request.pick(places)
            if picked is None:
                # These replicas are ejected. No request goes there until the next check.
                for name in places:
                    rooms.pop(name)
                continue
            self._scheduler.admit(waiting, picked, now)
            del self._waiters[waiting]
            future.set_result(Turn(self, waiting, picked, queued=True))
        if self._waiters and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._check)

    def _release_hopeless(self, rooms: Mapping[str, Room]) -> None:
        """Gives turns without a replica to requests whose replicas have all been away for `hold_s`.

        Forwarding then answers with the right error.
        """
        now_s = self._clock()
        for waiting, waiter in list(self._waiters.items()):
            if not self._is_hopeless(waiter.request, rooms):
                waiter.hopeless_since_s = None
                continue
            if waiter.hopeless_since_s is None:
                waiter.hopeless_since_s = now_s
            if now_s - waiter.hopeless_since_s >= self._hold_s:
                self._scheduler.leave(waiting)
                del self._waiters[waiting]
                if not waiter.turn.done():
                    waiter.turn.set_result(Turn(self, waiting, None))

    def _is_hopeless(self, request: AdmissionRequest, rooms: Mapping[str, Room]) -> bool:
        """Whether none of the request's replicas is ready and may be asked."""
        ready = [name for name in request.waiting.replicas if name in rooms]
        return not ready or request.pick(ready) is None

    def _check(self) -> None:
        self._timer = None
        if self._waiters:
            self._release_hopeless(self._current_rooms())
            self._serve()

    def _leave(self, waiting: Waiting, future: asyncio.Future[Turn]) -> None:
        """Takes out a request whose client left or whose time is up. A turn that it just got is given back."""
        if self._waiters.pop(waiting, None) is not None:
            self._scheduler.leave(waiting)
        elif future.done() and not future.cancelled():
            future.result().done(0)

    def _current_rooms(self) -> Mapping[str, Room]:
        replicas = self._replicas()
        # A view is replaced whole, so its identity tells whether anything changed. This runs for each request.
        if replicas is not self._last_replicas:
            self._last_replicas = replicas
            self._rooms = {replica.name: self._room(replica) for replica in replicas if replica.state == "ready"}
            for waiting, waiter in self._waiters.items():
                waiting.replicas = waiter.request.where()
        return self._rooms

    def _room(self, replica: Replica) -> Room:
        status = self._statuses.get(replica.name)
        if status is None or replica.catalog is None or replica.catalog.plain:
            return Room(requests=self._config.per_replica, slots=None, elsewhere=replica.elsewhere)
        most = self._config.per_replica or status.requests.most
        return Room(requests=most, slots=status.slots.slots, elsewhere=replica.elsewhere)
