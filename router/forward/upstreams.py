"""The replicas as requests see them: who takes one, what it costs them, and what they are held to have failed at."""

import logging
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from router.balance import budget, circuit
from router.balance.pick import Query, pick
from router.config import RouterConfig
from router.fleet import Fleet
from router.forward.exchange import Ask, Exchange
from router.metrics import Metrics
from router.snapshot import Replica
from router.upstream.client import Answer, Call
from router.upstream.failure import ReplicaFailure
from router.upstream.link import Link

_log = logging.getLogger("patchbay.router")


class Attempt:
    """A replica that answers since `began_s`. It counts as in flight there until `close`."""

    def __init__(self, replica: Replica, answer: Answer, began_s: float, closed: Callable[[], None]) -> None:
        self.replica = replica
        self.answer = answer
        self.began_s = began_s
        self._closed: Callable[[], None] | None = closed

    def close(self) -> None:
        """Ends it. A replica that has not said all sees its connection closed."""
        if self._closed is not None:
            self.answer.close()
            self._closed()
            self._closed = None


class Upstreams:
    """Holds, for each replica, what this router has in flight there and its circuit; and the budget for retries."""

    def __init__(
        self,
        config: RouterConfig,
        fleet: Fleet,
        links: Mapping[str, Link],
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self.links = links
        self.in_flight: Counter[str] = Counter()
        self._fleet = fleet
        self._metrics = metrics
        self._clock = clock
        self._weights = config.balance.weights
        self._breaker = config.breaker.policy
        self._allowance = config.retry.policy
        self._budget = budget.Budget(self._allowance.burst, clock())
        self._circuits: dict[str, circuit.Circuit] = {}
        self._turn = 0

    def pick(self, exchange: Exchange, ask: Ask) -> Replica | None:
        """Who may be asked next, None where nobody is left: first whom the request's turn was given for."""
        turn = exchange.turn
        if turn is not None and turn.first is not None and turn.first not in exchange.tried:
            given = self._fleet.find(turn.first)
            if given is not None and given.state == "ready":
                return given
        return self.best(exchange.tried, ask)

    def best(self, tried: Collection[str], ask: Ask, only: Collection[str] | None = None) -> Replica | None:
        """Who is best asked, of those called `only` where that is given, and not of those that were `tried`; None where
        nobody is left."""
        self._turn += 1
        view = self._fleet.view
        if self._circuits:
            now = self._clock()
            tried = {*tried} | {name for name, one in self._circuits.items() if not circuit.admits(one, now)}
        target = replace(ask.target, replicas=self._fleet.able(ask.target) if only is None else tuple(only))
        query = Query(target, ask.prompt, tried, ask.pool, self._turn)
        return pick(view.replicas, query, self.in_flight, self._weights)

    def circuits_open(self, ask: Ask) -> bool:
        """Whether somebody could be asked, but for circuits that are open."""
        ready = {one.name for one in self._fleet.view.replicas if one.state == "ready"}
        return any(self.circuit_open(name) for name in ready.intersection(self._fleet.able(ask.target)))

    def circuit_open(self, name: str) -> bool:
        """Whether a replica is left alone for now, after failures."""
        return name in self._circuits and not circuit.admits(self._circuits[name], self._clock())

    def earn(self) -> None:
        """Notes a request, whose share may be tried again."""
        self._budget = budget.earned(self._budget, self._allowance)

    def may_try_again(self) -> bool:
        """Whether one more try is within the budget, and if so takes it."""
        self._budget, allowed = budget.drawn(self._budget, self._clock(), self._allowance)
        if not allowed:
            self._metrics.retry_refused()
        return allowed

    async def ask(self, exchange: Exchange, replica: Replica, call: Call) -> Attempt:
        """What `replica` answers to `call`, once its first bytes are here. Raises ReplicaFailure, which is noted."""
        name, began_s = replica.name, self._clock()
        if exchange.turn is not None:
            exchange.turn.at(name)
        if name in self._circuits:
            self._circuits[name] = circuit.asked(self._circuits[name])
        self.in_flight[name] += 1
        try:
            answer = await self.links[name].client.open(call)
        except BaseException as error:
            self._left(name)
            if isinstance(error, ReplicaFailure):
                self._note(exchange, replica, error, began_s)
            elif name in self._circuits:
                self._circuits[name] = circuit.released(self._circuits[name])
            raise
        self._circuits.pop(name, None)
        return Attempt(replica, answer, began_s, lambda: self._left(name))

    def failed(self, exchange: Exchange, attempt: Attempt, error: ReplicaFailure) -> None:
        """Notes that a replica that had begun to answer failed."""
        self._note(exchange, attempt.replica, error, attempt.began_s)

    def _note(self, exchange: Exchange, replica: Replica, error: ReplicaFailure, began_s: float) -> None:
        """Tells of a failure: in the log, the metrics, to whoever looks at the replica's state, and to its circuit."""
        if error.kind != "busy":
            self._trip(replica.name, began_s)
        _log.warning("request %s: replica %s failed: %s", exchange.id.decode(), replica.name, error.message)
        self._metrics.upstream_failure(replica.name, error.kind)
        if error.kind == "connect":
            self._fleet.mark_unready(replica.name, error.message)
        else:
            self._fleet.doubt(replica.name)

    def _trip(self, name: str, began_s: float) -> None:
        before = self._circuits.get(name, circuit.CLOSED)
        after = circuit.failed(before, began_s, self._clock(), self._breaker, random.random())  # noqa: S311 - no secret
        self._circuits[name] = after
        if after.opened > before.opened:
            self._metrics.circuit_opened(name)
            _log.warning("replica %s failed %d times in a row and is left alone for a while", name, after.failures)

    def _left(self, name: str) -> None:
        self.in_flight[name] -= 1
        if not self.in_flight[name]:
            del self.in_flight[name]
