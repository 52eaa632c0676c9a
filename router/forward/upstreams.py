"""The replicas as requests see them: who takes one, what it costs them, and what they are held to have failed at."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from patchbay.router.balance import budget
from patchbay.router.balance.pick import Query, pick
from patchbay.router.balance.suspicion import Death
from patchbay.router.config import RouterConfig
from patchbay.router.fleet.fleet import Fleet
from patchbay.router.fleet.snapshot import Replica, Target
from patchbay.router.forward.exchange import Ask, Exchange
from patchbay.router.forward.healths import ReplicaHealths
from patchbay.router.forward.suspects import Case, Suspects
from patchbay.router.telemetry.metrics import Metrics
from patchbay.router.upstream.client import Answer, Call, Document
from patchbay.router.upstream.failure import DEADLY, ReplicaFailure
from patchbay.router.upstream.link import Link

_log = logging.getLogger("patchbay.router")
# Said of itself by a replica that is well.
_HARMLESS = frozenset({"busy", "limited"})
# Stands for the id of a request that is the router's own.
ASIDE = "aside"


class Attempt:
    """A replica that answers since `began_s`. It counts as in flight there until it is closed. As a context manager it
    is closed as whole where nothing is raised."""

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
        """Ends it. A replica that has not said all sees its connection closed. `good`: whether it answered as it
        should."""
        if self._closed is not None:
            self.answer.close()
            self._closed(good)
            self._closed = None


class Upstreams:
    """Holds, for each replica, what this router has in flight there and its health; the budget for retries; and which
    requests are suspected. `clock`: seconds, monotonic."""

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
        self.healths = ReplicaHealths(config.breaker.policy, fleet, metrics, clock)
        self.suspects = Suspects(config.retry.suspicion, metrics, clock)
        self._fleet = fleet
        self._metrics = metrics
        self._clock = clock
        self._weights = config.balance.weights
        self._allowance = config.retry.policy
        self._budget = budget.RetryBudget(self._allowance.burst, clock())
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
        if not self.healths.untroubled:
            tried = {*tried} | self.healths.shunned()
        target = replace(ask.target, replicas=self._fleet.able(ask.target) if only is None else tuple(only))
        query = Query(target, ask.prompt, tried, ask.pool, self._turn)
        return pick(view.replicas, query, self.in_flight, self._weights)

    def shut_s(self, ask: Ask) -> float:
        """For how many seconds all who could be asked are left alone, after failures; 0 where one is not."""
        return min((self.healths.shut_s(name) for name in self._ready(ask)), default=0.0)

    def circuit_open(self, name: str) -> bool:
        """Whether a replica is left alone for now, after failures."""
        return self.healths.is_shut(name)

    def paused_s(self, ask: Ask) -> float:
        """For how many seconds all who could be asked want to be left alone, as they said; 0 where one does not."""
        return min((self.healths.paused_s(name) for name in self._ready(ask)), default=0.0)

    def earn(self) -> None:
        """Notes a request, whose share may be tried again."""
        self._budget = budget.earned(self._budget, self._allowance)

    def may_try_again(self) -> bool:
        """Whether one more try is within the budget, and if so takes it."""
        self._budget, allowed = budget.drawn(self._budget, self._clock(), self._allowance)
        if not allowed:
            self._metrics.retry_refused()
        return allowed

    def case(self, exchange: Exchange, ask: Ask) -> Case:
        """What is known of a request's tries. It stays the same where the request goes on to another model."""
        if exchange.case is None:
            exchange.case = self.suspects.case(ask.target, ask.body, exchange.id.decode())
        return exchange.case

    def check(self, exchange: Exchange, ask: Ask) -> None:
        """Raises SuspectedQuery where requests of this kind are held off."""
        if self.suspects.watching:
            self.suspects.check(self.case(exchange, ask))

    async def admit(self, exchange: Exchange, ask: Ask) -> None:
        """Waits until a request may go to a replica. Raises SuspectedQuery where it may not."""
        if self.suspects.watching:
            await self.suspects.admit(self.case(exchange, ask))

    async def fetch(self, target: Target, replica: Replica, call: Call, *, timeout_s: float) -> Document:
        """What `replica` answers to a request of the router's own for `target`, read whole. Raises ReplicaFailure, and
        SuspectedQuery where replicas may die of it."""
        suspects, began_s = self.suspects, self._clock()
        if suspects.watching:
            suspects.check(suspects.case(target, call.body, ASIDE))
        try:
            document = await self.links[replica.name].client.fetch(call, timeout_s=timeout_s)
        except ReplicaFailure as error:
            # Its time is for the whole answer: one that is over says nothing of the replica.
            if error.kind in DEADLY - {"timeout"}:
                self._suspect(suspects.case(target, call.body, ASIDE), replica, began_s)
            raise
        if suspects.watching and document.status == 200:
            suspects.answered(suspects.case(target, call.body, ASIDE))
        return document

    async def ask(self, exchange: Exchange, replica: Replica, call: Call) -> Attempt:
        """What `replica` answers to `call`, once its first bytes are here. Raises ReplicaFailure, which is noted, and
        SuspectedQuery."""
        name, began_s = replica.name, self._clock()
        if exchange.turn is not None:
            exchange.turn.at(name)
        self.healths.asked(name)
        self.in_flight[name] += 1
        try:
            answer = await self.links[name].client.open(call)
        except BaseException as error:
            try:
                if isinstance(error, ReplicaFailure):
                    self._note(exchange, replica, error, began_s)
            finally:
                self._left(name)
            raise
        return Attempt(replica, answer, began_s, lambda good: self._ended(name, answer, began_s, good=good))

    def began(self, exchange: Exchange, attempt: Attempt, *, midway: bool = False) -> None:
        """Notes that a replica has begun to answer a request, or, `midway`, to go on with its answer."""
        self.healths.began(attempt.replica.name)
        case = exchange.case
        if case is None:
            return
        self.suspects.began(case, midway=midway)
        if case.erred is not None and attempt.answer.status < 500:
            name, began_s = case.erred
            case.erred = None
            self.healths.failed(name, "error", began_s)

    def failed(self, exchange: Exchange, attempt: Attempt, error: ReplicaFailure) -> None:
        """Notes that a replica that had begun to answer failed, before its attempt is closed. Raises SuspectedQuery."""
        self._note(exchange, attempt.replica, error, attempt.began_s)

    def _ready(self, ask: Ask) -> frozenset[str]:
        ready = {one.name for one in self._fleet.view.replicas if one.state == "ready"}
        return frozenset(ready.intersection(self._fleet.able(ask.target)))

    def _note(self, exchange: Exchange, replica: Replica, error: ReplicaFailure, began_s: float) -> None:
        """Tells of a failure: in the log, the metrics, to whoever looks at the replica's state, to its health, and to
        those who suspect requests."""
        name = replica.name
        _log.warning("request %s: replica %s failed: %s", exchange.id.decode(), name, error.message)
        self._metrics.upstream_failure(name, error.kind)
        if error.kind == "connect":
            self._fleet.mark_unready(name, error.message)
        elif error.kind not in ("limited", "error"):
            self._fleet.doubt(name)
        if error.kind in _HARMLESS or exchange.ask is None:
            return
        case = self.case(exchange, exchange.ask)
        if error.kind == "error":
            case.erred = (name, began_s)
            return
        self._blame(case, name, error, began_s)
        if error.kind in DEADLY:
            midway, before = exchange.relay.sent_bytes > 0, exchange.sent_before
            exchange.sent_before = exchange.relay.sent_bytes
            # An overloaded fleet is silent too.
            silent = exchange.sent_before <= before and error.kind != "timeout"
            self._suspect(case, replica, began_s, silent=silent, midway=midway)

    def _blame(self, case: Case, name: str, error: ReplicaFailure, began_s: float) -> None:
        """Counts a failure against a replica: once for all tries of one request, and only against the first replica
        where the request may be the cause."""
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
        company = max(1, self.in_flight[replica.name] + replica.elsewhere)
        fall = self.healths.fell(replica.name, began_s, case.kind, company)
        case.deaths += 1
        self.suspects.died(case, Death(replica.name, fall.at_s, silent, midway, fall.company, fall.sound))

    def _ended(self, name: str, answer: Answer, began_s: float, *, good: bool) -> None:
        """An attempt is over. Whoever went on after its answer's end gave a whole one, and failed all the same."""
        self._left(name, good=good and not answer.strayed)
        if answer.strayed:
            self.healths.failed(name, "failure", began_s)

    def _left(self, name: str, *, good: bool = False) -> None:
        self.in_flight[name] -= 1
        if not self.in_flight[name]:
            del self.in_flight[name]
        if good:
            self.healths.answered(name)
        else:
            self.healths.released(name)
