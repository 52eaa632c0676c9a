"""Upstreams: the replicas as forwarding sees them. Picks one, counts requests in flight, and books failures."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Self

from patchbay.router.balance import budget
from patchbay.router.balance.pick import Query, pick
from patchbay.router.balance.suspicion import Death
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Replica, Target
from patchbay.router.forward.exchange import Exchange
from patchbay.router.forward.healths import ReplicaHealths
from patchbay.router.forward.suspects import Case, Suspects
from patchbay.router.forward.tries import Ask
from patchbay.router.settings.config import RouterConfig
from patchbay.router.telemetry.replica_metrics import ReplicaMetrics
from patchbay.router.upstream.client import Answer, Call, Document
from patchbay.router.upstream.failure import DEADLY, ReplicaFailure
from patchbay.router.upstream.link import Link

_log = logging.getLogger("patchbay.router")
# Kinds of failure by which a replica that is well refuses work.
_HARMLESS = frozenset({"busy", "limited"})
# Stands for the id in the audit log where a request is the router's own.
_INTERNAL_ID = "aside"


class Attempt:
    """Attempt of a request at a replica that has begun to answer. It counts as in flight there until it is closed.

    `began_s`: when the replica was asked; `closed`: called once at the end, with whether it answered as it should. As a
    context manager an attempt is closed as good where nothing is raised.
    """

    def __init__(self, replica: Replica, answer: Answer, began_s: float, closed: Callable[[bool], None]) -> None:
        self.replica = replica
        self.answer = answer
        self.began_s = began_s
        self._closed: Callable[[bool], None] | None = closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(good=kind is None and self.answer.status < 500)

    def close(self, *, good: bool = False) -> None:
        """Ends the attempt. A replica that has not sent its whole answer sees its connection closed.

        `good`: whether it answered as it should.
        """
        if self._closed is not None:
            self.answer.close()
            self._closed(good)
            self._closed = None


class Upstreams:
    """State of this router toward its replicas: requests in flight and health of each, the budget for retries, and
    the suspected requests.

    `links`: the ways to the replicas, by name; `clock`: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        config: RouterConfig,
        fleet: Fleet,
        links: Mapping[str, Link],
        metrics: ReplicaMetrics,
        clock: Callable[[], float],
    ) -> None:
        self.links = links
        self.in_flight: Counter[str] = Counter()
        self.healths = ReplicaHealths(config.breaker.policy, fleet, metrics, clock)
        self.suspects = Suspects(config.retry.suspicion, metrics, clock)
        self._fleet = fleet
        self._metrics = metrics
        self._clock = clock
        self._weights = config.balance.weights
        self._retry_policy = config.retry.policy
        self._budget = budget.RetryBudget(tokens=self._retry_policy.burst, at_s=clock())
        self._queries = 0

    def pick(self, exchange: Exchange, ask: Ask) -> Replica | None:
        """Picks the replica to ask next: first the one that the turn was given for. None where none is left."""
        turn = exchange.tries.turn
        if turn is not None and turn.first is not None and turn.first not in exchange.tries.tried:
            first = self._fleet.find(turn.first)
            if first is not None and first.state == "ready":
                return first
        return self.best(exchange.tries.tried, ask)

    def best(self, tried: Collection[str], ask: Ask, only: Collection[str] | None = None) -> Replica | None:
        """Picks the best replica for `ask`. None where none is left.

        `tried`: replicas that must not be picked; `only`: the names to pick from, all that can serve it by default.
        """
        self._queries += 1
        view = self._fleet.view
        if not self.healths.all_available:
            tried = {*tried} | self.healths.unavailable()
        serving = self._fleet.able(ask.target) if only is None else only
        query = Query(
            target=ask.target, prompt=ask.prompt, tried=tried, pool=ask.pool, turn=self._queries, serving=serving
        )
        return pick(view.replicas, query, self.in_flight, self._weights)

    def ejected_s(self, ask: Ask) -> float:
        """Returns the seconds until one of the replicas for `ask` is tried again, where all are ejected; else 0."""
        return min((self.healths.ejected_s(name) for name in self._ready(ask)), default=0.0)

    def circuit_open(self, name: str) -> bool:
        """Whether a replica gets no requests for now, after failures."""
        return self.healths.is_ejected(name)

    def paused_s(self, ask: Ask) -> float:
        """Returns the seconds for which all replicas for `ask` asked to be left alone; 0 where one did not."""
        return min((self.healths.paused_s(name) for name in self._ready(ask)), default=0.0)

    def earn(self) -> None:
        """Credits the retry budget with the share of one request."""
        self._budget = budget.earned(self._budget, self._retry_policy)

    def may_try_again(self) -> bool:
        """Takes one try from the retry budget. Returns False, and takes nothing, where it is used up."""
        self._budget, allowed = budget.drawn(self._budget, self._clock(), self._retry_policy)
        if not allowed:
            self._metrics.retry_refused()
        return allowed

    def case(self, exchange: Exchange, ask: Ask) -> Case:
        """Returns the case of a request, and opens it first where there is none. It stays the same where the request
        goes on to another model."""
        if exchange.tries.case is None:
            exchange.tries.case = self.suspects.case(ask.target, ask.body, exchange.arrival.id.decode())
        return exchange.tries.case

    def check(self, exchange: Exchange, ask: Ask) -> None:
        """Raises SuspectedQuery where requests of this kind are held off."""
        if self.suspects.watching:
            self.suspects.check(self.case(exchange, ask))

    async def admit(self, exchange: Exchange, ask: Ask) -> None:
        """Waits until a request may go to a replica. Raises SuspectedQuery where its kind is held off."""
        if self.suspects.watching:
            await self.suspects.admit(self.case(exchange, ask))

    async def fetch(self, target: Target, replica: Replica, call: Call, *, timeout_s: float) -> Document:
        """Sends a request of the router's own for `target` to `replica`, and reads the whole answer.

        `timeout_s`: for the whole answer. Raises ReplicaFailure, and SuspectedQuery where replicas may die of it.
        """
        suspects, began_s = self.suspects, self._clock()
        if suspects.watching:
            suspects.check(suspects.case(target, call.body, _INTERNAL_ID))
        try:
            document = await self.links[replica.name].client.fetch(call, timeout_s=timeout_s)
        except ReplicaFailure as error:
            # The time limit is the caller's, for the whole answer. That it is over says nothing of the replica.
            if error.kind in DEADLY - {"timeout"}:
                self._suspect(suspects.case(target, call.body, _INTERNAL_ID), replica, began_s)
            raise
        if suspects.watching and document.status == 200:
            suspects.answered(suspects.case(target, call.body, _INTERNAL_ID))
        return document

    async def ask(self, exchange: Exchange, replica: Replica, call: Call) -> Attempt:
        """Sends `call` to `replica` and waits for the first bytes of its answer.

        Raises ReplicaFailure, which is noted already, and SuspectedQuery.
        """
        name, began_s = replica.name, self._clock()
        if exchange.tries.turn is not None:
            exchange.tries.turn.at(name)
        self.healths.asked(name)
        self.in_flight[name] += 1
        try:
            answer = await self.links[name].client.open(call)
        except BaseException as error:
            try:
                if isinstance(error, ReplicaFailure):
                    self._note_failure(exchange, replica, error, began_s)
            finally:
                self._release(name)
            raise
        return Attempt(replica, answer, began_s, lambda good: self._end(name, answer, began_s, good=good))

    def began(self, exchange: Exchange, attempt: Attempt, *, midway: bool = False) -> None:
        """Notes that a replica began to answer a request, or, `midway`, to continue its answer."""
        self.healths.began(attempt.replica.name)
        case = exchange.tries.case
        if case is None:
            return
        self.suspects.began(case, midway=midway)
        # Another replica can answer what the first answered with 500: so that was the first one's fault.
        if case.erred is not None and attempt.answer.status < 500:
            name, began_s = case.erred
            case.erred = None
            self.healths.failed(name, "error", began_s)

    def failed(self, exchange: Exchange, attempt: Attempt, error: ReplicaFailure) -> None:
        """Notes that a replica failed that had begun to answer. Call it before `attempt` is closed.

        Raises SuspectedQuery where requests of this kind are held off from now on.
        """
        self._note_failure(exchange, attempt.replica, error, attempt.began_s)

    def _ready(self, ask: Ask) -> frozenset[str]:
        ready = {replica.name for replica in self._fleet.view.replicas if replica.state == "ready"}
        return frozenset(ready.intersection(self._fleet.able(ask.target)))

    def _note_failure(self, exchange: Exchange, replica: Replica, error: ReplicaFailure, began_s: float) -> None:
        """Books a failure everywhere: in the log, the metrics, the replica's state and health, and as evidence against
        the request. Raises SuspectedQuery."""
        name = replica.name
        _log.warning("request %s: replica %s failed: %s", exchange.arrival.id.decode(), name, error.message)
        self._metrics.failed(name, error.kind)
        if error.kind == "connect":
            self._fleet.mark_unready(name, error.message)
        elif error.kind not in ("limited", "error"):
            self._fleet.doubt(name)
        if error.kind in _HARMLESS or exchange.tries.ask is None:
            return
        case = self.case(exchange, exchange.tries.ask)
        if error.kind == "error":
            case.erred = (name, began_s)
            return
        self._blame(case, name, error, began_s)
        if error.kind in DEADLY:
            midway, before = exchange.relay.sent_bytes > 0, exchange.tries.sent_before
            exchange.tries.sent_before = exchange.relay.sent_bytes
            # A timeout is no proof of a death: an overloaded fleet is silent too.
            silent = exchange.tries.sent_before <= before and error.kind != "timeout"
            self._suspect(case, replica, began_s, silent=silent, midway=midway)

    def _blame(self, case: Case, name: str, error: ReplicaFailure, began_s: float) -> None:
        """Counts a failure against a replica's health.

        All tries of one request count once for a replica. Where the request may be the cause, only the first replica
        is blamed.
        """
        deadly = error.kind in DEADLY
        if name in case.blamed or (deadly and case.counted):
            self.healths.released(name)
            return
        case.blamed.add(name)
        case.counted = case.counted or deadly
        self.healths.failed(name, "failure", began_s)

    def _suspect(
        self, case: Case, replica: Replica, began_s: float, *, silent: bool = True, midway: bool = False
    ) -> None:
        concurrent = max(1, self.in_flight[replica.name] + replica.elsewhere)
        death = self.healths.died(replica.name, began_s, case.kind, concurrent)
        case.deaths += 1
        self.suspects.died(
            case,
            Death(
                replica=replica.name,
                at_s=death.at_s,
                silent=silent,
                midway=midway,
                concurrent=death.concurrent,
                sound=death.sound,
            ),
        )

    def _end(self, name: str, answer: Answer, began_s: float, *, good: bool) -> None:
        """Notes that an attempt is over. A replica that sends bytes after the end of its answer has failed, even though
        the answer is whole."""
        self._release(name, good=good and not answer.strayed)
        if answer.strayed:
            self.healths.failed(name, "failure", began_s)

    def _release(self, name: str, *, good: bool = False) -> None:
        self.in_flight[name] -= 1
        if not self.in_flight[name]:
            del self.in_flight[name]
        if good:
            self.healths.answered(name)
        else:
            self.healths.released(name)
