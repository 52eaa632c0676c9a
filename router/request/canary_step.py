"""Canaries on the way of a request: which arm it is in, and what that has to answer for."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from patchbay.core.errors import InvalidRequest, ModelNotFound, RateLimited, RequestError
from patchbay.core.json_body import decoded
from patchbay.core.names import revision_name
from patchbay.guards.formats.document import WITH_TEXT
from patchbay.router.canary.assignment import Asker, CanaryAssignment, arm_of, is_tried_on
from patchbay.router.canary.callers import named
from patchbay.router.canary.live import LiveCanaries
from patchbay.router.fleet.fleet import Fleet, View
from patchbay.router.fleet.snapshot import Replica, has_others, in_pool
from patchbay.router.forward.exchange import Exchange
from patchbay.router.request.feedback import answer_key
from patchbay.router.request.incoming import Incoming
from patchbay.router.routes.sizes import size_of
from patchbay.router.routes.table import Choice
from patchbay.router.tenants.limiter import Need

# Fewer say nothing of how long a token takes.
_LEAST_TOKENS = 8


class CanaryStep:
    """The step that assigns requests to the arms of canaries, and counts what came of them. `clock`: seconds,
    monotonic."""

    def __init__(self, live_canaries: LiveCanaries, fleet: Fleet, clock: Callable[[], float]) -> None:
        self._live_canaries = live_canaries
        self._fleet = fleet
        self._clock = clock

    def arms(self, incoming: Incoming, choices: Sequence[Choice]) -> Sequence[Choice]:
        """Puts a canary before the choices of a request that is in its arm: should the canary not answer, the
        stable revision does."""
        first, pool = choices[0], self._live_canaries.pool
        assignment = self._live_canaries.running.get(first.model)
        if pool is not None and pool.pool is not None:
            choices = self._kept_from(pool.pool, choices)
            if assignment is None and choices[0].pool is not None:
                assignment = pool
        if assignment is None:
            return choices
        exchange, client, facts = incoming.exchange, incoming.client, incoming.facts
        name = named(facts.caller, incoming.caller)
        asker = Asker(
            route=first.route,
            tenant=client.tenant,
            unit=name,
            headers=facts.headers,
            tier=client.tier_name,
            text=facts.text,
        )
        if not is_tried_on(assignment, asker) or not self._begins(assignment, choices[0]):
            return choices
        asker = replace(
            asker, unit=self._live_canaries.unit_of(assignment, name, named(incoming.alone, incoming.caller))
        )
        arm = arm_of(assignment, asker)
        if assignment.live and arm is not None:
            exchange.entry = self._live_canaries.begin(assignment, arm, asker, name, exchange.interrupt)
        if arm == "stable":
            return choices
        if assignment.pool is not None:
            return (msgspec.structs.replace(first, arm="canary", pool=assignment.pool), *choices)
        return (msgspec.structs.replace(choices[0], model=assignment.revision, arm="canary"), *choices)

    def _kept_from(self, pool: str, choices: Sequence[Choice]) -> Sequence[Choice]:
        """What nobody has assigned to it keeps away from a pool that is tried, or was."""
        kept = [kept_from(pool, choice, self._fleet.view) for choice in choices]
        if any(choice.pool is None and not _is_pinned(choice) for choice in kept):
            self._live_canaries.answers_alone(pool)
        return kept

    def _begins(self, assignment: CanaryAssignment, choice: Choice) -> bool:
        """Whether this router knows that each replica which may be asked can answer as the canary."""
        named = assignment.id, choice.model
        if assignment.live and named not in self._live_canaries.known:
            if not can_answer(assignment, choice, self._fleet.view):
                return False
            self._live_canaries.known.add(named)
        return True

    def failed(self, exchange: Exchange, error: RequestError) -> None:
        """The arm that the request was assigned to did not answer, and something else is asked: that is its error, but
        for a limit of the route, for what this router does not know (any more), and for its client's own deadline; what
        comes now is not its work."""
        nobody = isinstance(error, RateLimited | ModelNotFound) or exchange.deadline_is_near
        self._end(exchange, None if nobody else frozenset(("errors",)))

    def left(self, exchange: Exchange) -> None:
        """The request goes elsewhere, which says nothing of the arm."""
        self._end(exchange, None)

    def answered(self, exchange: Exchange, body: bytes, used: Need) -> None:
        """Notes how the answer was, as far as tokens and times go. It came from the arm, and not from the cache."""
        result, endpoint = exchange.result, exchange.asked.endpoint.name
        if exchange.entry is None or result.outcome != "ok" or result.cached:
            return
        if endpoint not in WITH_TEXT or not exchange.relay.head_sent:
            return
        # An answer's end is a token, too, as our replicas count.
        target = exchange.answerer.target
        ends = target is not None and target.revision is not None
        if used.answer <= ends and not _asks_for_one(body, endpoint):
            result.bad.add("empty")
        self._note(exchange, "cost", exchange.read_bytes, used.answer)
        if result.began_s is not None and not result.cold:
            self._note_times(exchange, used)

    def _note_times(self, exchange: Exchange, used: Need) -> None:
        began_s, streamed = exchange.result.began_s or 0.0, exchange.relay.event_stream
        if streamed:
            self._note(exchange, "ttft", exchange.read_bytes, began_s - exchange.arrival.started_s)
        if used.answer >= _LEAST_TOKENS:
            since_s = began_s if streamed else exchange.arrival.started_s
            self._note(exchange, "token_time", int(streamed), (self._clock() - since_s) / used.answer)

    def _note(self, exchange: Exchange, kind: str, size: int, value: float) -> None:
        usual, entry = self._live_canaries.baseline_of(exchange.answerer.label), exchange.entry
        if entry is None:
            return
        if usual.is_above(kind, size, value):
            exchange.result.bad.add(kind)
        if entry.arm == "stable":
            usual.note(kind, size, value)

    def ended(self, exchange: Exchange) -> None:
        """The request has ended, one way or the other."""
        if exchange.entry is None:
            return
        result = exchange.result
        failed = result.outcome in ("server_error", "broken")
        if failed:
            result.bad.add("errors")
        nobody = result.cached or result.outcome in ("client_error", "cancelled")
        nobody = nobody or (failed and exchange.deadline_is_near)
        self._end(exchange, None if nobody else frozenset(result.bad))

    def _end(self, exchange: Exchange, bad: frozenset[str] | None) -> None:
        if exchange.entry is not None:
            self._live_canaries.end(exchange.entry, bad, answer_key(exchange.asked.tenant, exchange.arrival.id))
            exchange.entry = None


def can_answer(assignment: CanaryAssignment, choice: Choice, view: View) -> bool:
    """Whether every ready replica that `choice` may be answered by is known to have what is tried: the revision, or as
    one of the pool the model. Pure."""
    target = view.table.get(choice.model)
    if target is None:
        return False
    if assignment.pool is not None:
        mine = [one for one in view.replicas if one.pool == assignment.pool]
        return bool(mine) and all(one.state == "ready" and one.name in target.replicas for one in mine)
    pool = choice.pool or (choice.config.pool if choice.config else None)
    asked = [one for one in view.replicas if one.name in target.replicas and in_pool(one, pool)]
    ready = [one for one in asked if one.state == "ready"]
    return bool(ready) and all(_lists(one, assignment.revision) for one in ready)


def _lists(replica: Replica, revision: str) -> bool:
    """Whether a replica tells of a revision, be it that it could not load it."""
    told = replica.catalog.revisions if replica.catalog is not None else ()
    return any(revision_name(one.adapter, one.number) == revision and one.state != "draining" for one in told)


def _asks_for_one(body: bytes, endpoint: str) -> bool:
    """Whether an answer may have one token only, which can be its end."""
    try:
        return size_of(decoded(body), endpoint).tokens == 1
    except InvalidRequest:
        return False


def kept_from(pool: str, choice: Choice, view: View) -> Choice:
    """A choice without the pool that is tried, unless its route names one, or nothing else is there that could answer:
    no pool is kept from requests that only it can serve. Pure."""
    if _is_pinned(choice):
        return choice
    serving = view.table[choice.model].replicas if choice.model in view.table else ()
    # One that is not ready may be back at any time.
    able = [one for one in view.replicas if one.state != "ready" or one.name in serving]
    alone = not has_others(able, pool) and any(in_pool(one, None) for one in able)
    return choice if alone else msgspec.structs.replace(choice, pool=f"!{pool}")


def _is_pinned(choice: Choice) -> bool:
    return choice.config is not None and choice.config.pool is not None
